"""What an example's arrays are like, and new ones that are like them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purebp.verification.natures import (
    FLOATS,
    INTEGERS,
    MASKS,
    Nature,
    Pool,
    like,
    nature_of,
    patterns_for,
)

RNG = np.random.default_rng(0)
ROOT = RNG.standard_normal((4, 4))
POOL = Pool((6.0, 0.5), (-100, 7))
EXAMPLES = {
    "real": RNG.standard_normal((3, 4)),
    "positive": np.abs(RNG.standard_normal((3, 4))) + 0.1,
    "probabilities": np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]),
    "zero or one": np.array([0.0, 1.0, 1.0, 0.0]),
    "symmetric": ROOT + ROOT.T,
    "positive definite": ROOT @ ROOT.T + np.eye(4),
    "lower": np.tril(ROOT),
}
SQUARE = {"symmetric", "positive definite", "lower"}


def nature(kind):
    return nature_of(jnp.asarray(EXAMPLES[kind], jnp.float32))


def draw(given_nature, shape, pattern, seed=0, below=0, pool=POOL):
    return like(given_nature, shape, pattern, np.random.default_rng(seed), pool, below)


def numbers(kind, shape, pattern, seed=0):
    return np.asarray(draw(nature(kind), shape, pattern, seed), np.float64)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_kind_of_an_array_is_read_from_its_numbers(kind):
    assert nature(kind).kind == kind
    stacked = jnp.asarray(np.stack([EXAMPLES[kind]] * 2), jnp.float32)
    assert nature_of(stacked).kind == kind


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (jnp.array(1.5), "positive"),
        (jnp.array(-1.5), "real"),
        (jnp.array([0.4, 0.7]), "positive"),
        (jnp.zeros((0, 3)), "real"),
        (jnp.zeros(3), "real"),  # as biases begin
        (jnp.zeros((2, 2)), "real"),
        (jnp.array([[2.0]]), "positive"),
        (jnp.array([1.0 + 2.0j]), "real"),
        (jnp.array([0.5, -2.0], jnp.bfloat16), "real"),
        (jnp.array([True, False]), "mask"),
        (jnp.array([3, 1]), "integers"),
        (jax.random.key(0), "key"),
    ],
    ids=str,
)
def test_the_kind_of_arrays_of_every_dtype_and_rank(array, kind):
    found = nature_of(array)
    assert (found.kind, found.dtype) == (kind, array.dtype)


def test_integers_have_a_range_from_zero_and_those_below_are_special():
    assert nature_of(jnp.array([3, 9]))[3:] == (9, ())
    assert nature_of(jnp.array([-2, 2]))[3:] == (2, (-2,))
    assert nature_of(jnp.zeros((0,), jnp.int32))[3:] == (0, ())


def test_the_size_is_the_root_of_the_mean_square():
    assert nature_of(jnp.array([3.0, -3.0, 3.0])).size == pytest.approx(3.0)
    assert nature_of(jnp.array([3.0 + 4.0j])).size == pytest.approx(5.0)
    assert nature_of(jnp.zeros(3)).size == 1.0


def test_a_mask_of_infinities_does_not_make_the_size_infinite():
    bias = nature_of(jnp.array([0.0, -jnp.inf, 0.5]))
    assert np.isfinite(bias.size)
    assert np.isfinite(draw(bias, (5,), "normal")).all()


@pytest.mark.parametrize("kind", EXAMPLES)
def test_new_arrays_have_the_shape_and_dtype_in_every_pattern(kind):
    for pattern in (*FLOATS, *INTEGERS, *MASKS):
        for shape in ((), (5,), (2, 0), (2, 3), (2, 3, 3)):
            if (kind, pattern) != ("probabilities", "some infinite"):
                found = draw(nature(kind), shape, pattern)
                assert (found.shape, found.dtype) == (shape, jnp.float32)
                assert "some" in pattern or np.isfinite(found).all()


@pytest.mark.parametrize(
    ("example", "pattern"),
    [(np.zeros((0, 3), np.float32), "zero rows"), (np.zeros((0, 3), bool), "a row false")],
    ids=["floats", "mask"],
)
def test_an_array_without_rows_has_every_pattern_too(example, pattern):
    assert draw(nature_of(jnp.asarray(example)), (0, 3), pattern).shape == (0, 3)


@pytest.mark.parametrize("example", [EXAMPLES["probabilities"], np.array([1.0 + 2.0j])])
def test_infinities_in_rows_or_in_complex_numbers_come_without_a_warning(example):
    found = draw(nature_of(jnp.asarray(example)), (6, 5), "some infinite")
    assert not np.isfinite(found).all()


@settings(max_examples=30)
@given(
    pattern=st.sampled_from(sorted({*FLOATS} - {"signs", "some nan", "some infinite"})),
    shape=st.sampled_from([(), (4,), (3, 3), (2, 4, 4)]),
    seed=st.integers(0, 99),
)
def test_what_a_kind_promises_holds_in_every_plain_pattern(pattern, shape, seed):
    assert (numbers("positive", shape, pattern, seed) >= 0).all()
    if len(shape) > 1:
        for kind in ("symmetric", "positive definite"):
            matrix = numbers(kind, shape, pattern, seed)
            np.testing.assert_array_equal(matrix, np.swapaxes(matrix, -1, -2))
        assert np.linalg.eigvalsh(matrix).min() > 0  # of the positive definite one
        lower = numbers("lower", shape, pattern, seed)
        assert not np.triu(lower, 1).any()
        assert (np.diagonal(lower, 0, -2, -1) > 0).all()


def test_signs_show_what_happens_where_a_positive_number_is_negative():
    values = numbers("positive", (50,), "signs")
    assert values.min() < 0 < values.max()


def test_positive_ties_stay_away_from_zero():
    assert numbers("positive", (50,), "ties").min() > 0


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        ("normal", lambda x: len(np.unique(x)) == x.size),
        ("ties", lambda x: len(np.unique(x)) <= 5),
        ("zeros", lambda x: 0 < (x == 0).sum() < x.size),
        ("zero rows", lambda x: not x[0].any() and x[1:].all()),
        ("wide", lambda x: np.abs(x).max() / np.abs(x).min() > 1e4),
        ("tails", lambda x: np.abs(x).max() > 15),
        ("small", lambda x: 0 < np.abs(x).max() < 1e-4),
        ("equal", lambda x: len(np.unique(x)) == 1 and x.all()),
        ("nothing", lambda x: not x.any()),
        ("some nan", lambda x: 0 < np.isnan(x).sum() < x.size),
        ("some infinite", lambda x: 0 < (x == -np.inf).sum() < x.size),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_pattern_is_what_its_name_says(pattern, holds):
    assert holds(numbers("real", (10, 8), pattern))


def test_constants_of_the_function_are_met_on_both_sides_and_just_beside():
    unit = Nature("real", jnp.dtype("float32"), 1.0)
    exact = np.asarray(draw(unit, (200,), "constants"))
    assert {6.0, -6.0, 0.5, -0.5} <= set(exact.tolist())
    beside = np.asarray(draw(unit, (200,), "near constants"))
    near = np.abs(np.abs(beside) - 6) < 0.1
    assert near.sum() > 20
    assert (np.abs(beside[near]) < 6).any()
    assert (np.abs(beside[near]) > 6).any()
    assert not set(POOL.floats) & set(np.abs(beside).tolist())
    without = draw(unit, (200,), "constants", pool=Pool((), ()))
    assert len(np.unique(without)) == 200


def test_constants_of_the_function_are_met_whatever_the_size_of_the_example():
    found = numbers("real", (200,), "constants")
    assert 6.0 in found


def test_zero_or_one_stays_zero_or_one():
    assert set(numbers("zero or one", (50,), "normal").tolist()) == {0.0, 1.0}


def test_rows_of_probabilities_add_up_to_one():
    for pattern in ("ties", "zeros", "wide", "tails", "small", "equal"):
        rows = numbers("probabilities", (20, 4), pattern).sum(-1)
        assert np.isclose(rows, 1, rtol=1e-5).all()


def test_a_complex_array_is_drawn_in_both_parts():
    found = draw(nature_of(jnp.array([1.0 + 2.0j])), (6,), "normal")
    assert found.dtype == jnp.complex64
    assert np.all(found.real != 0)
    assert np.all(found.imag != 0)


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("normal", {0, 1, 2, 3}),
        ("labels", {0, 1, 2, 3}),
        ("some special labels", {0, 1, 2, 3, -100, 7}),
        ("special labels", {-100, 7}),
    ],
)
def test_labels_stay_in_their_range_or_are_the_functions_own(pattern, allowed):
    labels = nature_of(jnp.array([0, 3]))
    found = [np.asarray(draw(labels, (40,), pattern, seed)) for seed in range(6)]
    assert all(set(each.tolist()) <= allowed for each in found)
    assert set(np.concatenate(found).tolist()) == allowed


def test_labels_can_be_all_the_same_stay_below_a_size_and_have_a_special_one_by_default():
    labels = nature_of(jnp.array([0, 9], jnp.int32))
    assert len(np.unique(draw(labels, (30,), "same labels"))) == 1
    assert np.asarray(draw(labels, (99,), "normal", below=3)).max() == 2
    assert np.asarray(draw(labels, (9,), "special labels", pool=Pool((), (4,)))).max() == -1
    assert draw(labels, (0,), "same labels").shape == (0,)


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        ("normal", lambda m: 0 < m.mean() < 1),
        ("all true", np.all),
        ("all false", lambda m: not m.any()),
        ("a row false", lambda m: not m[0].any() and m[1:].any()),
    ],
)
def test_masks_are_mixed_full_empty_or_without_a_row(pattern, holds):
    mask = draw(nature_of(jnp.array([True, False])), (6, 5), pattern)
    assert mask.dtype == bool
    assert holds(np.asarray(mask))
    assert draw(nature_of(jnp.array(True)), (), pattern).shape == ()


def test_a_key_is_a_new_key():
    keys = [draw(nature_of(jax.random.key(0)), (), "normal", seed) for seed in (1, 1, 2)]
    first, again, other = (jax.random.key_data(key).tolist() for key in keys)
    assert first == again != other


def test_only_patterns_that_differ_are_tried():
    x, labels, mask = jnp.ones(3), jnp.array([1]), jnp.array([True])
    assert patterns_for([x]) == FLOATS
    assert patterns_for([x, labels, jax.random.key(0)]) == (*FLOATS, *INTEGERS[1:])
    assert patterns_for([x, mask]) == (*FLOATS, *MASKS[1:])
    assert patterns_for([x, labels, mask]) == (*FLOATS, *INTEGERS[1:], *MASKS[1:])
