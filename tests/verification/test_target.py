"""Functions with a rule of their own: custom_jvp, and arguments that are passed as they are."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.errors import TargetError
from purebp.verification.cases import Case, make_args, variants
from purebp.verification.checks import CHECKS
from purebp.verification.probe import Probe
from purebp.verification.target import Target, make_target

X = jnp.array([[1.0, -2.0, 0.5], [0.25, -1.0, 2.0]])
KINDS = ("vjp", "jvp")


def power(n, x, scale):
    return scale * x**n


def ruled(kind, factor=1.0, **fixed):
    """`scale x^n` with a rule of either kind, its derivative in x off by a factor."""
    fixed = fixed or {"nondiff_argnums": (0, 2)}
    made = partial(jax.custom_vjp if kind == "vjp" else jax.custom_jvp, **fixed)(power)

    def slope(n, x, scale):
        return factor * scale * n * x ** (n - 1)

    def jvp(n, scale, primals, tangents):
        return power(n, *primals, scale), slope(n, *primals, scale) * tangents[0]

    def fwd(n, x, scale):
        return power(n, x, scale), x

    def bwd(n, scale, x, g):
        return (slope(n, x, scale) * g,)

    if kind == "vjp":
        made.defvjp(fwd, bwd)
    else:
        made.defjvp(jvp)
    return made


def squared(factor=2.0):
    @jax.custom_jvp
    def square(x):
        return x * x

    @square.defjvp
    def square_jvp(primals, tangents):
        return primals[0] ** 2, factor * primals[0] * tangents[0]

    return square


def settings_of(target: Target):
    return {variant.settings for variant in variants(target)}


@pytest.mark.parametrize("kind", KINDS)
def test_fixed_arguments_become_options_and_the_others_arguments(kind):
    made = make_target(ruled(kind), examples=(3, X, 0.5))
    assert [parameter.name for parameter in made.parameters] == ["x"]
    assert made.options["n"][0] == 3
    assert made.options["scale"][0] == 0.5
    assert len(made.options["n"]) > 1
    assert made.reference_name == "the undecorated body"
    (x,) = make_args(made, Case(variants(made)[0], "normal", "normal", 0))
    assert x is X


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_put_back_in_their_places(kind):
    made = make_target(ruled(kind), examples=(3, X, 0.5))
    settings = {"n": 2, "scale": 3.0}
    np.testing.assert_allclose(made.forward(settings, X), 3 * X**2, rtol=1e-6)
    np.testing.assert_allclose(made.reference(settings, X), 3 * X**2, rtol=1e-6)
    y, bars = made.pull(settings, (X,), jnp.ones_like(X))
    np.testing.assert_allclose(y, 3 * X**2, rtol=1e-6)
    assert len(bars) == 1
    np.testing.assert_allclose(bars[0], 6 * X, rtol=1e-6)


def test_the_pull_is_the_rules_own_and_not_that_of_the_body():
    for kind in KINDS:
        made = make_target(ruled(kind, factor=5.0), examples=(2, X, 1.0))
        _, (bar,) = made.pull({"n": 2, "scale": 1.0}, (X,), jnp.ones_like(X))
        np.testing.assert_allclose(bar, 10 * X, rtol=1e-6)


def test_arguments_fixed_by_name_are_found_too():
    made = make_target(ruled("vjp", nondiff_argnames=("n", "scale")), examples=(3, X, 0.5))
    assert [parameter.name for parameter in made.parameters] == ["x"]
    assert made.options["n"][0] == 3


def test_other_values_of_fixed_arguments_are_tried_and_static_has_the_last_word():
    tried = settings_of(make_target(ruled("vjp"), examples=(3, X, 0.5)))
    assert (("n", 3), ("scale", 0.5)) in tried
    assert (("n", 4), ("scale", 0.5)) in tried
    held = make_target(ruled("vjp"), None, {"n": 3, "scale": [0.5, 2.0]}, None, (3, X, 0.5))
    assert settings_of(held) == {(("n", 3), ("scale", 0.5)), (("n", 3), ("scale", 2.0))}


def test_fixed_arguments_of_any_kind_are_kept():
    @partial(jax.custom_jvp, nondiff_argnums=(1, 2))
    def apply(x, function, mode):
        return function(x) if mode == "plain" else -function(x)

    made = make_target(apply, examples=(X, jnp.sin, "plain"))
    assert settings_of(made) == {(("function", jnp.sin), ("mode", "plain"))}


def test_a_fixed_argument_without_a_value_is_asked_for():
    with pytest.raises(TargetError, match="'scale'"):
        variants(make_target(ruled("vjp"), None, {"n": 2}, "a b"))
    assert settings_of(make_target(ruled("vjp"), None, {"n": 2, "scale": 1.0}, "a b"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_functions_constants_are_read_through_its_rule(kind):
    made = make_target(ruled(kind), examples=(3, X, 0.625))
    assert made.given is not None
    assert 0.625 in made.given.pool.floats


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_with_fixed_arguments_that_is_wrong_is_caught(kind):
    made = make_target(ruled(kind, factor=3.0), examples=(2, X[0], 0.5))
    probe = Probe(made, variants(made)[0], quick=True)
    assert CHECKS["jacobian"](probe, probe.first).failure is not None
    made = make_target(ruled(kind), examples=(2, X[0], 0.5))
    probe = Probe(made, variants(made)[0], quick=True)
    assert CHECKS["jacobian"](probe, probe.first).failure is None
    assert CHECKS["contract"](probe, probe.first).failure is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_rule_passes(kind):
    static = {"n": 2, "scale": 0.5}
    report = purebp.verify(ruled(kind), shapes="3", static=static, max_examples=1)
    assert (report.target, report.verdict) == ("power", "pass"), str(report)


def test_a_custom_jvp_that_is_wrong_is_diagnosed():
    report = purebp.verify(squared(3.0), shapes="3", max_examples=1)
    assert report.checks["jacobian"].verdict == "fail"
    assert report.diagnosis == ("factor", "x_bar is 1.5 times too large")


def test_a_fixed_argument_that_is_left_out_has_its_default():
    @partial(jax.custom_jvp, nondiff_argnums=(1,))
    def apply(x, power=3):
        return x**power

    made = make_target(apply, examples=(X,))
    assert made.options["power"][0] == 3
    np.testing.assert_allclose(made.reference({"power": 3}, X), X**3)


@pytest.mark.xfail(
    strict=True, raises=TypeError, reason="the settings of a variant have to be hashable"
)
def test_a_list_as_a_fixed_argument_is_kept():
    @partial(jax.custom_jvp, nondiff_argnums=(1,))
    def total(x, axes):
        return x.sum(tuple(axes))

    total.defjvp(lambda axes, x, dx: (x[0].sum(tuple(axes)), dx[0].sum(tuple(axes))))
    made = make_target(total, examples=(X, [0, 1]))
    probe = Probe(made, variants(made)[0], quick=True)
    assert CHECKS["jacobian"](probe, probe.first).failure is None


@pytest.mark.xfail(
    strict=True, raises=ValueError, reason="its numbers are compared as one, and are not hashable"
)
def test_an_array_as_a_fixed_argument_is_kept():
    @partial(jax.custom_jvp, nondiff_argnums=(1,))
    def weighted(x, weights):
        return x * weights

    weighted.defjvp(lambda weights, x, dx: (x[0] * weights, dx[0] * weights))
    made = make_target(weighted, examples=(X, np.arange(3.0)))
    probe = Probe(made, variants(made)[0], quick=True)
    assert CHECKS["jacobian"](probe, probe.first).failure is None


def test_a_function_that_closes_over_a_key_can_be_a_target():
    key = jax.random.key(0)

    @jax.custom_jvp
    def noisy(x):
        return x + jax.random.normal(key, x.shape)

    assert make_target(noisy, examples=(X,)).given is not None


def test_infinities_in_an_example_are_looked_at_without_a_warning():
    made = make_target(squared(), examples=(X,))
    probe = Probe(made, variants(made)[0], quick=True)
    case = Case(probe.variant, "some infinite", "normal", 1)
    assert CHECKS["jacobian"](probe, case).failure is None


def pool_forward(x, size=2, mode="mean"):
    blocks = x.reshape(len(x), -1, size)
    return (blocks.sum(-1) if mode == "sum" else blocks.mean(-1)), (x.shape, size, mode)


def pool_backward(dout, cache):
    shape, size, mode = cache
    return np.repeat(dout, size, axis=-1).reshape(shape) / (size if mode == "mean" else 1)


def given_of_target(target, *examples):
    made = make_target(target, examples=examples).given
    assert made is not None
    return made


def test_options_of_numpy_code_may_be_given_by_position():
    pair, x = (pool_forward, pool_backward), np.arange(24.0).reshape(2, 12)
    assert len(given_of_target(pair, x, 3, "mean").leaves) == 1
    options = make_target(pair, examples=(x, 3, "mean")).options
    assert (options["size"][0], options["mode"]) == (3, ("mean",))
    assert purebp.verify(pair, x, 3, "sum", budget="quick").ok


def test_a_class_is_refused_with_how_to_make_an_object():
    class Layer:
        def forward(self, x):
            return x

    with pytest.raises(TargetError, match=r"a class, expected an object .* as Layer\(\.\.\.\)"):
        make_target(Layer, examples=(X,))


def test_no_nan_is_put_into_a_matrix_that_is_factorised():
    def log_det_fwd(a):
        return jnp.linalg.slogdet(a)[1], jnp.linalg.inv(a)

    pair = (log_det_fwd, lambda inverse, y_bar: (y_bar * inverse.T,))
    plain = (lambda a: (a, ()), lambda _, y_bar: (y_bar,))
    left = [set(given_of_target(each, jnp.eye(3) + 0.1).patterns) for each in (pair, plain)]
    assert left[1] - left[0] == {"some nan", "some infinite"}


def test_a_pair_whose_forward_calls_the_function_is_not_held_against_its_own_rule():
    @jax.custom_vjp
    def scale(x, w):
        return x * w

    def fwd(x, w):
        return scale(x, w), (x, w)

    def wrong(res, y_bar):
        x, w = res
        return y_bar * w, 3 * y_bar * x

    def right(res, y_bar):
        x, w = res
        return y_bar * w, y_bar * x

    scale.defvjp(fwd, wrong)
    x = jnp.arange(1.0, 4.0)
    report = purebp.verify((fwd, wrong), x, x, budget="quick")
    assert report.checks["jacobian"].verdict == "fail"
    assert "w_bar is 3 times too large" in str(report)
    assert purebp.verify((fwd, right), x, x, budget="quick").ok
