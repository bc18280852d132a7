"""Slopes of a function of JAX by finite differences, with their error bars."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.compat import enable_x64
from purebp.verification.by_differences import by_differences

X = np.random.default_rng(0).standard_normal((2, 3))


def smooth(params, x, labels):
    scores = jnp.tanh(x @ params["w"]) * params["b"]
    return {"loss": jnp.sum(scores[jnp.arange(2), labels] ** 2), "scores": scores, "n": labels}


def pulled(function, *args):
    y, pull = jax.vjp(function, *args)
    bars = {"loss": 1.5 * jnp.ones(()), "scores": jnp.cos(y["scores"])}
    return pull({**bars, "n": np.zeros(2, jax.dtypes.float0)})


def test_the_slopes_are_those_of_autodiff():
    with enable_x64(True):
        w, b = np.linspace(-1, 1, 12).reshape(3, 4), np.linspace(0.5, 2, 4)
        args = ({"w": jnp.asarray(w), "b": jnp.asarray(b)}, jnp.asarray(X), jnp.asarray([1, 3]))
        found, expected = pulled(by_differences(smooth), *args), pulled(smooth, *args)
        for got, right in zip(
            jax.tree.leaves(found[:2]), jax.tree.leaves(expected[:2]), strict=True
        ):
            np.testing.assert_allclose(got, right, rtol=1e-8, atol=1e-9)
        assert found[2].dtype == jax.dtypes.float0


@pytest.mark.parametrize("holomorphic", [True, False])
def test_complex_numbers_pair_as_they_do_in_jax(holomorphic):
    def function(z):
        return z * z if holomorphic else jnp.abs(z) + jnp.conj(z)

    with enable_x64(True):
        z = jnp.asarray(X[0] + 1j * X[1])
        bar = jnp.cos(z) if holomorphic else jnp.cos(z) + 1j
        found, expected = (
            jax.vjp(f, z)[1](bar.astype(f(z).dtype))[0]
            for f in (by_differences(function), function)
        )
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_at_a_kink_and_without_digits_there_is_no_number():
    with enable_x64(True):
        slope = jax.grad(by_differences(jnp.abs))(0.0)
        rough = jax.grad(by_differences(lambda x: jnp.sin(x).astype(jnp.float32)))
        steep = rough(jnp.asarray(0.7))
    assert np.isnan(slope)
    assert np.isnan(steep)


def test_an_output_that_is_not_used_hides_none():
    def both(x):
        return jnp.stack([abs(x), x * x])

    with enable_x64(True):
        found = jax.grad(lambda x: by_differences(both)(x)[1])(0.0)
    np.testing.assert_allclose(found, 0.0, atol=1e-9)


def test_the_whole_jacobian_runs_the_function_no_more_often_than_a_row():
    with enable_x64(True):
        found = jax.jacobian(by_differences(jnp.sin))(jnp.asarray(X[0]))
    np.testing.assert_allclose(found, np.diag(np.cos(X[0])), rtol=1e-9, atol=1e-10)
