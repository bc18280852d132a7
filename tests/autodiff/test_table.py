"""Every rule of the table against `jax.grad`, on programs that reach it."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp.autodiff import Rule, grad
from purebp.autodiff.table import RULES
from purebp.compat import enable_x64, jit_once
from purebp.errors import CotangentError, NoRuleError, OptionError
from purebp.verification.rules import equations
from tests.autodiff.programs import BEYOND, CALLS, LOOPS, MATRICES, PROGRAMS, W, X

RTOL = 1e-9
UNREACHED = {
    *("add_any", "pjit", "closed_call", "core_call", "remat2", "checkpoint", "core_closed_call"),
    *("device_put", "copy_p", "sharding_constraint", "reshard", "copy"),
    *("scatter-sub", "scatter-min", "igammac", "regularized_incomplete_beta", "round", "ceil"),
    *("cummin", "householder_product", "tridiagonal_solve", "reduce_window_min", "stack"),
    *("name", "log2", "one_minus_square", "polynomial", "eval_jaxpr", "call_hi_primitive"),
    *("pure_callback", "io_callback", "while", "cummax", "unstack", "reduce_precision", "rem"),
    *("shard_map", "psum", "psum_invariant", "pvary", "pmax", "pmin"),
    *("sign of complex numbers", "all_gather", "reduce_scatter", "ppermute", "all_to_all"),
}
"""Names of other versions of JAX, and those that have a test of their own."""
TWICE = {**LOOPS, **CALLS, **MATRICES}
ONCE = {"samples", "log samples", "complex eigenvalues"}
"""JAX's own slope of a gamma sample is a loop; it has none of eigenvectors."""


def assert_equal(came, expected):
    for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=RTOL * np.max(np.abs(b), initial=1e-3))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_gradient_is_that_of_jax(name):
    function, args = PROGRAMS[name]
    places = tuple(range(len(args)))
    with enable_x64(True):
        both = jit_once(
            lambda *args: (grad(function, places)(*args), jax.grad(function, places)(*args))
        )
        came, expected = both(*map(jnp.asarray, args))
        assert_equal(came, expected)


@pytest.mark.parametrize("name", [name for name in TWICE if name not in ONCE])
def test_second_derivatives_are_those_of_jax(name):
    function, args = TWICE[name]

    def slope(derive, *args):
        return sum(jnp.sum(bar**2) for bar in derive(function, tuple(range(len(args))))(*args))

    def twice(outer, inner, first, *others):
        return outer(lambda x: slope(inner, x, *others))(first)

    def of_slopes(*args):
        ways = itertools.product((jax.grad, grad), repeat=2)
        return [twice(outer, inner, *args) for outer, inner in ways]

    with enable_x64(True):
        expected, *others = jit_once(of_slopes)(*map(jnp.asarray, args))
        for came in others:
            assert_equal(came, expected)


@pytest.mark.parametrize("name", BEYOND)
def test_where_jax_has_no_rule_a_gradient_is_that_of_differences(name):
    function, args = BEYOND[name]
    with enable_x64(True):
        args = tuple(map(jnp.asarray, args))
        bars = grad(function, tuple(range(len(args))))(*args)
        for place, (x, bar) in enumerate(zip(args, bars, strict=True)):
            for entry in ((0, 0), (2, 3)):
                step = jnp.zeros(x.shape).at[entry].set(1e-5)
                up, down = (
                    function(*args[:place], x + sign * step, *args[place + 1 :]) for sign in (1, -1)
                )
                assert float(bar[entry]) == pytest.approx(
                    float(up - down) / 2e-5, rel=1e-6, abs=1e-8
                )


def test_products_of_groups_have_second_derivatives_which_jax_has_not():
    w = np.stack([W, W.T, W @ W])

    def grouped(x, w):
        return jnp.sum(lax.ragged_dot(x, w, np.asarray([2, 0, 1])) ** 3)

    def plain(x, w):
        return jnp.sum(jnp.einsum("mk,mkn->mn", x, w[np.asarray([0, 0, 2])]) ** 3)

    def second(grad, function):
        def slopes(*args):
            return sum(jnp.sum(bar**2) for bar in grad(function, (0, 1))(*args))

        return grad(slopes, (0, 1))(jnp.asarray(X), jnp.asarray(w))

    with enable_x64(True):
        assert_equal(second(grad, grouped), second(jax.grad, plain))


def test_every_rule_is_reached_by_a_program():
    reached = set[str]()
    with enable_x64(True):
        for function, args in (*PROGRAMS.values(), *BEYOND.values()):
            jaxpr = jax.make_jaxpr(function)(*map(jnp.asarray, args))
            reached |= {equation.primitive.name for equation in equations(jaxpr)}
    assert set(RULES) - reached <= UNREACHED


def test_without_a_rule_the_name_and_the_line_are_told(monkeypatch):
    monkeypatch.delitem(RULES, "sin")
    with pytest.raises(
        NoRuleError, match=r"'sin' has no rule; give one with rules=.*at .*test_table"
    ):
        grad(lambda x: 2 * jnp.sin(x))(1.0)


def sine_forward(step, args):
    return [jnp.sin(args[0])], args[0]


def sine_backward(step, x, bars):
    return [10 * bars[0] * jnp.cos(x)]


def test_a_rule_of_a_user_takes_the_place_of_the_tables_own():
    rules = {"sin": Rule(sine_forward, sine_backward), "cos": None}
    slope = grad(lambda x: jnp.sin(x) + jnp.cos(x), rules=rules)(0.5)
    assert float(slope) == pytest.approx(10 * np.cos(0.5), rel=1e-6)


@pytest.mark.parametrize(
    ("bar", "message"),
    [
        (jnp.ones(3), r"the rule of 'sin' gave a cotangent of shape \(3,\)"),
        (jnp.ones((2, 2), jnp.bfloat16), "dtype bfloat16, expected"),
    ],
)
def test_a_rule_that_gives_the_wrong_shape_or_dtype_is_named(bar, message):
    wrong = Rule(sine_forward, lambda *_: [bar])
    with pytest.raises(CotangentError, match=message):
        grad(lambda x: jnp.sum(jnp.sin(x)), rules={"sin": wrong})(jnp.ones((2, 2)))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule(sine_forward, lambda *_: []), "gave a list of 0, expected a list of 1: a cotangent"),
        (Rule(sine_forward, lambda *_: None), "gave None, expected a list of 1: a cotangent each"),
        (Rule(lambda *_: ([], None), sine_backward), "gave a list of 0.* 1: an output each"),
        (Rule(lambda *_: ([jnp.ones(7)], None), sine_backward), r"an output of shape \(7,\)"),
    ],
)
def test_a_rule_that_gives_too_few_or_something_else_is_named(rule, message):
    with pytest.raises(CotangentError, match=f"{message}.*test_table"):
        grad(lambda x: jnp.sum(jnp.sin(x)), rules={"sin": rule})(jnp.ones((2, 2)))


def test_an_error_inside_of_a_rule_is_told_with_the_users_line():
    def backward(*_):
        raise ZeroDivisionError("here")

    @jax.jit
    def loop(x):
        return lax.fori_loop(0, 3, lambda _, y: jnp.sin(y), x)

    with pytest.raises(ZeroDivisionError) as caught:
        grad(loop, rules={"sin": Rule(sine_forward, backward)})(1.0)
    notes = [note for note in caught.value.__notes__ if "rule" in note]
    assert len(notes) == 1
    assert re.search("in the rule of 'sin', at .*test_table.*", notes[0])


def test_what_is_no_rule_is_refused():
    with pytest.raises(OptionError, match=r"rules has a function for 'sin', expected .*Rule"):
        grad(jnp.sin, rules={"sin": sine_backward})(1.0)


def written(x):
    """A mutable array with x in it."""
    ref = jax.new_ref(jnp.zeros(()))
    ref[...] = 2 * x
    return ref


def added_up(x):
    """A mutable array that a loop writes to: the loop itself returns nothing of it."""
    ref = jax.new_ref(jnp.zeros(()))

    def turn(k, carry):
        ref[...] = ref[...] + x
        return carry

    lax.fori_loop(0, 3, turn, 0)
    return ref


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda x: lax.while_loop(lambda y: y < 9.0, lambda y: 2 * y, x),
            "keeps nothing to run back",
        ),
        (
            lambda x: jax.pure_callback(np.sin, jax.ShapeDtypeStruct((), x.dtype), x),
            "nobody knows the derivative of a callback",
        ),
        (lambda x: written(x)[...], "swap.* mutable array"),
        (lambda x: added_up(x)[...], "scan.* mutable array"),
        (lambda x: jnp.real(lax.linalg.eig(x * X @ X.T)[1][0, 0]), "left eigenvectors"),
        (lambda x: jnp.sum(jnp.linalg.svd(x * X)[0]), "no functions of the matrix"),
        (lambda x: jnp.sum(jnp.linalg.qr(x * X.T, "complete")[0]), "further columns of q"),
    ],
)
def test_what_has_no_derivative_is_refused_with_the_line(function, message):
    with pytest.raises(NoRuleError, match=message) as caught:
        jax.jit(grad(function))(1.0)
    assert "test_table.py" in str(caught.value)
