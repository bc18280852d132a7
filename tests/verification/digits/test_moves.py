"""Primitives that move entries, sorts and the k largest, against JAX in float64."""

import operator

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from purebp.verification.digits import moves
from purebp.verification.digits.values import MP, exact
from tests.verification.digits.both_ways import assert_same, by_digits

X, V = np.arange(12.0).reshape(3, 4) / 7, np.asarray([2.0, -1.0, 0.5, 3.0, 2.0])


SMALL = {
    "reshape": lambda x: x.reshape(2, 6),
    "transpose": lambda x: x.T,
    "squeeze": lambda x: lax.squeeze(x[None], (0,)),
    "expand_dims": lambda x: jnp.expand_dims(x, 1) * 2,
    "rev": lambda x: lax.rev(x, (0, 1)),
    "slice": lambda x: x[1:, ::2],
    "pad": lambda x: jnp.pad(x, 1, constant_values=2.0),
    "pad inside": lambda x: lax.pad(x, x[0, 1], ((-1, 1, 0), (0, 0, 1))),
    "concatenate": lambda x: jnp.concatenate([x, x * 2], axis=1),
    "stack": lambda x: jnp.stack([x, x * 2], axis=1),
    "split": lambda x: jnp.split(x, 2, axis=1),
    "unstack": jnp.unstack,
    "tile": lambda x: jnp.tile(x, (2, 1)),
    "repeat": lambda x: jnp.repeat(x, 2, axis=0),
    "roll": lambda x: jnp.roll(x, 1, axis=1),
    "broadcast": lambda x: jnp.broadcast_to(x, (2, 3, 4)),
    "triangle": jnp.tril,
    "diagonal": lambda x: jnp.diag(x[0]),
    "real": lambda x: jnp.real(x) + 1,
    "take": lambda x: jnp.take(x, np.asarray([0, 2, 0]), axis=1, mode="clip"),
    "dynamic_slice": lambda x: lax.dynamic_slice(x, (np.int32(1), np.int32(9)), (2, 2)),
    "dynamic_update_slice": lambda x: lax.dynamic_update_slice(x, x[:1, :1] * 7, (1, 1)),
    "scatter": lambda x: x.at[np.asarray([0, 2])].set(x[:2] * 3),
    "scatter outside": lambda x: x.at[np.asarray([0, 9])].set(x[:2] * 3),
    "with numbers of its own": lambda x: jnp.concatenate([x, jnp.ones((1, 4))]),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_move(name):
    assert_same(SMALL[name], X)


@pytest.mark.parametrize("mode", ["clip", "promise_in_bounds"])
def test_places_outside_are_the_nearest(mode):
    assert_same(lambda x: x.at[np.asarray([0, 9, -1])].get(mode=mode), V)


def test_places_outside_are_nan():
    assert_same(lambda x: jnp.take(x, np.asarray([0, 9])), V)


@pytest.mark.parametrize("fill", [0.0, 0.5, 4.0])
def test_places_outside_have_the_number_that_is_asked_for(fill):
    assert_same(lambda x: x.at[np.asarray([1, 9])].get(mode="fill", fill_value=fill), V)


@settings(max_examples=10)
@given(st.lists(st.integers(-7, 6), min_size=1, max_size=4))
def test_places_that_are_arguments(places):
    indices = np.asarray(places)
    [got] = by_digits(lambda x, i: x[i], V, indices)
    wrapped = np.where(indices < 0, indices + len(V), indices)
    np.testing.assert_array_equal(got, V[np.clip(wrapped, 0, len(V) - 1)])


def test_entries_are_moved_without_rounding():
    third = exact(np.asarray([1.0, 2.0])) / 3
    moved = moves.apply("rev", lax.rev_p, {"dimensions": (0,)}, [third])
    assert moved is not None
    assert moved[0] == MP.mpf(2) / 3
    assert moved[1] == MP.mpf(1) / 3


def test_sorts():
    tied = np.asarray([[2.0, 1.0, 2.0], [np.inf, -np.inf, 0.0]])
    assert_same(lambda x: [jnp.sort(x, axis=axis) for axis in (0, 1)], tied)
    assert_same(lambda x: (jnp.argsort(x), jnp.sort(x, descending=True)), tied)


def test_a_sort_by_several_keys_takes_others_along():
    x, n = np.asarray([1.0, 0.0, 1.0, 0.0]), np.asarray([2, 1, 1, 0], np.int32)
    assert_same(lambda x, n: lax.sort((x, n, x * 2 + n), num_keys=2), x, n)
    assert_same(lambda x, n: lax.sort((n, x), num_keys=1), x, n)


def test_a_nan_comes_last():
    assert_same(jnp.sort, np.asarray([2.0, np.nan, 1.0]))


def test_the_largest_and_the_first_of_equal_ones():
    assert_same(lambda x: lax.top_k(x, 2), X)
    assert_same(lambda x: lax.top_k(x, 3), V)


def test_the_largest_along_another_axis():
    assert_same(lambda x: lax.top_k(x, 2, axis=0), X)


def test_integers_become_numbers():
    x = moves.from_integers(np.asarray([[1, -2]]))
    assert x.shape == (1, 2)
    assert x[0, 1] == -2


def test_a_move_that_is_lost_is_seen(monkeypatch):
    monkeypatch.setattr(moves, "_entries_at", lambda ids, _: exact(np.zeros(ids.shape)))
    with pytest.raises(AssertionError):
        assert_same(SMALL["transpose"], X)


def test_other_primitives_are_not_among_these():
    assert moves.apply("sin", operator.neg, {}, []) is None
