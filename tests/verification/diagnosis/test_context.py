"""Where a backward pass goes wrong, and what the other checks say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.verification.cases import Case, variants
from purebp.verification.checks import CHECKS
from purebp.verification.comparison import failed
from purebp.verification.diagnosis import in_context, of_a_check
from purebp.verification.probe import Probe
from purebp.verification.target import make_target

X = jnp.asarray(np.random.default_rng(0).standard_normal((3, 2)), jnp.float32)


def scaled_fwd(x, *, factor=2.0):
    return factor * x * x, x


def diagnosis(bwd, pattern, fwd=scaled_fwd, wanted=None, examples=(X,)):
    """The diagnosis of a case of the first variant, or of the first that is wanted."""
    made = make_target((fwd, bwd), examples=examples)
    fitting = [each for each in variants(made) if wanted is None or wanted(each)]
    probe = Probe(made, fitting[0], quick=True)
    found = in_context(made, probe, Case(fitting[0], pattern, "normal", 1))
    assert found is not None
    return found


def fixed_factor(x, g, *, factor=2.0):
    return (4.0 * x * g,)


def test_a_bug_under_an_option_names_the_option():
    def changed(variant):
        return variant.settings == (("factor", 1.2),)

    found = diagnosis(fixed_factor, "normal", wanted=changed)
    assert found.kind == "option"
    assert found.text.startswith("right at the defaults, wrong with factor=1.2: x_bar would be")
    assert "with factor=2.0, not with 1.2: the backward pass does not follow it" in found.text


def wrong_at_zero(x, g, *, factor=2.0):
    return (2 * factor * jnp.where(x == 0, 1.0, x).astype(g.dtype) * g,)


def wrong_when_narrow(x, g, *, factor=2.0):
    x_bar = 2 * factor * x * g
    return (x_bar if x.dtype == jnp.float64 else x_bar * (1 + 1e-3),)


def wrong_sign(x, g, *, factor=2.0):
    return (-2 * factor * x * g,)


@pytest.mark.parametrize(
    ("bwd", "pattern", "wanted", "text"),
    [
        (wrong_sign, "nothing", "sign", "x_bar has the wrong sign everywhere"),
        (wrong_at_zero, "zeros", "isolated point", "exactly where |x| is 0"),
        (wrong_when_narrow, "normal", "dtype", "right in float64, wrong in float32"),
    ],
)
def test_plain_values_say_more_and_points_are_said_to_be_points(bwd, pattern, wanted, text):
    found = diagnosis(bwd, pattern)
    assert found.kind == wanted
    assert text in found.text


def wrong_when_narrow_and_large(x, g, *, factor=2.0):
    lost = (x.dtype == jnp.float32) & (jnp.abs(x).max() > 5)
    return (2 * factor * x * g * jnp.where(lost, 1.1, 1.0).astype(g.dtype),)


def test_a_bug_on_extreme_values_is_a_loss_of_digits():
    found = diagnosis(wrong_when_narrow_and_large, "tails")
    assert found.kind == "cancellation"
    assert "on tails values" in found.text


def sum_fwd(x):
    return x.sum(0) + 0 * x, x


def wrong_when_long(x, g):
    x_bar = jnp.broadcast_to(g.sum(0), x.shape)
    if len(x) > 4:
        x_bar = x_bar + jnp.cos(3.0 * jnp.arange(x.size)).reshape(x.shape) * g.sum()
    return (x_bar.astype(g.dtype),)


def test_a_bug_at_some_sizes_only_says_so():
    found = diagnosis(
        wrong_when_long, "normal", sum_fwd, lambda each: each.shapes and each.shapes[0][0] == 13
    )
    assert found.kind == "size"
    assert "wrong at the shapes [(13," in found.text


def message(name, text):
    case = Case(None, "normal", "normal", 0)
    return failed(name, case._replace(variant=NO_VARIANT), text).failure


NO_VARIANT = variants(make_target((scaled_fwd, wrong_sign), shapes="n"))[0]
SAID = [
    ("contract", "the cotangent of x has dtype float16, expected float32", "dtype"),
    ("contract", "the cotangent of x has shape (2,), expected (3,)", "shape"),
    ("contract", "bwd returned 1 cotangents, expected 2", "contract"),
    ("buffers", "the gradient differs where x is not contiguous", "layout"),
    ("buffers", "backward changes x", "not repeatable"),
    ("linearity", "", "upstream ignored"),
    ("16 bits", "bfloat16", "dtype"),
    ("jit", "", "not repeatable"),
    ("repeat", "", "not repeatable"),
    ("vmap", "", "batching"),
    ("second order", "", "second order"),
    ("unused", "where only output 0 is used", "term missing"),
    ("finite differences", "", "wrong formula"),
    ("forward", "float64", "wrong formula"),
]


@pytest.mark.parametrize(("name", "text", "kind"), SAID)
def test_each_check_has_a_diagnosis_of_its_own(name, text, kind):
    found = of_a_check(name, message(name, text))
    assert found.kind == kind
    assert text in found.text
    assert found.text


def test_a_check_without_a_failure_has_a_diagnosis_too():
    assert of_a_check("vmap", None).text == "another gradient under jax.vmap than one by one"
    assert of_a_check("contract", None).kind == "contract"


def test_no_check_is_left_out():
    numbers = {"jacobian", "gradient float64", "gradient float32"}
    assert {name for name, _, _ in SAID} == set(CHECKS) - numbers


def test_where_an_error_is_too_faint_to_be_told_other_values_tell_it():
    """For targets that sum to 1, but for rounding, the missing factor is 1."""

    def loss_fwd(x, t):
        return -jnp.sum(t * jax.nn.log_softmax(x)), (x, t)

    def loss_bwd(residuals, y_bar):
        x, t = residuals
        return y_bar * (jax.nn.softmax(x) - t), -y_bar * jax.nn.log_softmax(x)

    t = jax.nn.softmax(jnp.array([0.3, 1.2, -0.4, 2.0, 0.1]))
    x = jnp.array([0.5, -1.0, 2.0, 0.1, 1.0])
    found = diagnosis(loss_bwd, "normal", fwd=loss_fwd, examples=(x, t))
    assert found.kind not in {"dtype", "cancellation"}


def test_a_slope_that_is_lost_in_the_tails_is_not_dropped():
    def tanh_fwd(x):
        y = jnp.tanh(x)
        return y, y

    def tanh_bwd(y, y_bar):
        return ((1 - y * y) * y_bar,)

    for pattern in ("wide", "tails"):
        found = diagnosis(tanh_bwd, pattern, fwd=tanh_fwd)
        assert found.kind == "cancellation"
        assert "digits are lost" in found.text


def test_entries_that_tie_and_have_all_of_the_cotangent_each_are_called_that():
    def largest_fwd(x):
        return jnp.max(x, axis=-1), x

    def all_bwd(x, y_bar):
        return (jnp.where(x == x.max(-1, keepdims=True), y_bar[:, None], 0),)

    found = diagnosis(all_bwd, "nothing", fwd=largest_fwd)
    assert found.kind == "isolated point"
    assert found.text.startswith("where 2 entries tie, each gets all of the cotangent")
