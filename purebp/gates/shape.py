"""Gates that move entries to another place: the upstream gradient moves back.

Where an entry is repeated, its gradients add up.
"""

import itertools
import operator
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Inexact

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.gates.reduction import Axis, axes_of, check_axis
from purebp.residuals import Spec


def reshape_definition(
    x: Inexact[Array, "*s"], *, shape: tuple[int, ...] = (-1,)
) -> Inexact[Array, "..."]:
    """y = x with its entries, in row-major order, in another shape.

    Maths: x_bar = y_bar in the shape of x.
    Shapes: y has the `shape`, of which one size may be -1: what is left over.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError if x does not have as many entries, DtypeError for integers.
    Source: a permutation of the entries is transposed by its inverse.

    Example:
        >>> y, res = reshape.fwd(jnp.arange(6.0), shape=(2, 3))
        >>> print(*reshape.bwd(res, y))
        [0. 1. 2. 3. 4. 5.]
    """
    return jnp.reshape(x, shape)


def reshape_x_bar(y_bar: Array, x_spec: Spec) -> Array:
    return lax.reshape(y_bar, x_spec.shape, out_sharding=x_spec.sharding)


def check_reshape(x: Array, *, shape: tuple[int, ...]) -> None:
    """Raise if x does not have as many entries."""
    _must_work("reshape", np.reshape, x, "shape", shape, "a tuple of sizes for as many entries")


def _must_work(
    op: str, move: Callable[..., Any], x: Array, option: str, value: Any, expected: str
) -> None:
    """Raise OptionError where NumPy refuses."""
    try:
        move(np.broadcast_to(np.int8(0), x.shape), value)
    except (TypeError, ValueError, IndexError) as error:
        raise OptionError(
            f"{op}: {option} is {value!r}, expected {expected} for x of shape {x.shape}"
        ) from error


reshape = Gate(
    reshape_definition,
    reshape_x_bar,
    primitive="reshape",
    options={"shape": ((-1,), (2, -1, 1))},
    sizes={"s": ((2, 3), (4,), (3, 2, 2), (1, 6))},
    check=check_reshape,
)


def broadcast_to_definition(
    x: Inexact[Array, "*s"], *, shape: tuple[int, ...] = (2, 3), axes: tuple[int, ...] | None = None
) -> Inexact[Array, "..."]:
    """y = x repeated along new axes, and along axes of size 1, up to a shape.

    Maths: x_bar = sum of y_bar over the axes along which x was repeated.
    Shapes: y has the `shape`; axis i of x is axis `axes[i]` of y (by default the last axes, as in
        NumPy), of the same size or repeated from size 1.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError if x does not fit, DtypeError for integers.
    Source: CS231n, lecture 4, gradients add at branches.

    Example:
        >>> y, res = broadcast_to.fwd(jnp.array([1.0, 2.0, 3.0]), shape=(2, 3))
        >>> print(*broadcast_to.bwd(res, jnp.ones((2, 3))))
        [2. 2. 2.]
    """
    return lax.broadcast_in_dim(x, shape, _places(x.ndim, len(shape), axes))


def _places(rank: int, wider: int, axes: tuple[int, ...] | None) -> tuple[int, ...]:
    return tuple(range(wider - rank, wider)) if axes is None else axes


def broadcast_to_x_bar(
    y_bar: Array, x_spec: Spec, shape: tuple[int, ...], axes: tuple[int, ...] | None
) -> Array:
    places = dict(zip(_places(len(x_spec.shape), len(shape), axes), x_spec.shape, strict=True))
    repeated = [i for i, size in enumerate(shape) if places.get(i) != size]
    return jnp.sum(y_bar, axis=tuple(repeated)).reshape(x_spec.shape)


def check_broadcast_to(x: Array, *, shape: tuple[int, ...], axes: tuple[int, ...] | None) -> None:
    """Raise if x does not fit the shape."""
    places = _places(x.ndim, len(shape), axes)
    rising = all(a < b for a, b in itertools.pairwise(places))
    inside = all(0 <= place < len(shape) for place in places)
    if len(places) != x.ndim or not rising or not inside:
        raise OptionError(
            f"broadcast_to: axes is {axes!r}, expected {x.ndim} rising axes of shape {shape}, "
            f"one for each of x of shape {x.shape}"
        )
    if any(size not in (1, shape[place]) for size, place in zip(x.shape, places, strict=True)):
        raise OptionError(
            f"broadcast_to: shape is {shape}, expected sizes that x of shape {x.shape} has, or "
            "that it has 1 of"
        )


def example_of_a_row(rng: np.random.Generator) -> tuple[Any, ...]:
    return (rng.normal(size=(1, 3)),)


broadcast_to = Gate(
    broadcast_to_definition,
    broadcast_to_x_bar,
    primitive="broadcast_in_dim",
    options={"shape": ((2, 3), (4, 2, 3))},
    example=example_of_a_row,
    check=check_broadcast_to,
)


def transpose_definition(
    x: Inexact[Array, "*s"], *, axes: tuple[int, ...] | None = None
) -> Inexact[Array, "..."]:
    """y = x with its axes in another order, by default reversed.

    Maths: x_bar = y_bar with its axes put back, by the inverse permutation.
    Shapes: axis i of y is axis `axes[i]` of x.
    Residuals: none.
    Kinks: none.
    Raises: OptionError if `axes` is not an order of the axes of x, DtypeError for integers.
    Source: a permutation is transposed by its inverse.

    Example:
        >>> y, res = transpose.fwd(jnp.array([[1.0, -0.5], [2.0, 0.5], [-1.5, 0.3]]))
        >>> print(*transpose.bwd(res, y))
        [[ 1.  -0.5]
         [ 2.   0.5]
         [-1.5  0.3]]
    """
    return jnp.transpose(x, axes)


def transpose_x_bar(y_bar: Array, axes: tuple[int, ...] | None) -> Array:
    if axes is None:
        return jnp.transpose(y_bar)
    back = np.argsort([axis % y_bar.ndim for axis in axes])
    return jnp.transpose(y_bar, tuple(map(int, back)))


def check_transpose(x: Array, *, axes: tuple[int, ...] | None) -> None:
    """Raise if it is not an order of the axes of x."""
    _must_work("transpose", np.transpose, x, "axes", axes, "None or each axis once")


transpose = Gate(
    transpose_definition,
    transpose_x_bar,
    primitive="transpose",
    options={"axes": (None, (1, 2, 0))},
    sizes={"s": ((2, 3, 4), (3, 2), (1, 2, 3))},
    check=check_transpose,
)


def squeeze_definition(x: Inexact[Array, "*s"], *, axis: Axis = None) -> Inexact[Array, "..."]:
    """y = x without some of its axes of size 1, by default without any.

    Maths: x_bar = y_bar in the shape of x.
    Shapes: y lacks the axes.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError if x has no such axis of size 1, DtypeError for integers.
    Source: as for reshape.

    Example:
        >>> y, res = squeeze.fwd(jnp.array([1.0]))
        >>> print(*squeeze.bwd(res, 1.0))
        [1.]
    """
    return jnp.squeeze(x, axis)


def check_squeeze(x: Array, *, axis: Axis) -> None:
    """Raise if x has no such axis of size 1."""
    _must_work("squeeze", np.squeeze, x, "axis", axis, "None or axes of size 1")


squeeze = Gate(
    squeeze_definition,
    reshape_x_bar,
    primitive="squeeze",
    options={"axis": (None, 1, (1, -1))},
    sizes={"s": ((2, 1, 3, 1), (3, 1), (1,))},
    check=check_squeeze,
)


def expand_dims_definition(
    x: Inexact[Array, "*s"], *, axis: int | tuple[int, ...] = 0
) -> Inexact[Array, "..."]:
    """y = x with new axes of size 1.

    Maths: x_bar = y_bar in the shape of x.
    Shapes: `axis` counts the axes of y.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError if y would have no such axis, DtypeError for integers.
    Source: as for reshape.

    Example:
        >>> y, res = expand_dims.fwd(jnp.array([1.0, 2.0]), axis=0)
        >>> y.shape, *expand_dims.bwd(res, y)
        ((1, 2), Array([1., 2.], dtype=float32))
    """
    return jnp.expand_dims(x, axis)


def check_expand_dims(x: Array, *, axis: int | tuple[int, ...]) -> None:
    """Raise if y would have no such axis."""
    _must_work("expand_dims", np.expand_dims, x, "axis", axis, "axes of y, each once,")


expand_dims = Gate(
    expand_dims_definition,
    reshape_x_bar,
    options={"axis": (0, (0, -1))},
    sizes={"s": ((2, 3), (4,), ())},
    check=check_expand_dims,
)


def rev_definition(x: Inexact[Array, "*s"], *, axis: Axis = None) -> Inexact[Array, "*s"]:
    """y = x in the opposite order along some axes, by default along all.

    Maths: x_bar = y_bar in the opposite order.
    Shapes: y and x_bar are shaped like x.
    Residuals: none.
    Kinks: none.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: a reversal is its own inverse.

    Example:
        >>> y, res = rev.fwd(jnp.array([1.0, -0.5, 2.0, 0.5]))
        >>> print(*rev.bwd(res, y))
        [ 1.  -0.5  2.   0.5]
    """
    return jnp.flip(x, axis)


def rev_x_bar(y_bar: Array, axis: Axis) -> Array:
    return lax.rev(y_bar, tuple(i % y_bar.ndim for i in axes_of(axis, y_bar.ndim)))


def check_rev(x: Array, *, axis: Axis) -> None:
    """Raise if x has no such axis."""
    check_axis("rev", x, axis=axis, keepdims=False)


rev = Gate(
    rev_definition,
    rev_x_bar,
    primitive="rev",
    options={"axis": (None, -1)},
    sizes={"s": ((2, 3), (4,), (3, 2, 2))},
    check=check_rev,
)


def tile_definition(
    x: Inexact[Array, "*s"], *, reps: tuple[int, ...] = (2,)
) -> Inexact[Array, "..."]:
    """y = x repeated `reps[i]` times along each axis, one copy after the other.

    Maths: x_bar = sum of y_bar over the copies.
    Shapes: axis i of y has reps_i n_i entries. `reps` and the shape of x are aligned at the last
        axis, and the shorter one filled up with 1s.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError for a negative number, DtypeError for integers.
    Source: CS231n, lecture 4, gradients add at branches.

    Example:
        >>> y, res = tile.fwd(jnp.array([1.0, -0.5, 2.0, 0.5]))
        >>> print(*tile.bwd(res, y))
        [ 2. -1.  4.  1.]
    """
    return jnp.tile(x, reps)


def tile_x_bar(y_bar: Array, x_spec: Spec, reps: tuple[int, ...]) -> Array:
    missing = len(x_spec.shape) - len(reps)
    times = (1,) * missing + reps
    sizes = (1,) * -missing + x_spec.shape
    apart = y_bar.reshape([n for pair in zip(times, sizes, strict=True) for n in pair])
    return jnp.sum(apart, axis=tuple(range(0, apart.ndim, 2))).reshape(x_spec.shape)


def check_tile(x: Array, *, reps: tuple[int, ...]) -> None:
    """Raise for a negative number."""
    if not isinstance(reps, tuple) or any(operator.index(n) < 0 for n in reps):
        raise OptionError(f"tile: reps is {reps!r}, expected a tuple of integers of at least 0")


tile = Gate(
    tile_definition,
    tile_x_bar,
    primitive="tile",
    options={"reps": ((2,), (2, 1, 3))},
    sizes={"s": ((2, 3), (4,), ())},
    check=check_tile,
)

OPS = (reshape, broadcast_to, transpose, squeeze, expand_dims, rev, tile)
