"""Reductions, products, convolutions and windows against JAX in float64."""

import operator

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp.verification.digits import sums
from purebp.verification.digits.values import UnsupportedError
from tests.verification.digits.both_ways import assert_same, by_digits

INF, NAN = np.inf, np.nan
RNG = np.random.default_rng(0)
X, V = RNG.standard_normal((3, 4)), RNG.standard_normal(5)


@pytest.mark.parametrize("function", [jnp.sum, jnp.prod, jnp.max, jnp.min])
def test_reductions(function):
    assert_same(lambda x: [function(x, axis=axis) for axis in (None, 0, -1, (0, 1))], X)


def test_a_reduction_of_nothing():
    assert_same(lambda x: (jnp.sum(x, 0), jnp.prod(x, 0), jnp.max(x, 1)), np.zeros((0, 3)))


@pytest.mark.parametrize("function", [jnp.sum, jnp.prod])
def test_a_nan_goes_through_sums(function):
    assert_same(function, np.asarray([1.0, NAN, 2.0]))


@pytest.mark.parametrize("function", [jnp.max, jnp.min, lax.cummax, lax.cummin, jnp.argmax])
def test_a_nan_goes_through(function):
    assert_same(function, np.asarray([1.0, NAN, 2.0]))


@pytest.mark.parametrize("function", [lax.cumsum, lax.cumprod, lax.cummax, lax.cummin])
def test_running_reductions(function):
    assert_same(lambda x: [function(x, a, reverse=r) for a in (0, 1) for r in (False, True)], X)


def test_running_logarithms_of_sums():
    x = np.asarray([-INF, 1.0, 2.0, -1000.0, 1000.0])
    assert_same(lambda x: [lax.cumlogsumexp(x, reverse=r) for r in (False, True)], x)


def test_places_of_the_largest_and_the_smallest():
    tied = np.asarray([[1.0, 3.0, 3.0], [-2.0, -2.0, 5.0]])
    assert_same(lambda x: (jnp.argmax(x, 1), jnp.argmin(x, 1), jnp.argmax(x)), tied)
    assert_same(lambda x: lax.argmin(x, 0, np.int8), tied)


@pytest.mark.parametrize(
    ("formula", "shapes"),
    [
        ("ij,jk->ik", ((3, 4), (4, 2))),
        ("bij,bkj->bik", ((2, 3, 4), (2, 5, 4))),
        ("ibj,kjb->bik", ((3, 2, 4), (5, 4, 2))),
        ("ij,ij->i", ((3, 4), (3, 4))),
        ("i,j->ij", ((3,), (2,))),
        ("ij,jk->ik", ((2, 0), (0, 3))),
        pytest.param("i,i->", ((3,), (3,))),
        pytest.param("ij,ij->", ((3, 2), (3, 2))),
    ],
)
def test_products_of_matrices(formula, shapes):
    arrays = [RNG.standard_normal(shape) for shape in shapes]
    assert_same(lambda x, y: jnp.einsum(formula, x, y), *arrays, rtol=1e-12)


def test_a_product_with_integers():
    assert_same(lambda x, n: x @ n.astype(x.dtype), X, np.arange(8).reshape(4, 2))


CONVOLUTIONS = {
    "plain": ((2, 2, 4, 3), (3, 2, 2, 2), {"window_strides": (1, 1), "padding": "SAME"}),
    "all options": (
        (1, 2, 3, 3),
        (4, 1, 2, 2),
        {
            "window_strides": (2, 1),
            "padding": ((1, 0), (0, 2)),
            "rhs_dilation": (1, 2),
            "lhs_dilation": (2, 1),
            "feature_group_count": 2,
        },
    ),
    "groups of rows": (
        (4, 2, 5),
        (2, 2, 2),
        {"window_strides": (1,), "padding": "VALID", "batch_group_count": 2},
    ),
    "other layout": (
        (2, 4, 3),
        (2, 3, 2),
        {
            "window_strides": (1,),
            "padding": ((-1, 1),),
            "dimension_numbers": ("NWC", "WIO", "NWC"),
        },
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name):
    x, w, options = CONVOLUTIONS[name]
    x, w = RNG.standard_normal(x), RNG.standard_normal(w)
    assert_same(lambda x, w: lax.conv_general_dilated(x, w, **options), x, w, rtol=1e-12)


WINDOWS = {
    "plain": ((2, 2), (1, 2), "VALID"),
    "padded": ((2, 2), (1, 2), "SAME"),
    "dilated": ((2, 2), (1, 2), ((1, 0), (0, 2)), (2, 1), (1, 2)),
}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("of", [(0.0, lax.add), (-INF, lax.max), (INF, lax.min)])
def test_windows(name, of):
    first, function = of
    first = np.float64(first)
    assert_same(lambda x: lax.reduce_window(x, first, function, *WINDOWS[name]), X, rtol=1e-12)


def test_infinity_in_one_window_stays_there():
    x = np.asarray([1.0, INF, 2.0, 3.0])
    assert_same(lambda x: lax.reduce_window(x, 0.0, lax.add, (2,), (1,), "VALID"), x)


def both(p, q):
    return p + q + p * q


def never_wrong(function, *args):
    """The right numbers, or a word that it cannot be done."""
    try:
        assert_same(function, *args)
    except UnsupportedError:
        return


def test_a_reduction_by_a_function_of_ones_own_is_never_wrong():
    never_wrong(lambda x: lax.reduce(x, np.float64(0.0), both, (0,)), V)


def test_windows_by_a_function_of_ones_own_are_never_wrong():
    never_wrong(lambda x: lax.reduce_window(x, np.float64(0.0), both, (2,), (1,), "VALID"), V)


@pytest.mark.parametrize("places", [[0, 0, 2], [0, 9, 2], [-1, 1, -1]])
def test_adding_at_places(places):
    places = np.asarray(places)
    assert_same(lambda x: x.at[places].add(x[:3] * 2), V)


def test_adding_at_places_in_float32():
    x, places = V.astype(np.float32), np.asarray([0, 0, 2])
    [got] = by_digits(lambda x: x.at[places].add(x[:3]), x)
    expected = x.astype(np.float64)
    np.add.at(expected, places, x[:3].astype(np.float64))
    np.testing.assert_allclose(got, expected, rtol=1e-15)


def test_multiplying_at_places_is_not_supported():
    with pytest.raises(UnsupportedError, match="scatter"):
        by_digits(lambda x: x.at[np.asarray([0, 0])].multiply(x[:2]), V)


def test_an_operand_that_is_too_large_is_not_supported(monkeypatch):
    monkeypatch.setattr(sums, "LARGEST", 4)
    with pytest.raises(UnsupportedError, match="an operand of 5 entries"):
        by_digits(lambda x: lax.reduce_window(x, 0.0, lax.add, (2,), (1,), "VALID"), V)


def test_a_sum_does_not_cancel():
    [got] = by_digits(jnp.sum, np.asarray([1e30, 1.0, -1e30]))
    assert got == 1.0


@pytest.mark.parametrize(("table", "name"), [("REDUCTIONS", "reduce_sum"), ("RUNNING", "cumsum")])
def test_a_wrong_sum_is_seen(monkeypatch, table, name):
    wrong = {"REDUCTIONS": sums._maximum, "RUNNING": np.multiply}[table]
    monkeypatch.setitem(getattr(sums, table), name, wrong)
    functions = {"reduce_sum": jnp.sum, "cumsum": lax.cumsum}
    with pytest.raises(AssertionError):
        assert_same(functions[name], V)


def test_other_primitives_are_not_among_these():
    assert sums.apply("sin", operator.neg, {}, []) is None
