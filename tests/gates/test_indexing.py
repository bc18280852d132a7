"""Reading, writing and ordering at indices: against JAX in every mode, and where JAX is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp.errors import ArgumentError, OptionError, ShapeError
from purebp.gates import (
    dynamic_slice,
    dynamic_update_slice,
    gather,
    scatter,
    scatter_add,
    scatter_max,
    scatter_min,
    scatter_mul,
    sort,
    take,
    take_along_axis,
    top_k,
)
from tests.gates.test_moving import agree

X = jnp.cos(jnp.arange(24.0)).reshape(2, 3, 4)
INDICES = jnp.array([[0, 5, -1], [2, -9, 1]])
WINDOWS = lax.GatherDimensionNumbers(
    offset_dims=(1, 2), collapsed_slice_dims=(1,), start_index_map=(1, 2)
)
STARTS = jnp.array([[0, 1], [2, 0], [0, 1], [1, 3], [-1, 0]])
WRITES = lax.ScatterDimensionNumbers(
    update_window_dims=(1, 2), inserted_window_dims=(1,), scatter_dims_to_operand_dims=(1, 2)
)
UPDATES = jnp.sin(jnp.arange(20.0)).reshape(5, 2, 2)
BATCHED = lax.GatherDimensionNumbers(
    offset_dims=(2,),
    collapsed_slice_dims=(1,),
    start_index_map=(1,),
    operand_batching_dims=(0,),
    start_indices_batching_dims=(0,),
)


@pytest.mark.parametrize("mode", ["fill", "clip"])
def test_windows_are_gathered_as_by_lax(mode) -> None:
    op = gather.with_options(dimension_numbers=WINDOWS, slice_sizes=(2, 1, 2), mode=mode)
    agree(
        lambda_op(op, STARTS),
        lambda x: lax.gather(x, STARTS, WINDOWS, (2, 1, 2), mode=mode),
        jnp.nan_to_num(X),
    )
    op = gather.with_options(
        dimension_numbers=BATCHED, slice_sizes=(1, 1, 4), mode=mode, fill_value=7.0
    )
    rows = jnp.array([[[2], [0]], [[1], [5]]])
    agree(
        lambda_op(op, rows),
        lambda x: lax.gather(x, rows, BATCHED, (1, 1, 4), mode=mode, fill_value=7.0),
        X,
    )


class lambda_op:  # noqa: N801 - stands for an op
    """An op of its floating arguments only: the indices are given."""

    def __init__(self, op, indices):
        self.op, self.indices = op, indices

    def fwd(self, x, *updates):
        return self.op.fwd(x, self.indices, *updates)

    def bwd(self, res, y_bar):
        x_bar, none, *updates_bar = self.op.bwd(res, y_bar)
        assert none is None
        return (x_bar, *updates_bar)


@pytest.mark.parametrize("mode", ["fill", "clip", "wrap"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_in_every_mode(mode, axis) -> None:
    op = take.with_options(axis=axis, mode=mode)
    agree(lambda_op(op, INDICES), lambda x: jnp.take(x, INDICES, axis=axis, mode=mode), X)


@pytest.mark.parametrize("mode", ["fill", "clip"])
def test_take_along_any_axis(mode) -> None:
    places = jnp.array([0, 2, -1, 7, -4, -9]).reshape(1, 6, 1)
    op = take_along_axis.with_options(axis=1, mode=mode)
    function = lambda x: jnp.take_along_axis(x, places, axis=1, mode=mode)  # noqa: E731
    agree(lambda_op(op, places), function, X)


@pytest.mark.parametrize("mode", ["drop", "clip"])
def test_windows_are_scattered_as_by_lax(mode) -> None:
    for op, function in ((scatter, lax.scatter), (scatter_add, lax.scatter_add)):
        ours = op.with_options(dimension_numbers=WRITES, mode=mode)
        theirs = lambda x, u, f=function: f(x, STARTS, u, WRITES, mode=mode)  # noqa: E731
        agree(lambda_op(ours, STARTS), theirs, X, UPDATES)


def test_unique_windows_are_scattered_and_multiplied_as_by_lax() -> None:
    starts, updates = STARTS[1:4:2], UPDATES[:2]
    for op, function in (
        (scatter, lax.scatter),
        (scatter_mul, lax.scatter_mul),
        (scatter_max, lax.scatter_max),
        (scatter_min, lax.scatter_min),
    ):
        ours = op.with_options(dimension_numbers=WRITES, unique_indices=True)
        theirs = lambda x, u, f=function: f(x, starts, u, WRITES, unique_indices=True)  # noqa: E731
        agree(lambda_op(ours, starts), theirs, X, updates)


def test_ties_of_scattered_extremes_share_as_in_jax() -> None:
    x, updates = jnp.array([1.0, 3.0, 2.0]), jnp.array([3.0, 3.0, 2.0, 1.0])
    indices = jnp.array([[1], [1], [0], [2]])
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    for op, function in ((scatter_max, lax.scatter_max), (scatter_min, lax.scatter_min)):
        theirs = lambda x, u, f=function: f(x, indices, u, numbers)  # noqa: E731
        agree(lambda_op(op, indices), theirs, x, updates)


def test_clipped_windows_are_multiplied() -> None:
    starts, numbers = jnp.array([[0], [9], [2]]), lax.ScatterDimensionNumbers((1,), (), (0,))
    x, updates = jnp.arange(1.0, 5.0), jnp.arange(2.0, 8.0).reshape(3, 2)
    op = scatter_mul.with_options(dimension_numbers=numbers, mode="clip")

    def by_hand(x, u):
        factors = (u[0, 0], u[0, 1], u[1, 0] * u[2, 0], u[1, 1] * u[2, 1])
        return x * jnp.stack(factors)

    agree(lambda_op(op, starts), by_hand, x, updates)


def test_a_clipped_maximum_where_jax_is_wrong() -> None:
    x, updates, indices = jnp.array([1.0, 2.0, 3.0]), jnp.array([9.0]), jnp.array([[5]])
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    clipped = scatter_max.with_options(mode="clip")
    y, res = clipped.fwd(x, indices, updates)
    x_bar, _, updates_bar = clipped.bwd(res, jnp.ones(3))
    assert (y.tolist(), x_bar.tolist(), updates_bar.tolist()) == ([1, 2, 9], [1, 1, 0], [1])

    def by_lax(x, updates):
        return lax.scatter_max(x, indices, updates, numbers, mode="clip")

    came = [bar.tolist() for bar in jax.vjp(by_lax, x, updates)[1](jnp.ones(3))]
    right, wrong = [[1, 1, 0], [1]], [[1, 1, 1], [np.inf]]  # mended in JAX 0.12
    assert came in (right, wrong)


def test_products_with_repeated_indices_and_zeros() -> None:
    x, updates = jnp.array([2.0, 3.0]), jnp.array([0.0, 5.0, 7.0, 0.0, 4.0, 9.0])
    indices = jnp.array([[0], [1], [0], [1], [1], [2]])
    y, res = scatter_mul.fwd(x, indices, updates)
    assert y.tolist() == [0, 0]
    x_bar, _, updates_bar = scatter_mul.bwd(res, jnp.array([1.0, 10.0]))
    assert x_bar.tolist() == [0, 0]
    assert updates_bar.tolist() == [14, 0, 0, 600, 0, 0]
    with pytest.raises(NotImplementedError, match="unique_indices"):
        jax.grad(lambda u: jnp.sum(x.at[indices[:5, 0]].multiply(u)))(updates[:5])


@pytest.mark.parametrize("start", [(0, 0), (1, 3), (-1, 9)])
def test_a_block_that_would_not_fit_is_moved(start) -> None:
    at, x, update = jnp.array(start), X[0], jnp.ones((2, 2))
    first = np.clip(start, 0, (1, 2))
    rows, columns = (slice(a, a + 2) for a in first)
    y, res = dynamic_slice.with_options(sizes=(2, 2)).fwd(x, at)
    np.testing.assert_array_equal(y, x[rows, columns])
    bar = jnp.zeros((3, 4)).at[rows, columns].set(y)
    np.testing.assert_array_equal(dynamic_slice.bwd(res, y)[0], bar)
    y, res = dynamic_update_slice.fwd(x, update, at)
    np.testing.assert_array_equal(y, x.at[rows, columns].set(1))
    x_bar, update_bar, _ = dynamic_update_slice.bwd(res, y)
    np.testing.assert_array_equal(x_bar, x.at[rows, columns].set(0))
    np.testing.assert_array_equal(update_bar, update)


@pytest.mark.parametrize("num_keys", [1, 2])
def test_keys_take_values_and_numbers_with_them(num_keys) -> None:
    keys, other = jnp.array([[2.0, 1, 2, 1, 0]]), jnp.array([[5.0, 4, 3, 2, 1]])
    xs = (keys, other, jnp.arange(5).reshape(1, 5))
    y, res = sort.fwd(xs, num_keys=num_keys)
    for came, want in zip(y, lax.sort(xs, num_keys=num_keys), strict=True):
        np.testing.assert_array_equal(came, want)
    (bars,) = sort.bwd(res, (y[0], y[1], np.zeros((1, 5), jax.dtypes.float0)))
    assert bars[2] is None
    np.testing.assert_array_equal(bars[0], keys)
    np.testing.assert_array_equal(bars[1], other)
    agree(sort.with_options(axis=0), lambda x: jnp.sort(x, axis=0), X)
    assert np.isnan(sort(jnp.array([jnp.nan, 1.0]))[1])


def test_the_largest_of_equal_entries_is_the_first() -> None:
    (y, places), res = top_k.with_options(k=2).fwd(jnp.array([1.0, 3.0, 3.0, 3.0]))
    assert (y.tolist(), places.tolist()) == ([3, 3], [1, 2])
    assert top_k.bwd(res, jnp.array([5.0, 6.0]))[0].tolist() == [0, 5, 6, 0]


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (lambda: gather(X, INDICES), ShapeError, "expected 1 as its last axis"),
        (lambda: gather(X, STARTS, dimension_numbers=WINDOWS), ShapeError, "^gather: "),
        (lambda: take(X, INDICES, axis=3), OptionError, "take: axis is 3"),
        (lambda: take(X, INDICES, mode="drop"), OptionError, "mode is 'drop'"),
        (lambda: take(jnp.ones((0, 2)), INDICES), ShapeError, "expected entries along axis 0"),
        (lambda: take_along_axis(X, INDICES), ShapeError, "in all axes but -1"),
        (lambda: dynamic_slice(X, jnp.arange(2)), ShapeError, r"start has shape \(2,\)"),
        (lambda: dynamic_slice(X, jnp.arange(3)), OptionError, "expected 3 sizes of at most"),
        (
            lambda: dynamic_update_slice(X, jnp.ones((3, 1, 1)), jnp.arange(3)),
            ShapeError,
            "nowhere larger than x",
        ),
        (lambda: scatter(X, INDICES, X), ShapeError, "rows of x of shape"),
        (
            lambda: scatter_add(X, STARTS, X, dimension_numbers=WRITES),
            ShapeError,
            "^scatter_add: ",
        ),
        (lambda: sort(()), ArgumentError, "expected an array or a tuple of arrays"),
        (lambda: sort((X, X[0])), ShapeError, r"xs\[1\] has shape \(3, 4\)"),
        (lambda: sort(X, axis=3), OptionError, "sort: axis is 3"),
        (lambda: sort(X, num_keys=2), OptionError, "num_keys is 2, expected 1 to 1"),
        (lambda: top_k(X, k=5), OptionError, "k is 5, expected 0 to 4"),
        (lambda: top_k(jnp.float32(1)), ShapeError, "expected at least one axis"),
    ],
)
def test_wrong_input_is_refused(run, error, message) -> None:
    with pytest.raises(error, match=message):
        run()
