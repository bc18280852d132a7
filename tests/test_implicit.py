"""Fixed points and differential equations: against the unrolled loops and closed forms."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp import ArgumentError, ConvergenceError, OptionError, ShapeError
from purebp.combine import chain
from purebp.compat import enable_x64, jit_once
from purebp.gates import tanh
from purebp.implicit import fixed_point, ode
from purebp.layers import affine

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(2, 3)), 0.3 * RNG.normal(size=(3, 3)), RNG.normal(size=3)
CELL = chain(affine, tanh)


def cell_fwd(x, w, b):
    """tanh(x w + b), its params as arguments."""
    y, res = CELL.fwd(x, ((w, b), ()))
    return y, res


def cell_bwd(res, y_bar):
    x_bar, ((w_bar, b_bar), _) = CELL.bwd(res, y_bar)
    return x_bar, w_bar, b_bar


def field_fwd(x, t, w):
    """x' = tanh(x w) cos t."""
    y = jnp.tanh(x @ w)
    return y * jnp.cos(t), (x, w, y, t)


def field_bwd(res, bar):
    x, w, y, t = res
    inner = bar * jnp.cos(t) * (1 - y * y)
    return inner @ w.T, -jnp.sin(t) * jnp.sum(bar * y), x.T @ inner


def grads(op, loss, *args):
    return jit_once(jax.grad(lambda args: loss(op(*args)), allow_int=True))(args)


def test_the_gradient_of_a_fixed_point_is_that_of_many_steps():
    with enable_x64(True):
        op = fixed_point((cell_fwd, cell_bwd), tolerance=1e-14, limit=200)
        params = jnp.asarray(W), jnp.asarray(B)

        def loss(out):
            return jnp.sum(jnp.sin(out[0]))

        (x, aux) = jit_once(op)(params, jnp.zeros((2, 3)))
        assert aux.converged
        assert 5 < aux.steps < 100
        np.testing.assert_allclose(x, np.tanh(x @ W + B), atol=1e-13)
        came = grads(op, loss, params, jnp.asarray(X))
        plain = grads(op.define, loss, params, jnp.asarray(X))
        for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(plain), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
        assert not came[1].any()


def half_fwd(x, a):
    return x / 2 + a, None


def half_bwd(res, bar):
    return bar / 2, bar


def test_the_fixed_point_of_a_line():
    half = fixed_point((half_fwd, half_bwd))
    x, aux = half((jnp.float32(3),), jnp.float32(0))
    assert x == pytest.approx(6, rel=1e-5)
    assert jax.grad(lambda a: half((a,), jnp.float32(0))[0])(3.0) == pytest.approx(2, rel=1e-5)
    assert aux.converged


def test_aux_says_that_a_search_did_not_end():
    op = fixed_point((cell_fwd, cell_bwd), tolerance=1e-6, limit=3)
    _, aux = jit_once(op)((W, B), X)
    assert not aux.converged
    assert aux.steps == 3
    assert aux.change > 1e-6


def test_without_jit_a_search_that_does_not_end_is_an_error():
    op = fixed_point((cell_fwd, cell_bwd), tolerance=1e-6, limit=3)
    message = r"fixed_point\(cell\): x = f\(x\) has not converged after 3 steps: the last change is"
    args = tuple(np.float32(each) for each in (W, B)), np.float32(X)
    with pytest.raises(ConvergenceError, match=message):
        op.fwd(*args)
    with pytest.raises(
        ConvergenceError, match=r"raise limit or tolerance if it falls, else make f"
    ):
        op(*args)


def test_under_jit_the_gradient_of_a_search_that_did_not_end_is_nan():
    short = fixed_point((cell_fwd, cell_bwd), tolerance=1e-6, limit=3)
    w_bar, b_bar = grads(short, lambda out: jnp.sum(out[0]), (W, B), X)[0]
    assert np.isnan(w_bar).all()
    assert np.isnan(b_bar).all()


def slow_fwd(x, a):
    """At once where it was before: f_x is 0.99 there, but f(x) = x at the start."""
    return a + 0.99 * (x - a), None


def slow_bwd(res, bar):
    return 0.99 * bar, 0.01 * bar


def test_a_way_back_that_does_not_end_is_an_error_or_nan():
    """The search ends at once, for it begins at its end; the way back needs 1,400 steps."""
    slow = fixed_point((slow_fwd, slow_bwd), name="slow")
    one = jnp.float32(1)
    (x, aux), res = slow.fwd((one,), one)
    assert (x, aux.converged) == (1, True)
    with pytest.raises(ConvergenceError, match=r"slow: backward, w = x_bar .* after 100 steps"):
        slow.bwd(res, 1.0)
    assert np.isnan(grads(slow, lambda out: out[0], (one,), one)[0][0])
    patient = fixed_point((slow_fwd, slow_bwd), limit=2000)
    assert grads(patient, lambda out: out[0], (one,), one)[0][0] == pytest.approx(1, rel=1e-3)


def test_a_small_cotangent_is_carried_as_far_as_a_large_one():
    """The way back ends where w changes little against w, not against 1."""
    half = fixed_point((half_fwd, half_bwd))
    _, res = half.fwd((jnp.float32(3),), jnp.float32(0))
    for size in (1.0, 1e-12, 1e12, 0.0):
        ((a_bar,), start_bar) = half.bwd(res, size)
        assert a_bar == pytest.approx(2 * size, rel=1e-5)
        assert start_bar is None


def thirds_bwd(res, bar):
    """A planted bug: f_x is 1/2."""
    return bar / 3, bar


def test_a_planted_bug_is_found():
    wrong = fixed_point((half_fwd, thirds_bwd))
    a_bar = jax.grad(lambda a: wrong((a,), jnp.float32(0))[0])(3.0)
    assert a_bar == pytest.approx(1.5, rel=1e-5)  # not 2


class Named(NamedTuple):
    """Params by their names."""

    a: Any


def test_params_may_be_a_named_tuple():
    half = fixed_point((half_fwd, half_bwd))
    bars = jax.grad(lambda params: half(params, jnp.float32(0))[0])(Named(jnp.float32(3)))
    assert isinstance(bars, Named)
    growth = ode((growth_fwd, growth_bwd), steps=4)
    bars = jax.grad(lambda params: growth(jnp.float32(2), params))(Named(jnp.float32(0.5)))
    assert isinstance(bars, Named)


def wave_fwd(x, a, b):
    """a + sin(x + b) / 4 + its neighbour / 4: a contraction, whatever a and b are."""
    return a + jnp.sin(x + b) / 4 + jnp.roll(x, 1, axis=-1) / 4, jnp.cos(x + b)


def wave_bwd(slope, bar):
    bent = bar * slope / 4
    return bent + jnp.roll(bar, -1, axis=-1) / 4, bar, bent


def as_float32(*arrays):
    return tuple(jnp.asarray(each, jnp.float32) for each in arrays)


def test_a_fixed_point_passes_every_check():
    op = fixed_point((wave_fwd, wave_bwd), tolerance=1e-16)
    x = X[:1]
    a, b, start = as_float32(x, np.cos(x), 0 * x)
    purebp.verify(op, (a, b), start, max_examples=1).raise_if_failed()


def test_an_equation_passes_every_check():
    op = ode((field_fwd, field_bwd), steps=2, kept=2)
    x, w = as_float32(X[:1, :2], W[:2, :2])
    purebp.verify(op, x, (w,), max_examples=1).raise_if_failed()


def test_vmap_of_a_fixed_point():
    op = fixed_point((cell_fwd, cell_bwd))
    scales = jnp.array([0.1, 1.0])

    def of(scale):
        return jax.grad(lambda b: jnp.sum(op((W * scale, b), X)[0]))(jnp.asarray(B))

    both = jit_once(jax.vmap(of))(scales)
    np.testing.assert_allclose(both[1], jit_once(of)(1.0), rtol=1e-4)


@pytest.mark.parametrize("kept", [1, 4])
def test_the_gradient_of_an_equation_is_that_of_its_steps(kept):
    with enable_x64(True):
        op = ode((field_fwd, field_bwd), span=(0.5, 2.0), steps=12, kept=kept)
        args = jnp.asarray(X), (jnp.asarray(W),)

        def loss(y):
            return jnp.sum(jnp.sin(y))

        np.testing.assert_allclose(jit_once(op)(*args), op.define(*args), rtol=1e-13)
        came, plain = grads(op, loss, *args), grads(op.define, loss, *args)
        for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(plain), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
        _, res = op.fwd(*args)
        assert res.values[0].shape == (12 // kept, 2, 3)


def growth_fwd(x, t, a):
    return a * x, (x, a, t)


def growth_bwd(res, bar):
    x, a, t = res
    return a * bar, 0 * t, jnp.sum(x * bar)


def test_exponential_growth():
    op = ode((growth_fwd, growth_bwd), steps=40)
    x, a = jnp.float32(2), jnp.float32(0.7)
    assert op(x, (a,)) == pytest.approx(2 * np.exp(0.7), rel=1e-5)
    x_bar, a_bar = jax.grad(lambda x, a: op(x, (a,)), (0, 1))(x, a)
    assert x_bar == pytest.approx(np.exp(0.7), rel=1e-5)
    assert a_bar == pytest.approx(2 * np.exp(0.7), rel=1e-5)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ArgumentError, match=r"fixed_point: f is .*, expected an Op or a pair"):
        fixed_point(jnp.tanh)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="limit 0, expected numbers above 0"):
        fixed_point(tanh, limit=0)
    with pytest.raises(OptionError, match="kept is 5, expected a divisor of the 12 steps"):
        ode(tanh, steps=12, kept=5)
    with pytest.raises(ShapeError, match=r"f returns float32\[2, 2\], expected float32\[2, 3\]"):
        fixed_point(affine)((jnp.ones((3, 2)), jnp.ones(2)), jnp.ones((2, 3)))
