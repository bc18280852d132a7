"""What a wrong backward pass would be right for."""

import jax.numpy as jnp
import numpy as np
import pytest

import purebp

RNG = np.random.default_rng(0)
X, W = (jnp.asarray(RNG.standard_normal(shape), jnp.float32) for shape in ((3, 4), (4, 5)))
MASK = jnp.asarray(RNG.random((3, 4)) < 0.6)


def diagnosis_of(*target_and_examples, **how):
    report = purebp.verify(*target_and_examples, **how)
    assert report.verdict == "fail"
    assert report.diagnosis is not None
    return report.diagnosis


def power_fwd(x, *, power: int = 3, offset: float = 0.5):
    return (x + offset) ** power, (x, power, offset)


def power_bwd_without_offset(res, y_bar):
    x, power, _ = res
    return (power * x ** (power - 1) * y_bar,)


def power_bwd_of_two(res, y_bar):
    x, _, offset = res
    return (2 * (x + offset) * y_bar,)


@pytest.mark.parametrize(
    ("bwd", "text"),
    [
        (power_bwd_without_offset, "x_bar would be right with offset=0.0, not with 0.5"),
        (power_bwd_of_two, "x_bar would be right with power=2, not with 3"),
    ],
)
def test_an_option_that_is_not_followed_is_named(bwd, text):
    found = diagnosis_of((power_fwd, bwd), X, budget="quick", max_examples=1)
    assert found.kind == "option"
    assert text in found.text


def rolled_fwd(x, *, shift: int = 0):
    return jnp.sin(jnp.roll(x, shift, axis=-1)), (x, shift)


def rolled_bwd_without_shift(res, y_bar):
    x, _ = res
    return (jnp.cos(x) * y_bar,)


def test_an_option_that_only_shows_off_its_default_says_both():
    found = diagnosis_of((rolled_fwd, rolled_bwd_without_shift), X, budget="quick")
    assert found.kind == "option"
    assert found.text.startswith("right at the defaults, wrong with shift=1: x_bar")
    assert "would be right with shift=0, not with 1" in found.text


def masked_softmax_fwd(x, mask):
    scores = jnp.where(mask, x, -1e30)
    e = jnp.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True), (x, mask)


def softmax_bwd_without_mask(res, y_bar):
    x, _ = res
    e = jnp.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y * (y_bar - jnp.sum(y_bar * y, axis=-1, keepdims=True)), None


def test_a_mask_that_is_not_followed_is_named():
    found = diagnosis_of(
        (masked_softmax_fwd, softmax_bwd_without_mask), X, MASK, budget="quick", max_examples=1
    )
    assert found.kind == "mask missing"
    assert "x_bar would be right with mask true everywhere" in found.text


def affine_fwd(x, w, *, bias: float = 0.5):
    return jnp.tanh(x @ w + bias), (x, w, bias)


def affine_bwd_of_another_function(res, y_bar):
    x, w, bias = res
    z_bar = y_bar / jnp.cosh(x @ w + 2 * bias + 0.1) ** 2
    return z_bar @ w.T, x.T @ z_bar


def test_no_hypothesis_is_made_up():
    found = diagnosis_of(
        (affine_fwd, affine_bwd_of_another_function), X, W, budget="quick", max_examples=1
    )
    assert "would be right" not in found.text
