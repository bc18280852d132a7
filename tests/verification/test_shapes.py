"""Other shapes for an example's arguments."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purebp.verification.shapes import LONG, independent_axes, other_shapes


def anything(candidate):
    return True


def runs(function):
    """Whether the function takes arrays of some shapes."""

    def accepts(shapes):
        try:
            jax.eval_shape(function, *(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes))
        except (TypeError, ValueError, IndexError):
            return False
        return True

    return accepts


def affine(x, w, b):
    return x @ w + b


def strict_sum(x, y):
    if x.shape != y.shape:
        raise ValueError("of one shape, please")
    return x + y


def fixed(x):
    if x.shape[-1] != 4:
        raise ValueError("of four, please")
    return x


def groups(function, *shapes):
    found = independent_axes(shapes, runs(function))
    return {frozenset(group) for group in found}


def others(function, *shapes):
    return list(other_shapes(shapes, runs(function), anything, anything))


def test_axes_that_go_together_are_found_by_trying():
    assert groups(affine, (2, 3), (3, 5), (5,)) == {
        frozenset({(0, 0)}),
        frozenset({(0, 1), (1, 0)}),
        frozenset({(1, 1), (2, 0)}),
    }


def test_axes_of_equal_size_are_told_apart_where_they_can_be():
    assert groups(affine, (3, 3), (3, 3), (3,)) == groups(affine, (2, 3), (3, 5), (5,))
    assert groups(strict_sum, (4, 4), (4, 4)) == {
        frozenset({(0, 0), (1, 0)}),
        frozenset({(0, 1), (1, 1)}),
    }
    assert groups(jnp.linalg.inv, (3, 3)) == {frozenset({(0, 0), (0, 1)})}


def test_axes_of_size_one_stay_as_they_are():
    assert groups(jnp.multiply, (4, 1), (4, 3)) == {
        frozenset({(0, 0), (1, 0)}),
        frozenset({(1, 1)}),
    }


@pytest.mark.parametrize(
    "function_and_shapes",
    [
        (affine, (2, 3), (3, 5), (5,)),
        (affine, (4, 4), (4, 4), (4,)),
        (strict_sum, (2, 2), (2, 2)),
        (jnp.linalg.inv, (3, 3)),
        (fixed, (2, 4)),
        (jnp.sin, ()),
        (jnp.sin, (0, 3)),
        (lambda: jnp.zeros(2),),
    ],
)
def test_the_example_comes_first_and_each_shape_once_and_accepted(function_and_shapes):
    function, *shapes = function_and_shapes
    found = others(function, *shapes)
    assert found[0] == tuple(shapes)
    assert len(set(found)) == len(found)
    assert all(runs(function)(candidate) for candidate in found)


def test_the_first_new_shape_has_all_sizes_different():
    found = others(affine, (4, 4), (4, 4), (4,))[1]
    (rows, inner), (_, columns), _ = found
    assert len({rows, inner, columns}) == 3


@pytest.mark.parametrize(
    ("told", "what"),
    [
        (lambda x, *_: x[0] == 1, "one row"),
        (lambda x, *_: x[1] == 1, "one feature"),
        (lambda x, *_: LONG in x, "longer than a block"),
        (lambda x, *_: x[0] > x[1], "more rows than columns"),
        (lambda x, *_: x[0] < x[1], "more columns than rows"),
        (lambda _, w, b: b in {(), (1,)} and w[1] > 1, "a bias that is broadcast"),
        (lambda *each: each == ((3, 3), (3, 3), (3,)), "everything equal"),
        (lambda x, w, _: len(x) == 3 and len(w) == 2, "a new first axis"),
    ],
)
def test_telling_shapes_are_among_the_others(told, what):
    found = itertools.islice(
        other_shapes(((2, 3), (3, 5), (5,)), runs(affine), anything, anything), 40
    )
    assert any(told(*shapes) for shapes in found), what


def test_a_function_that_refuses_everything_else_keeps_its_example():
    assert list(
        other_shapes(((2, 3),), lambda shapes: shapes == ((2, 3),), anything, anything)
    ) == [((2, 3),)]
    assert all(shape[-1] == 4 for (shape,) in others(fixed, (2, 4)))


SHAPES = st.lists(st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=3)


@settings(max_examples=20)
@given(shapes=SHAPES.map(tuple))
def test_whatever_the_example_each_place_is_in_one_group_and_ranks_grow_by_one_at_most(shapes):
    places = [place for group in independent_axes(shapes, anything) for place in group]
    wanted = [(k, a) for k, s in enumerate(shapes) for a, n in enumerate(s) if n > 1]
    assert sorted(places) == wanted
    for found in itertools.islice(other_shapes(shapes, anything, anything, anything), 30):
        assert len(found) == len(shapes)
        assert all(len(new) <= len(old) + 1 for new, old in zip(found, shapes, strict=True))
        assert all(np.array(shape, int).min(initial=0) >= 0 for shape in found)


def test_an_array_that_may_stretch_has_to_fit_wherever_it_does():
    shapes = ((2, 3), (2, 3))
    broadcasts = [((2, 3), w) for w in ((1, 3), (2, 1), (3,), ())]

    def found(fitting):
        def fits(candidate):
            return candidate in fitting

        def stretches(candidate):
            return candidate in broadcasts

        every = other_shapes(shapes, runs(jnp.multiply), fits, stretches)
        return [each for each in every if each in broadcasts]

    assert found(broadcasts) == broadcasts
    assert found(broadcasts[:3]) == broadcasts
    assert found([]) == []


def test_labels_are_not_parted_from_the_scores_that_they_belong_to():
    def scores_of(scores, labels):
        return scores[jnp.arange(labels.shape[0]), labels.astype(int)]

    shapes = ((5, 3), (5,))
    apart = independent_axes(shapes, runs(scores_of))
    assert [(0, 0)] in apart  # JAX takes scores without labels, and labels without scores
    together = independent_axes(shapes, runs(scores_of), labels=[1])
    assert [(0, 0), (1, 0)] in together


def test_a_batch_of_one_is_made_larger_first():
    def accepts(shapes):
        x, w, b = shapes
        return list(map(len, shapes)) == [2, 2, 1] and (x[1], w[1]) == (w[0], b[0])

    found = other_shapes(((1, 4), (4, 3), (3,)), accepts, accepts, lambda _: False)
    assert list(itertools.islice(found, 2)) == [((1, 4), (4, 3), (3,)), ((2, 4), (4, 3), (3,))]
