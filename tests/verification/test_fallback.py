"""Bodies that autodiff cannot go through, and kernels that this machine does not compile."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import pallas as pl

import purebp
from purebp.compat import enable_x64
from purebp.errors import TargetError
from purebp.verification.cases import variants
from purebp.verification.checks import CHECKS, checks_of
from purebp.verification.fallback import with_oracle
from purebp.verification.probe import Probe
from purebp.verification.target import make_target

X = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
DIFFERENCES = "finite differences: autodiff cannot go through the body"


def kernel_of(kernel, *arrays, interpret=False):
    shape = jax.ShapeDtypeStruct(arrays[0].shape, arrays[0].dtype)
    return pl.pallas_call(kernel, out_shape=shape, interpret=interpret)(*arrays)


def sine(x_ref, y_ref):
    y_ref[...] = 2 * jnp.sin(x_ref[...])


def slope(x_ref, g_ref, y_ref):
    y_ref[...] = 2 * jnp.cos(x_ref[...]) * g_ref[...]


def in_a_kernel(factor, *, interpret=False):
    """2 sin(x), forward and backward in a kernel, its derivative off by a factor."""

    @jax.custom_vjp
    def layer(x):
        return kernel_of(sine, x, interpret=interpret)

    def layer_bwd(x, g):
        return (factor * kernel_of(slope, x, g, interpret=interpret),)

    layer.defvjp(lambda x: (layer(x), x), layer_bwd)
    return layer


def by_while(factor):
    """x^3 by a loop whose length JAX does not know."""

    @jax.custom_vjp
    def layer(x):
        start = (0, jnp.ones_like(x))
        return lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * x), start)[1]

    layer.defvjp(lambda x: (layer(x), x), lambda x, g: (factor * 3 * x * x * g,))
    return layer


def by_callback(factor):
    @jax.custom_vjp
    def layer(x):
        return jax.pure_callback(np.asarray, x, x, vmap_method="sequential") ** 2

    layer.defvjp(lambda x: (layer(x), x), lambda x, g: (factor * 2 * x * g,))
    return layer


def probe_of(layer, reference=None, example=X):
    made = with_oracle(make_target(layer, reference, examples=(example,)))
    return Probe(made, variants(made)[0], quick=True)


def failure_of(check, layer, reference=None):
    probe = probe_of(layer, reference)
    outcome = CHECKS[check](probe, probe.first)
    assert not outcome.inconclusive
    return outcome.failure


@pytest.mark.parametrize("make", [in_a_kernel, by_while, by_callback])
def test_what_autodiff_refuses_is_held_against_finite_differences(make):
    probe = probe_of(make(1.0))
    assert probe.target.reference_name.startswith(DIFFERENCES)
    assert "second order" not in checks_of(probe.target)
    assert failure_of("contract", make(1.0)) is None
    if make is not by_callback:  # NumPy sees float32 alone, without JAX's own switch
        assert failure_of("jacobian", make(1.0)) is None
        assert failure_of("jacobian", make(1.01)) is not None


def test_kernels_are_interpreted_where_they_are_not_compiled():
    layer = in_a_kernel(1.0)
    with pytest.raises(ValueError, match="interpret"):
        layer(X)
    probe = probe_of(layer)
    assert probe.target.reference_name.endswith("; Pallas kernels with interpret=True")
    np.testing.assert_allclose(probe.target.forward({}, X), 2 * np.sin(X), rtol=1e-6)
    (bar,) = jax.jit(lambda x: probe.target.pull({}, (x,), jnp.ones_like(x))[1])(X)
    np.testing.assert_allclose(bar, 2 * np.cos(X), rtol=1e-5)
    assert "interpret" not in probe_of(in_a_kernel(1.0, interpret=True)).target.reference_name


@pytest.mark.parametrize("interpret", [False, True])
def test_a_given_reference_comes_first(interpret):
    def plain(x):
        return 2 * jnp.sin(x)

    right, wrong = (in_a_kernel(factor, interpret=interpret) for factor in (1.0, 1.0001))
    assert probe_of(right, plain).target.reference_name.startswith("the given reference")
    assert failure_of("jacobian", right, plain) is None
    assert failure_of("jacobian", wrong, plain) is not None


def test_a_reference_that_autodiff_refuses_is_taken_by_differences_too():
    probe = probe_of(by_while(1.0), by_while(1.0).fun)
    assert probe.target.reference_name.endswith("cannot go through the given reference")


def test_a_kernel_in_a_function_is_verified_and_the_rule_named():
    def function(x):
        return in_a_kernel(2.0)(x) + jnp.tanh(x)

    report = purebp.verify(function, X[0], budget="quick", max_examples=1)
    assert report.verdict == "fail"
    assert "the rule of layer (test_fallback.py:" in str(report).splitlines()[0]


def test_a_rule_inside_of_a_kernel_makes_no_difference():
    def rectified(x_ref, y_ref):
        y_ref[...] = jax.nn.relu(x_ref[...])

    @jax.custom_vjp
    def layer(x):
        return kernel_of(rectified, x)

    layer.defvjp(lambda x: (layer(x), x), lambda x, g: (jnp.where(x > 0, g, 0),))
    assert failure_of("jacobian", lambda x: layer(x) * x) is None


def test_a_kernel_that_cannot_be_interpreted_is_said_to():
    def reading(x_ref, y_ref):
        y_ref[...] = lax.axis_index("devices") * x_ref[...]

    @jax.custom_vjp
    def layer(x):
        return kernel_of(reading, x)

    layer.defvjp(lambda x: (layer(x), x), lambda _, g: (g,))
    with pytest.raises(TargetError):
        purebp.verify(layer, X, budget="quick")


def test_an_option_under_which_autodiff_refuses_is_enough():
    def power_fwd(x, *, loop: bool = False):
        if not loop:
            return x * x, x
        start = (0, jnp.ones_like(x))
        return lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] * x), start)[1], x

    def power_bwd(x, g):
        return (2 * x * g,)

    target = (power_fwd, power_bwd)
    assert not with_oracle(make_target(target, None, {"loop": False}, None, (X,))).differences
    made = with_oracle(make_target(target, examples=(X,)))
    assert made.differences
    with enable_x64(True):
        x = jnp.asarray(X, jnp.float64)
        for settings in ({"loop": False}, {"loop": True}):
            slope = jax.grad(lambda x, settings=settings: made.reference(settings, x).sum())(x)
            np.testing.assert_allclose(slope, 2 * X, rtol=1e-6)


def test_what_autodiff_goes_through_and_ops_are_left_alone():
    made = make_target((lambda x: (x * x, x), lambda x, g: (2 * x * g,)), examples=(X,))
    assert with_oracle(made) is made
    op = make_target(purebp.gates.mul)
    assert with_oracle(op) is op


def test_shapes_instead_of_examples_will_do():
    made = with_oracle(make_target(by_while(1.0), shapes="a b"))
    assert made.differences
