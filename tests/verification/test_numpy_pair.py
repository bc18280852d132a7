"""NumPy layers as callbacks: what they are handed, what must come back, slopes by differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.compat import enable_x64
from purebp.errors import CotangentError
from purebp.verification.cases import variants
from purebp.verification.checks import CHECKS
from purebp.verification.numpy_pair import NumpyPair, is_numpy_pair
from purebp.verification.probe import Probe
from purebp.verification.target import make_target

RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 4)), RNG.standard_normal(4)
G = RNG.standard_normal((2, 4))


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(0)


def expected_bars(x, w, b, g):
    with enable_x64(True):
        bars = jax.vjp(lambda x, w, b: x @ w + b, x, w, b)[1](g)
        return [np.asarray(bar) for bar in bars]


def pulled(backward, forward=affine_forward, args=(X, W, B), g=G, **settings):
    with enable_x64(True):
        return NumpyPair(forward, backward).pull(settings, tuple(map(jnp.asarray, args)), g)


def forward(x):
    return x, None


def with_cache(dout, cache):
    return dout


def residuals_first(res, g):
    return g


@pytest.mark.parametrize(
    ("target", "numpy"),
    [
        ((affine_forward, affine_backward), True),
        ((forward, with_cache), True),
        ((functools.partial(forward), with_cache), True),
        ((forward, residuals_first), False),
        ((forward, forward), False),
        ((affine_forward,), False),
        ((affine_forward, affine_backward, affine_backward), False),
        ((affine_forward, None), False),
        ([affine_forward, affine_backward], False),
        (affine_forward, False),
    ],
    ids=[*"abcdefghij"],
)
def test_a_pair_in_the_style_of_the_course_is_known_by_its_names(target, numpy):
    assert is_numpy_pair(target) == numpy


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["plain", "jit"])
def test_the_two_functions_run_in_jax(wrap):
    pair = NumpyPair(affine_forward, affine_backward)
    with enable_x64(True):
        y, bars = wrap(lambda *args: pair.pull({}, args, G))(X, W, B)
        alone = wrap(lambda *args: pair.run({}, *args))(X, W, B)
    np.testing.assert_array_equal(y, alone)
    np.testing.assert_allclose(y, X @ W + B, rtol=1e-14)
    for bar, expected in zip(bars, expected_bars(X, W, B, G), strict=True):
        np.testing.assert_allclose(bar, expected, rtol=1e-13)


def test_under_vmap_each_runs_alone():
    pair = NumpyPair(affine_forward, affine_backward)
    several = np.stack([X, 2 * X])
    with enable_x64(True):
        y, bars = jax.vmap(lambda x: pair.pull({}, (x, jnp.asarray(W), jnp.asarray(B)), G))(several)
    np.testing.assert_allclose(y, several @ W + B, rtol=1e-14)
    np.testing.assert_allclose(bars[1], np.swapaxes(several, 1, 2) @ G, rtol=1e-13)


def test_float32_arguments_are_computed_in_float64():
    seen = list[str]()

    def forward(x):
        seen.append(str(x.dtype))
        return 2 * x, None

    def backward(dout, cache):
        return 2 * dout

    y, (x_bar,) = NumpyPair(forward, backward).pull(
        {}, (jnp.ones(3, jnp.float32),), np.ones(3, np.float32)
    )
    jax.block_until_ready((y, x_bar))
    assert set(seen) == {"float64"}
    assert y.dtype == x_bar.dtype == jnp.float32


def rows_forward(table, rows, scale):
    return table[rows] * scale, (table, rows, scale)


def rows_backward(dout, cache):
    table, rows, scale = cache
    d_table = np.zeros_like(table)
    np.add.at(d_table, rows, dout * scale)
    return d_table, np.sum(dout * table[rows])


ROWS = (X, np.asarray([1, 1, 0]), np.float64(1.5))


@pytest.mark.parametrize("backward", [rows_backward, lambda d, c: (*rows_backward(d, c), None)])
def test_integers_have_no_gradient(backward):
    def in_order(dout, cache):
        first, second, *rest = backward(dout, cache)
        return (first, None, second) if rest else (first, second)

    _, bars = pulled(in_order, rows_forward, ROWS, np.ones((3, 3)))
    np.testing.assert_allclose(bars[0], 1.5 * np.asarray([[1.0] * 3, [2.0] * 3]))
    assert bars[1] is None
    assert bars[2] == pytest.approx(X[[1, 1, 0]].sum())


def test_one_gradient_needs_no_tuple():
    _, (x_bar,) = pulled(with_cache, lambda x: (x + 1, None), (X,), X)
    np.testing.assert_allclose(x_bar, X)


def test_several_outputs():
    def backward(dout, cache):
        return dout[0] + 2 * dout[1]

    (first, second), (x_bar,) = pulled(backward, lambda x: ((x, 2 * x), None), (X,), (X, 5 * X))
    np.testing.assert_allclose(second, 2 * np.asarray(first))
    np.testing.assert_allclose(x_bar, 11 * X)


def test_settings_reach_the_forward_function():
    def scaled_forward(x, *, scale=2.0):
        return scale * x, scale

    def scaled_backward(dout, cache):
        return cache * dout

    y, (x_bar,) = pulled(scaled_backward, scaled_forward, (X,), X, scale=5.0)
    np.testing.assert_allclose(y, x_bar)
    options = NumpyPair(scaled_forward, scaled_backward).options
    assert options.values["scale"][0] == 2.0
    assert len(options.values["scale"]) > 1


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (lambda d, c: affine_backward(d, c)[:2], "returned 2 gradients, expected 3.*x, w, b"),
        (lambda d, c: d @ c[1].T, "returned 1 gradients, expected 3"),
        (lambda d, c: (*affine_backward(d, c)[:2], d), r"gradient of b has shape \(2, 4\)"),
        (lambda d, c: (None, *affine_backward(d, c)[1:]), r"gradient of x has shape \(\)"),
    ],
    ids=["two of three", "one of three", "not summed", "none"],
)
def test_gradients_that_do_not_fit_are_refused(backward, message):
    with pytest.raises(CotangentError, match=message):
        NumpyPair(affine_forward, backward).try_out({}, (X, W, B))


def test_a_pair_that_fits_is_tried_without_a_word():
    NumpyPair(affine_forward, affine_backward).try_out({}, (X, W, B))


def test_what_a_layer_does_with_its_arrays_is_its_own_affair():
    def forward(x):
        x *= 2
        return x, x

    def backward(dout, cache):
        cache[...] = 0
        dout *= 2
        return dout

    given = jnp.asarray(X, jnp.float32)
    kept = np.array(given)
    y, (x_bar,) = NumpyPair(forward, backward).pull({}, (given,), kept)
    np.testing.assert_array_equal(given, kept)
    np.testing.assert_array_equal(y, 2 * kept)
    np.testing.assert_array_equal(x_bar, 2 * kept)


def slopes_of(forward, g, *args):
    pair = NumpyPair(forward, with_cache)
    with enable_x64(True):
        y, pull = jax.vjp(lambda *args: pair.by_differences({}, *args), *map(jnp.asarray, args))
        return np.asarray(y), [np.asarray(bar) for bar in pull(jnp.asarray(g))]


def test_slopes_by_differences_are_those_of_the_function():
    y, bars = slopes_of(affine_forward, G, X, W, B)
    np.testing.assert_allclose(y, X @ W + B, rtol=1e-14)
    for bar, expected in zip(bars, expected_bars(X, W, B, G), strict=True):
        np.testing.assert_allclose(bar, expected, rtol=1e-8, atol=1e-9)
    _, (bar,) = slopes_of(lambda x: (np.tanh(x) ** 2, None), np.ones(3), X[0])
    np.testing.assert_allclose(bar, 2 * np.tanh(X[0]) / np.cosh(X[0]) ** 2, rtol=1e-8)


def test_at_a_kink_differences_have_no_slope():
    x = np.asarray([0.0, 1.0, -1.0])
    _, (bar,) = slopes_of(lambda x: (np.maximum(x, 0), None), np.ones(3), x)
    np.testing.assert_allclose(bar, [np.nan, 1.0, 0.0], atol=1e-9)


def test_a_slope_that_is_not_known_does_not_count_where_nothing_comes_from_above():
    x = np.asarray([0.0, 1.0])
    _, (bar,) = slopes_of(lambda x: (np.abs(x), None), np.asarray([0.0, 3.0]), x)
    np.testing.assert_allclose(bar, [0.0, 3.0], atol=1e-9)


def test_the_last_slopes_are_kept():
    calls = list[int]()

    def forward(x):
        calls.append(1)
        return np.sin(x), None

    pair = NumpyPair(forward, with_cache)
    first = pair._jacobians({}, (X,))
    count = len(calls)
    assert pair._jacobians({}, (X,)) is first
    assert len(calls) == count
    second = pair._jacobians({}, (X + 1,))
    assert len(calls) > count
    np.testing.assert_allclose(np.diag(second[0]), np.cos(X.ravel() + 1), rtol=1e-8)


def probe_of(backward):
    made = make_target((affine_forward, backward), None, None, None, (X, W, B))
    return Probe(made, variants(made)[0])


def half_of_b(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, dw, db / 2


def slightly_wrong(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    dw[-1, -1] *= 1 + 1e-4
    return dx, dw, db


@pytest.mark.parametrize("check", ["contract", "gradient float64", "jacobian", "linearity"])
def test_the_checks_are_quiet_on_a_right_layer(check):
    probe = probe_of(affine_backward)
    outcome = CHECKS[check](probe, probe.first)
    assert outcome.failure is None
    assert not outcome.inconclusive


@pytest.mark.parametrize(("backward", "argument"), [(half_of_b, "b"), (slightly_wrong, "w")])
def test_the_checks_see_a_wrong_layer(backward, argument):
    probe = probe_of(backward)
    failure = CHECKS["gradient float64"](probe, probe.first).failure
    assert failure is not None
    assert failure.argument == argument


def test_many_points_go_through_the_forward_pass_one_by_one():
    probe = probe_of(affine_backward)
    _, rest, _ = probe.inputs(probe.first)
    points = RNG.standard_normal((3, X.size + W.size + B.size))
    values = probe.scalar_forward(rest, G.ravel())(points)
    ends = [X.size, X.size + W.size]
    for value, point in zip(values, points, strict=True):
        x, w, b = np.split(point, ends)
        y = x.reshape(X.shape) @ w.reshape(W.shape) + b
        assert value == pytest.approx(np.sum(G * y), rel=1e-12)


def gated_forward(x, w):
    gate = x @ w
    return gate / (1 + np.exp(-gate)), (x, w, gate)


def gated_backward(dout, cache):
    x, w, gate = cache
    opened = 1 / (1 + np.exp(-gate))
    dgate = dout * opened * (1 + gate * (1 - opened))
    return dgate @ w.T, x.T @ dgate


def test_no_alarm_where_large_slopes_leave_differences_few_digits():
    x, w = 300 * RNG.standard_normal((4, 3)), 1e-3 * RNG.standard_normal((3, 5))
    for seed in range(3):
        pair = (gated_forward, gated_backward)
        assert purebp.verify(pair, x, w, budget="quick", seed=seed).verdict == "pass"


def large_forward(x):
    return np.tile(x, 3), 3


def large_backward(dout, times):
    return dout.reshape(times, -1).sum(0)


def test_an_output_too_large_for_a_jacobian_is_checked_by_its_changes():
    report = purebp.verify((large_forward, large_backward), np.ones(50), budget="quick")
    assert report.checks["forward"].verdict == "pass"
