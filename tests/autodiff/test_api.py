"""grad, value_and_grad, vjp, jacobian: arguments, trees, integers, aux, transformations, errors."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import purebp
from purebp.compat import enable_x64, jit_once
from purebp.errors import ArgumentError, DtypeError, PurebpError, ShapeError

X = jnp.asarray([1.0, -2.0, 0.5])


def loss(params, x, *, scale=1.0):
    return scale * jnp.sum(jnp.tanh(x * params["w"] + params["b"]) ** 2)


PARAMS = {"w": jnp.asarray([0.3, -0.2, 1.0]), "b": jnp.asarray(0.1)}


def assert_same(came, expected):
    assert jax.tree.structure(came) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("argnums", [0, 1, (0,), (1, 0), -1, (0, -1)])
def test_argnums_and_trees_are_those_of_jax(argnums):
    came = purebp.value_and_grad(loss, argnums)(PARAMS, X, scale=2.0)
    assert_same(came, jax.value_and_grad(loss, argnums)(PARAMS, X, scale=2.0))
    assert_same(purebp.grad(loss, argnums)(PARAMS, X), jax.grad(loss, argnums)(PARAMS, X))


def test_aux_is_passed_on():
    def with_aux(x):
        return jnp.sum(x**2), {"y": jnp.sin(x), "n": 3}

    bar, aux = purebp.grad(with_aux, has_aux=True)(X)
    assert_same(bar, 2 * X)
    assert_same(aux["y"], jnp.sin(X))
    (_, aux), _ = purebp.value_and_grad(with_aux, has_aux=True)(X)
    assert int(aux["n"]) == 3
    y, pullback, aux = purebp.vjp(with_aux, X, has_aux=True)
    assert_same(pullback(jnp.ones_like(y))[0], 2 * X)
    assert set(aux) == {"y", "n"}


def test_the_pullback_of_several_outputs_adds_up():
    def several(x, n):
        return {"a": jnp.sin(x) * n, "b": x[0]}

    bars = {"a": jnp.ones(3), "b": jnp.asarray(2.0)}
    (_, pullback), (_, expected) = (d(several, X, 3) for d in (purebp.vjp, jax.vjp))
    came = pullback(bars)
    assert_same(came[0], expected(bars)[0])
    assert came[1].dtype == jax.dtypes.float0


@pytest.mark.parametrize("has_aux", [False, True])
def test_jacobians_have_the_axes_of_the_output_first(has_aux):
    def function(x, w):
        y = {"y": jnp.outer(x, w), "z": x**2}
        return (y, x) if has_aux else y

    w = jnp.asarray([1.0, 2.0])
    came = purebp.jacobian(function, (0, 1), has_aux=has_aux)(X, w)
    assert_same(came, jax.jacrev(function, (0, 1), has_aux=has_aux)(X, w))


def test_integers_have_no_gradient():
    with pytest.raises(DtypeError, match="has dtype int32, expected floating numbers"):
        purebp.grad(lambda n: 2.0 * n)(3)
    bar = purebp.grad(lambda n, x: n * x, (0, 1), allow_int=True)(3, 2.0)
    assert bar[0].dtype == jax.dtypes.float0
    assert float(bar[1]) == 3.0


def test_an_argument_that_does_not_matter_has_zeros():
    assert_same(purebp.grad(lambda x, y: jnp.sum(x) + 0 * y.size, 1)(X, X), jnp.zeros(3))
    assert_same(purebp.grad(lambda x: 3.0 + x.size)(X), jnp.zeros(3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: purebp.grad(jnp.sin)(X), ShapeError, r"shape \(3,\), expected one real number"),
        (lambda: purebp.grad(lambda x: (x, x))(1.0), ShapeError, "a tuple of 2, expected one real"),
        (lambda: purebp.grad(lambda x: x * 1j)(1.0), DtypeError, "complex64, expected a real one"),
        (
            lambda: purebp.grad(lambda x: jnp.argmax(jnp.ones(2) * x))(1.0),
            DtypeError,
            "int32, expected a real one",
        ),
        (lambda: purebp.grad(jnp.sin, 1)(1.0), ArgumentError, "argnums has 1, expected the place"),
        (lambda: purebp.grad(jnp.sin, has_aux=True)(1.0), ArgumentError, r"expected \(y, aux\)"),
        (lambda: purebp.grad(jnp.sin)("a"), DtypeError, "a str in it, expected arrays"),
        (lambda: purebp.vjp(jnp.sin, X)[1](X[:2]), ShapeError, r"shape \(2,\), expected \(3,\)"),
        (lambda: purebp.vjp(jnp.sin, X)[1]((X,)), ArgumentError, "the cotangent has the structure"),
        (
            lambda: purebp.vjp(jnp.sin, X)[1](X * 1j),
            DtypeError,
            "cotangent is complex, expected fl",
        ),
        (
            lambda: purebp.grad(jnp.sin, "x")(1.0),
            ArgumentError,
            "argnums is 'x', expected a number",
        ),
    ],
)
def test_bad_input_gets_a_clear_error(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: purebp.grad(loss)(PARAMS, jnp.ones(3), scale=X),
        lambda: purebp.grad(loss, 5)(PARAMS, X),
        lambda: purebp.grad(loss, (0, 1))(PARAMS, jnp.arange(3)),
        lambda: purebp.jacobian(loss, 1)(PARAMS, jnp.arange(3)),
        lambda: purebp.vjp(loss, PARAMS, X, has_aux=True),
    ],
    ids=["several numbers", "argnums", "integers", "jacobian of integers", "no aux"],
)
def test_an_error_names_the_function_and_its_line(call):
    with pytest.raises(PurebpError, match=rf"loss \(test_api.py:{loss.__code__.co_firstlineno}\)"):
        call()


def test_under_jit_vmap_and_in_any_order_with_jax():
    def slope(x):
        return purebp.grad(lambda x: jnp.sum(jnp.sin(x) ** 3))(x)

    batch = jnp.stack([X, 2 * X])
    expected = jax.vmap(jax.grad(lambda x: jnp.sum(jnp.sin(x) ** 3)))(batch)
    assert_same(jax.jit(jax.vmap(slope))(batch), expected)
    inside = purebp.grad(lambda b: jnp.sum(jax.vmap(lambda x: jnp.sum(jnp.sin(x) ** 3))(b)))
    assert_same(inside(batch), expected)
    third = purebp.grad(purebp.grad(purebp.grad(jnp.sin)))(0.3)
    assert float(third) == pytest.approx(-np.cos(0.3), rel=1e-5)
    tangent = jax.jvp(purebp.grad(jnp.sin), (0.3,), (1.0,))[1]
    assert float(tangent) == pytest.approx(-np.sin(0.3), rel=1e-5)


def looped(x):
    return jax.lax.scan(lambda c, k: (jnp.sin(c) * x + k, None), x, jnp.arange(3.0))[0]


def branched(x):
    return jax.lax.cond(x > 0, lambda x: jnp.exp(x) * x, jnp.cos, x)


def called(x):
    step = jax.jit(lambda x: jnp.tanh(x) * jnp.exp(-x * x) / (1 + x * x) + jnp.sin(x) * x)
    return step(step(x))


def again(x):
    return jax.checkpoint(lambda x: jnp.sin(x) * jnp.exp(jnp.cos(x)))(x)


@pytest.mark.parametrize("function", [looped, branched, called, again])
def test_third_derivatives_are_those_of_jax(function):
    def every(x):
        ways = itertools.product((jax.grad, purebp.grad), repeat=3)
        return [first(second(third(function)))(x) for first, second, third in ways]

    with enable_x64(True):
        expected, *others = map(float, jit_once(every)(0.3))
    assert others == pytest.approx([expected] * len(others), rel=1e-9)


def test_a_leaked_value_is_told_with_the_function_that_leaked_it():
    kept = list[Any]()

    def leaks(x):
        kept.append(2 * x)
        return x

    purebp.grad(leaks)(1.0)
    with pytest.raises(jax.errors.UnexpectedTracerError, match=r"leaked was leaks at .*test_api"):
        purebp.grad(lambda x: x * kept[0])(1.0)


def printed_in_scan(x):
    def step(c, k):
        jax.debug.print("here {}", k)
        jax.debug.print("and here")
        return jnp.sin(c) * x, None

    return jax.lax.scan(step, x, jnp.arange(3))[0]


def printed_in_while(x):
    def step(s):
        jax.debug.print("here {} and here", s[0])
        return jnp.sin(s[0]) * x, s[1] + 1

    return jax.lax.while_loop(lambda s: s[1] < 3, step, (x, 0))[0]


def printed_in_branch(x):
    def branch(x):
        jax.debug.print("here {} and here", x)
        return x * x

    return jax.lax.cond(x > 0, branch, jnp.sin, x)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
@pytest.mark.parametrize(
    ("function", "count"), [(printed_in_scan, 3), (printed_in_while, 3), (printed_in_branch, 1)]
)
def test_what_is_printed_inside_is_printed_once(function, count, transform, capfd):
    transform(purebp.grad(function))(0.5)
    jax.effects_barrier()
    printed = capfd.readouterr().out
    assert (printed.count("here") - printed.count("and here")) == count
    assert printed.count("and here") == count


def test_closures_over_traced_values_are_constants():
    def outer(w):
        return purebp.grad(lambda x: jnp.sin(w * x))(0.5)

    assert_same(
        jax.grad(outer)(2.0), jax.grad(lambda w: jax.grad(lambda x: jnp.sin(w * x))(0.5))(2.0)
    )
    assert_same(purebp.grad(outer)(2.0), jax.grad(outer)(2.0))


@given(st.sampled_from([jnp.float32, jnp.bfloat16, jnp.float16]))
def test_a_gradient_has_the_dtype_of_its_argument(dtype):
    x = jnp.asarray([0.5, 1.0], dtype)
    bar = purebp.grad(lambda x: jnp.sum(jnp.tanh(x) * 2.0).astype(jnp.float32))(x)
    assert bar.dtype == dtype


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_the_gradient_at_a_number_of_python_has_its_weak_type(transform):
    found, expected = (transform(of(jnp.sin))(2.0) for of in (purebp.grad, jax.grad))
    assert found.weak_type
    assert expected.weak_type
    assert not transform(purebp.grad(jnp.sin))(jnp.float32(2)).weak_type
