"""LoRA beside the affine layer whose weights it changes; and weights that are frozen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.compat import enable_x64
from purebp.errors import OptionError
from purebp.layers import affine, lora_affine

RNG = np.random.default_rng(0)
X, W, DOWN, UP, B = (RNG.normal(size=shape) for shape in ((5, 4), (4, 3), (4, 2), (2, 3), (3,)))
ARGS = X, W, DOWN, UP, B
Y_BAR = RNG.normal(size=(5, 3))
SINGLE = tuple(each.astype(np.float32) for each in ARGS)


def both_passes(op, *args, **options):
    y, res = op.fwd(*args, **options)
    return y, op.bwd(res, Y_BAR.astype(y.dtype))


def assert_close(came, wanted):
    for a, b in zip(came, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_it_is_the_affine_layer_of_the_changed_weights():
    with enable_x64(True):
        y, (x_bar, w_bar, down_bar, up_bar, b_bar) = both_passes(lora_affine, *ARGS, scale=0.5)
        wanted, bars = both_passes(affine, X, W + 0.5 * DOWN @ UP, B)
    assert_close([y, x_bar, w_bar, b_bar], [wanted, *bars])
    changed_bar = np.asarray(bars[1])
    assert_close([down_bar, up_bar], [0.5 * changed_bar @ UP.T, 0.5 * DOWN.T @ changed_bar])


def test_a_change_that_is_zero_at_first_learns_through_its_other_half():
    with enable_x64(True):
        y, (x_bar, _, down_bar, up_bar, _) = both_passes(lora_affine, X, W, DOWN, 0 * UP, B)
        wanted, bars = both_passes(affine, X, W, B)
    assert_close([y, x_bar], [wanted, bars[0]])
    assert not np.any(down_bar)
    assert np.all(up_bar)


def test_frozen_weights_have_no_cotangent_and_change_no_other():
    y, (x_bar, w_bar, down_bar, up_bar, b_bar) = both_passes(lora_affine, *SINGLE, frozen=True)
    wanted, bars = both_passes(lora_affine, *SINGLE)
    assert w_bar is None
    assert b_bar is None
    for a, b in zip((y, x_bar, down_bar, up_bar), (wanted, bars[0], *bars[2:4]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_frozen_weights_under_jax_grad_have_a_gradient_of_zero():
    def loss(x, w, down, up, b):
        return jnp.sum(lora_affine(x, w, down, up, b, frozen=True))

    bars = jax.grad(loss, (1, 2, 4))(*SINGLE)
    assert [bool(np.any(bar)) for bar in bars] == [False, True, False]


def test_nothing_is_computed_or_kept_for_frozen_weights():
    n, d, k, r = 64, 32, 16, 2
    shapes = (n, d), (d, k), (d, r), (r, k), (k,)
    args = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]

    def run(frozen, *args):
        y, res = lora_affine.fwd(*args, frozen=frozen)
        return y, lora_affine.bwd(res, y)

    def flops(frozen):
        cost = jax.jit(run, static_argnums=0).lower(frozen, *args).compile().cost_analysis()
        assert cost is not None
        return cost["flops"]

    assert flops(False) - flops(True) >= 2 * n * d * k
    _, res = jax.eval_shape(lambda *args: lora_affine.fwd(*args, frozen=True), *args)
    assert res.values.b is None


def test_frozen_passes_every_check():
    static = {"frozen": True}
    purebp.verify(lora_affine, *SINGLE, static=static, max_examples=1).raise_if_failed()


def forgets_scale_bwd(res, y_bar, *, scale=1.0, frozen=False):
    return lora_affine.backward(res, y_bar, scale=1.0, frozen=frozen)


def agrees_with_autodiff(op):
    args = [jnp.asarray(each) for each in SINGLE]
    y, pull = jax.vjp(lambda *args: lora_affine.definition(*args, scale=0.5), *args)
    bars = op.bwd(op.fwd(*args, scale=0.5)[1], y)
    return [np.allclose(a, b, rtol=1e-4) for a, b in zip(bars, pull(y), strict=True)]


def test_a_planted_bug_is_found():
    assert agrees_with_autodiff(lora_affine) == [True] * 5
    wrong = purebp.Op(lora_affine.forward, forgets_scale_bwd, lora_affine.definition)
    assert agrees_with_autodiff(wrong) == [False, True, False, False, True]


def test_frozen_is_true_or_false():
    with pytest.raises(OptionError, match="frozen is 'w', expected True or False"):
        lora_affine(*SINGLE, frozen="w")
