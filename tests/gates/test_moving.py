"""Gates that move entries: what the catalogue's tests cannot see, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp import chain
from purebp.errors import ArgumentError, DtypeError, OptionError, ShapeError
from purebp.gates import (
    broadcast_to,
    cast,
    concatenate,
    expand_dims,
    pad,
    reduce_precision,
    reshape,
    rev,
    slice,
    split,
    squeeze,
    stack,
    tile,
    transpose,
    unstack,
)


def agree(op, function, *args):
    """The pair against `jax.vjp` of a function of JAX."""
    y, pull = jax.vjp(function, *args)
    came, res = op.fwd(*args)
    y_bar = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), y)
    pairs = [(came, y), (op.bwd(res, y_bar), pull(y_bar))]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), *zip(*pairs, strict=True)
    )


X = jnp.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_arrays_of_different_sizes_are_joined_along_any_axis(axis) -> None:
    cut = [lax.slice_in_dim(X, a, b, axis=axis) for a, b in ((0, 1), (1, 3), (0, 0), (0, 2))]
    agree(concatenate.with_options(axis=axis), lambda xs: jnp.concatenate(xs, axis), tuple(cut))


def test_a_padding_is_that_of_lax() -> None:
    for sides in (((2, 0, 1), (-1, -1, 0), (0, -5, 3)), ((0, 0, 2), (-3, 4, 0), (1, -4, 0))):
        agree(pad.with_options(padding=sides), lambda x, v, s=sides: lax.pad(x, v, s), X, 2.0)
    agree(pad, lambda x, v: lax.pad(x, v, ((1, 1, 0), (1, 1, 0))), jnp.ones((0, 2)), 2.0)


def test_the_gradient_of_the_padding_does_not_cancel() -> None:
    y_bar = jnp.array([1.0, 1e8, 1e8, 1.0])
    res = pad.fwd(jnp.ones(2), 0.0)[1]
    assert pad.bwd(res, y_bar)[1] == 2
    by_jax = jax.vjp(lambda x, v: lax.pad(x, v, ((1, 1, 0),)), jnp.ones(2), 0.0)[1]
    assert by_jax(y_bar)[1] == 0
    assert np.isnan(by_jax(jnp.array([1.0, jnp.inf, 0.0, 1.0]))[1])
    assert pad.bwd(res, jnp.array([1.0, jnp.inf, 0.0, 1.0]))[1] == 2


def test_empty_and_single_slices() -> None:
    for start, stop, step in (((0, 1), (0, 1), (1, 2)), ((1, 0), (2, 4), (1, 5))):
        op = slice.with_options(start=start, stop=stop, step=step)
        agree(op, lambda x, a=start, b=stop, c=step: lax.slice(x, a, b, c), X[0])


def test_axes_anywhere() -> None:
    agree(
        broadcast_to.with_options(shape=(2, 5, 3), axes=(0, 2)),
        lambda x: lax.broadcast_in_dim(x, (2, 5, 3), (0, 2)),
        jnp.ones((2, 1)),
    )
    agree(transpose.with_options(axes=(-1, 0, 1)), lambda x: jnp.transpose(x, (2, 0, 1)), X)
    agree(tile.with_options(reps=(2, 3)), lambda x: jnp.tile(x, (2, 3)), X)
    agree(tile.with_options(reps=(0, 1, 1)), lambda x: jnp.tile(x, (0, 1, 1)), X)
    agree(
        split.with_options(sizes=(1, 0, 3), axis=2), lambda x: tuple(lax.split(x, (1, 0, 3), 2)), X
    )
    agree(unstack.with_options(axis=1), lambda x: jnp.unstack(x, axis=1), X)
    assert unstack.bwd(unstack.fwd(jnp.ones((0, 2)))[1], ())[0].shape == (0, 2)


def test_a_cast_has_the_slope_one() -> None:
    y, res = cast.fwd(jnp.float32(1 + 2**-12), dtype=jnp.bfloat16)
    assert (y, y.dtype) == (1, jnp.bfloat16)
    (x_bar,) = cast.bwd(res, jnp.bfloat16(3))
    assert (x_bar, x_bar.dtype) == (3, jnp.float32)


def test_less_precision_rounds_both_passes_as_in_jax() -> None:
    op = reduce_precision.with_options(exponent_bits=8, mantissa_bits=7)
    agree(op, lambda x: lax.reduce_precision(x, 8, 7), jnp.linspace(0.1, 3, 7))
    assert op(jnp.float32(1 + 2**-12)) == 1


def test_tuples_pass_through_a_chain() -> None:
    op = chain(split, concatenate.with_options(axis=1))
    agree(op, lambda x, _: jnp.concatenate(jnp.split(x, 2), 1), X, ((), ()))


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (lambda: reshape(X, shape=(5, -1)), OptionError, r"shape is \(5, -1\), expected a tuple"),
        (lambda: broadcast_to(X), OptionError, "axes is None, expected 3 rising axes"),
        (lambda: broadcast_to(X[0], shape=(2, 3)), OptionError, r"expected sizes that x of shape"),
        (lambda: transpose(X, axes=(0, 0, 1)), OptionError, "expected None or each axis once"),
        (lambda: squeeze(X, axis=0), OptionError, "axis is 0, expected None or axes of size 1"),
        (lambda: expand_dims(X, axis=7), OptionError, "axis is 7, expected axes of y"),
        (lambda: rev(X, axis=3), OptionError, "rev: axis is 3"),
        (lambda: tile(X, reps=(-1,)), OptionError, r"reps is \(-1,\)"),
        (lambda: concatenate(X), ArgumentError, "expected a tuple of arrays"),
        (lambda: concatenate((X, X[0])), ShapeError, r"xs\[1\] has shape \(3, 4\)"),
        (lambda: concatenate((X, X), axis=3), OptionError, "concatenate: axis is 3"),
        (lambda: concatenate((jnp.arange(2),)), DtypeError, r"xs\[0\] has dtype int32"),
        (lambda: stack((X, X[:1])), ShapeError, r"xs\[1\] has shape \(1, 3, 4\)"),
        (lambda: unstack(jnp.float32(1)), OptionError, "axis is 0"),
        (lambda: split(X, sizes=3), OptionError, "expected a number that divides 2"),
        (lambda: split(X, sizes=(1, 2)), OptionError, "expected sizes that add up to 2"),
        (lambda: pad(X, 0.0, padding=((1, 1),)), OptionError, "for each of the 3 axes"),
        (lambda: pad(X[0, 0], 0.0, padding=((-3, -2),)), OptionError, "to cut off no more"),
        (lambda: slice(X, start=(0,)), OptionError, "expected 3 numbers each"),
        (lambda: slice(X, stop=(2, 3, 5)), OptionError, "0 <= start <= stop <= size"),
        (lambda: cast(X, dtype=jnp.int32), DtypeError, "expected a floating dtype"),
        (lambda: reduce_precision(X, exponent_bits=0), OptionError, "expected at least 1 and 0"),
    ],
)  # fmt: skip
def test_wrong_input_is_refused(run, error, message) -> None:
    with pytest.raises(error, match=message):
        run()
