"""The example arguments of a target, and arguments like them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.verification.given import NEAR, Given, arguments_like, given_of, pool_of

X = jnp.array([[1.0, -2.0, 0.5, 3.0], [0.25, -1.0, 2.0, 1.5]])
SCALE = jnp.array([1.0, 0.5, 2.0, 0.25])
LABELS = jnp.array([0, 2])
MASK = jnp.array([[True, False, True, True], [False, True, True, False]])


def below(*examples):
    return given_of(examples).below


def test_the_example_is_kept_as_it_came():
    examples = (X, {"scale": SCALE, "bias": None}, [1.5, 2], np.ones(3, np.float32))
    given = given_of(examples)
    assert given.shapes == ((2, 4), (4,), (), (), (3,))
    assert [nature.kind for nature in given.natures] == [
        *("real", "positive", "positive", "integers", "positive")
    ]
    assert all(isinstance(leaf, jax.Array) for leaf in given.leaves)
    again = given.arguments()
    assert jax.tree.structure(again) == jax.tree.structure(examples)
    assert again[0] is X


def test_patterns_are_those_of_all_arrays():
    assert "special labels" in given_of((X, LABELS)).patterns
    assert "special labels" not in given_of((X,)).patterns
    assert "all false" in given_of((X, MASK)).patterns


@pytest.mark.parametrize(
    ("examples", "bound"),
    [
        ((X, LABELS), (0, 1)),  # classes
        ((jnp.ones((9, 5)), jnp.array([[1, 3]])), (0, 1)),  # rows of a table: the shorter axis
        ((jnp.ones((3, 3)), LABELS), (0, 1)),  # the later one in a tie
        ((jnp.ones((2, 2)), LABELS), None),  # nothing is long enough
        ((jnp.ones((1,)), jnp.array([0])), None),
        ((jnp.ones((6, 2)), jnp.array([5])), (0, 0)),
        ((jnp.array(1.0), jnp.array([5])), None),
    ],
)
def test_integers_are_bounded_by_the_shortest_axis_that_they_fit_in(examples, bound):
    assert below(*examples) == (None, bound)


def test_the_first_seed_is_the_example_and_others_are_near():
    given = given_of((X, SCALE, LABELS, MASK))
    first = arguments_like(given, given.shapes, "normal", 0)
    assert all(a is b for a, b in zip(first, given.leaves, strict=True))
    moved, *rest = arguments_like(given, given.shapes, "normal", 1)
    steps = np.abs(np.asarray(moved - X)) / (NEAR * given.natures[0].size)
    assert 0 < steps.max() < 5
    assert steps.min() > 0
    for found, kept in zip(rest, (SCALE, LABELS, MASK), strict=True):
        np.testing.assert_array_equal(found, kept)


def test_the_same_seed_gives_the_same_numbers_and_another_one_others():
    given = given_of((X, LABELS))
    one, again, other = (arguments_like(given, given.shapes, "wide", s)[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_dtypes_are_kept_when_numbers_move():
    examples = (X.astype(jnp.bfloat16), jnp.array([1.0 - 2.0j]), -2.0, jax.random.key(3))
    given = given_of(examples)
    for seed, pattern in ((1, "normal"), (0, "tails"), (5, "zeros")):
        found = arguments_like(given, given.shapes, pattern, seed)
        assert [leaf.dtype for leaf in found] == [leaf.dtype for leaf in given.leaves]
    near = arguments_like(given, given.shapes, "normal", 1)
    assert near[1].imag != examples[1].imag
    assert not np.array_equal(jax.random.key_data(near[3]), jax.random.key_data(examples[3]))


def test_in_other_shapes_labels_stay_below_their_axis():
    given = given_of((X, LABELS))
    for seed in range(5):
        x, labels = arguments_like(given, ((7, 2), (7,)), "normal", seed)
        assert (x.shape, labels.shape) == ((7, 2), (7,))
        assert int(labels.max()) <= 1
    wide = arguments_like(given, ((7, 2), (7,)), "special labels", 0)[1]
    assert int(wide.max()) == -1


def test_a_bound_that_has_gone_with_its_axis_does_not_matter():
    given = given_of((X, LABELS))
    assert arguments_like(given, ((3,), (4,)), "normal", 1)[1].shape == (4,)


def test_what_a_mask_hides_is_made_infinite_and_nothing_else():
    given = given_of((X, SCALE, MASK))
    x, scale, mask = arguments_like(given, given.shapes, "infinite where masked", 1)
    np.testing.assert_array_equal(np.isfinite(x), mask)
    assert np.isfinite(scale).all()
    assert 0 < np.isfinite(x).sum() < x.size
    without = given_of((X, SCALE, MASK[0, :3]))  # of no argument's shape
    found = arguments_like(without, without.shapes, "infinite where masked", 1)
    assert np.isfinite(found[0]).all()


def test_the_constants_are_the_functions_and_those_among_its_settings():
    settings = {"eps": -0.25, "axis": 2, "flag": True, "name": "a", "zero": 0.0}
    jaxpr = jax.make_jaxpr(lambda x: jnp.where(x > 0.5, x, x * 6.0))(X)
    pool = pool_of(jaxpr, settings)
    assert set(pool.floats) == {0.5, 6.0, 0.25}
    assert pool.integers == (2,)
    assert pool_of(jax.make_jaxpr(jnp.sin)(X), {}) == ((), ())


def test_the_functions_constants_are_drawn():
    pool = pool_of(jax.make_jaxpr(lambda x: x * 6.0)(X), {})
    given = given_of((jnp.array([1.0, -1.0]),))._replace(pool=pool)
    assert isinstance(given, Given)
    (found,) = arguments_like(given, ((60,),), "constants", 1)
    assert {6.0, -6.0} <= set(found.tolist())
