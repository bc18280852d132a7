"""Every op under JAX's transformations: twice differentiated, jit, scan, checkpoint, vmap."""

import math
from collections.abc import Callable
from functools import cache
from itertools import zip_longest
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import Op
from purebp.catalog import OPS, families
from purebp.compat import enable_x64, jit_once
from purebp.gates import square, tanh
from purebp.layers import affine
from purebp.op import FIXED, REAL
from purebp.verification.cases import Case, make_args, variants
from purebp.verification.layout import is_complex, parts_of, whole
from purebp.verification.target import make_target

MODELS = [op.name for op in families()["models"]]
ONCE = {"igamma", "igammac"}  # JAX cannot derive them twice in a
INTEGERS = {"argmax", "argmin"}  # their output has no derivative
SMALL = [name for name in OPS if name not in MODELS and name not in INTEGERS]
FLAT = {"sign", "floor", "ceil", "round"}
SCALES = (1.0, 1.015625, 1.03125)  # near 1, so that each point stays where the op is defined
Leaves = list[Any]


class Point(NamedTuple):
    """A case of an op: its arguments as leaves; `chosen` is those that have a derivative.

    A complex array counts as two leaves, its parts; `counts` says which arrays do.
    """

    op: Op
    tree: Any
    leaves: Leaves
    places: list[int]
    chosen: Leaves
    counts: list[int]

    def arguments(self, chosen: Leaves) -> tuple[Any, ...]:
        """The arguments of the op, with these in place of the chosen ones."""
        leaves = list(self.leaves)
        for place, leaf in zip(self.places, chosen, strict=True):
            leaves[place] = leaf
        return jax.tree.unflatten(self.tree, together(leaves, self.counts))

    def loss(self, function: Callable[..., Any]) -> Callable[[Leaves], Any]:
        """c -> sum of w y + y^2 / 2 over the outputs: its Hessian is never 0."""

        def loss(chosen: Leaves) -> Any:
            out = function(*self.arguments(chosen))
            y = parts_of(jax.tree.leaves(out[0] if self.op.has_aux else out))
            parts = jax.tree.map(lambda w, leaf: jnp.sum(w * leaf + leaf**2 / 2), weights_of(y), y)
            return jax.tree.reduce(jnp.add, parts)

        return loss

    def vector_loss(self, function: Callable[..., Any]) -> Callable[[Any], Any]:
        """The same of one flat vector."""
        loss, ends = self.loss(function), np.cumsum([leaf.size for leaf in self.chosen])[:-1]

        def of_vector(x: Any) -> Any:
            parts = zip(jnp.split(x, ends), self.chosen, strict=True)
            return loss([part.reshape(leaf.shape) for part, leaf in parts])

        return of_vector


def weights_of(y: Any) -> Any:
    """One number for each entry of the outputs."""
    return jax.tree.map(lambda leaf: jnp.linspace(-1, 2, leaf.size).reshape(leaf.shape), y)


@cache
def point_of(name: str) -> Point:
    target = make_target(OPS[name])
    args = make_args(target, Case(variants(target)[0], "normal", "normal", 1))
    leaves, tree = jax.tree.flatten(args)
    names = [parameter.name for parameter in OPS[name].signature.parameters]
    fixed = [
        OPS[name].domains.get(argument, REAL) == FIXED for argument, _ in zip_longest(names, args)
    ]
    owners = jax.tree.leaves(
        tuple(jax.tree.map(lambda _, i=i: i, arg) for i, arg in enumerate(args))
    )
    counts = [2 if is_complex(leaf) else 1 for leaf in leaves]
    owners = np.repeat(owners, counts).tolist()
    leaves = parts_of(leaves)
    leaves = [np.asarray(leaf, np.float64) if is_floating(leaf) else leaf for leaf in leaves]
    places = [
        place
        for place, (leaf, owner) in enumerate(zip(leaves, owners, strict=True))
        if is_floating(leaf) and not fixed[owner]
    ]
    return Point(OPS[name], tree, leaves, places, [leaves[place] for place in places], counts)


def together(parts: Leaves, counts: list[int]) -> Leaves:
    """Arrays of their parts."""
    left = iter(parts)
    return [whole([next(left) for _ in range(count)]) for count in counts]


def is_floating(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def assert_close(came: Any, expected: Any, *, rtol: float = 1e-9) -> None:
    assert jax.tree.structure(came) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.max(np.abs(b), initial=1e-3))


def times(chosen: Leaves, scale: Any) -> Leaves:
    return [scale * leaf for leaf in chosen]


def slope_along(loss: Callable[[Any], Any], directions: Any) -> Callable[[Any], Any]:
    """c -> the slope of the loss along a fixed direction; its gradient is a row of the Hessian."""

    def slope(chosen: Any) -> Any:
        slopes = jax.tree.map(jnp.vdot, jax.grad(loss)(chosen), directions)
        return jax.tree.reduce(jnp.add, slopes)

    return slope


@pytest.mark.parametrize("name", [name for name in SMALL if name not in ONCE])
def test_second_derivatives(name: str) -> None:
    point = point_of(name)
    with enable_x64(True):
        hand, plain = point.vector_loss(point.op), point.vector_loss(point.op.define)

        def derive(x: Any, direction: Any) -> Any:
            hessian = jax.hessian(plain)(x)
            reverse = jax.grad(slope_along(hand, direction))
            return (reverse(x), hessian @ direction), (jax.hessian(hand)(x), hessian)

        x = jnp.concatenate([jnp.ravel(leaf) for leaf in point.chosen])
        for came, expected in jit_once(derive)(x, jnp.cos(jnp.arange(x.size))):
            assert np.any(expected != 0) != (name in FLAT)
            assert_close(came, expected)


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_of_the_gradient_of_a_model(name: str) -> None:
    point = point_of(name)
    with enable_x64(True):
        directions = [np.cos(np.arange(leaf.size)).reshape(leaf.shape) for leaf in point.chosen]

        def derive(chosen: Leaves) -> Any:
            losses = [point.loss(point.op), point.loss(point.op.define)]
            return [jax.grad(slope_along(loss, directions))(chosen) for loss in losses]

        came, expected = jit_once(derive)(point.chosen)
        assert all(np.any(bar != 0) for bar in expected[:2])
        assert_close(came, expected)


@pytest.mark.parametrize("name", SMALL)
def test_jit_scan_checkpoint_and_vmap(name: str) -> None:
    point = point_of(name)
    with enable_x64(True):
        hand, plain = point.loss(point.op), point.loss(point.op.define)

        def by_scan(chosen: Leaves) -> Any:
            def step(total: Any, scale: Any) -> Any:
                return total + hand(times(chosen, scale)), None

            return jax.lax.scan(step, 0.0, jnp.array(SCALES))[0]

        def derive(chosen: Leaves) -> Any:
            scales = jnp.array(SCALES)
            batch = jax.vmap(times, (None, 0))(chosen, scales)
            each = jax.lax.map(jax.grad(plain), batch)
            total = [jnp.tensordot(scales, slopes, 1) for slopes in each]
            return (
                (jax.grad(by_scan)(chosen), total),
                (jax.vmap(jax.grad(hand))(batch), each),
                (jax.grad(jax.checkpoint(hand))(chosen), [slopes[0] for slopes in each]),
            )

        by_transformation = jit_once(derive)(point.chosen)
        for came, expected in by_transformation:
            assert_close(came, expected)
        out, res = jax.eval_shape(point.op.fwd, *point.arguments(point.chosen))
        assert jax.eval_shape(point.op.bwd, res, out[0] if point.op.has_aux else out)


def test_a_wrong_second_derivative_is_found() -> None:
    """A planted bug: right cotangents, from residuals that autodiff cannot follow."""

    def forward(x: Any) -> Any:
        return jnp.tanh(x), jax.lax.stop_gradient(jnp.tanh(x))

    def backward(y: Any, y_bar: Any) -> Any:
        return (y_bar * (1 - y * y),)

    frozen, x = Op(forward, backward, name="frozen"), jnp.linspace(-1, 1, 3)
    np.testing.assert_allclose(jax.grad(frozen)(0.5), jax.grad(tanh)(0.5), rtol=1e-6)
    with pytest.raises(AssertionError):
        assert_close(*(jax.hessian(lambda x, f=f: jnp.sum(f(x)))(x) for f in (frozen, tanh)))


def test_forward_mode_straight_over_an_op_is_refused_by_jax() -> None:
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(square, (2.0,), (1.0,))
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jacfwd(square)(2.0)
    assert jax.jvp(jax.grad(square), (2.0,), (1.0,)) == (4.0, 2.0)


def test_vmap_over_some_arguments_only() -> None:
    x, w = jnp.ones((5, 2, 3)), jnp.arange(12.0).reshape(3, 4)

    def pull(x: Any, w: Any) -> Any:
        y, res = affine.fwd(x, w)
        return affine.bwd(res, jnp.ones_like(y))[:2]

    x_bar, w_bar = jax.vmap(pull, (0, None))(x, w)
    assert (x_bar.shape, w_bar.shape) == ((5, 2, 3), (5, 3, 4))
    np.testing.assert_array_equal(w_bar, np.full((5, 3, 4), 2.0))
    np.testing.assert_array_equal(x_bar, np.broadcast_to(w.sum(1), (5, 2, 3)))


def test_second_derivatives_by_hand() -> None:
    x = jnp.linspace(-2, 2, 5)
    second = jax.vmap(jax.grad(jax.grad(tanh)))(x)
    np.testing.assert_allclose(second, -2 * np.tanh(x) / np.cosh(x) ** 2, rtol=2e-6, atol=1e-7)
    assert jax.hessian(lambda x: jnp.sum(square(x)))(x).tolist() == (2 * np.eye(5)).tolist()
    assert math.isclose(jax.grad(jax.grad(jax.grad(tanh)))(0.0), -2.0)
