"""Other shapes for somebody's example arguments.

Axes of equal size are taken for the same axis, until a change of some of them alone goes through.
What the function refuses is dropped by whoever asks.
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence

Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]
Place = tuple[int, int]
"""Which array, and which of its axes."""

LONG = 13
"""Longer than a small block, and no multiple of one."""
FEW = 5
"""Places of one size, of which all groups are tried."""


def other_shapes(
    shapes: Shapes,
    accepts: Callable[[Shapes], bool],
    fits: Callable[[Shapes], bool],
    stretches: Callable[[Shapes], bool],
    labels: Collection[int] = (),
) -> Iterator[Shapes]:
    """Shapes that the function accepts, the most telling ones first; the example's come first.

    `labels` are the arrays of integers.

    Where arrays broadcast that did not in the example `fits` has to hold too: that the cotangents
    have the shapes of the arguments. A layer need not promise that; JAX refuses it loudly. But one
    that fits where an array stretches, to the output of the example, has to fit wherever it does.
    """
    seen = {shapes}
    yield shapes
    axes = independent_axes(shapes, accepts, labels)
    batched = tuple((2, *shape) for shape in shapes)
    broadcasts = {*_broadcasts(shapes), *_longer(shapes), batched}
    broadcasts.update(_stiff(shapes, axes, accepts))
    promised = set[int]()
    for candidate in _candidates(shapes, axes):
        if candidate in seen or not accepts(candidate):
            continue
        seen.add(candidate)
        if candidate not in broadcasts:
            yield candidate
            continue
        array = next(k for k, shape in enumerate(candidate) if shape != shapes[k])
        fitting, stretching = fits(candidate), stretches(candidate)
        if fitting and stretching:
            promised.add(array)
        if fitting or (stretching and array in promised):
            yield candidate


def independent_axes(
    shapes: Shapes, accepts: Callable[[Shapes], bool], labels: Collection[int] = ()
) -> list[list[Place]]:
    """The places that have to change together, as found by trying.

    An array of integers is not parted from the others: indexing takes scores without labels.
    """
    groups = list[list[Place]]()
    for size in dict.fromkeys(size for shape in shapes for size in shape if size > 1):
        left = [
            (array, axis)
            for array, shape in enumerate(shapes)
            for axis, n in enumerate(shape)
            if n == size
        ]
        labelled = any(array in labels for array, _ in left)
        groups += [left] if labelled else _split(shapes, left, size, accepts)
    return groups


def _split(
    shapes: Shapes, places: list[Place], size: int, accepts: Callable[[Shapes], bool]
) -> list[list[Place]]:
    """The smallest groups of places that may change alone; what is left goes together."""
    groups, left = list[list[Place]](), list(places)
    if len(places) > FEW:
        return [left]
    for count in range(1, len(places)):
        for group in itertools.combinations(places, count):
            if all(place in left for place in group) and len(left) > count:
                changed = _changed(shapes, dict.fromkeys(group, size + 2))
                if accepts(changed):
                    groups.append(list(group))
                    left = [place for place in left if place not in group]
    return [*groups, left]


def _changed(shapes: Shapes, sizes: dict[Place, int]) -> Shapes:
    return tuple(
        tuple(sizes.get((array, axis), n) for axis, n in enumerate(shape))
        for array, shape in enumerate(shapes)
    )


def _with_sizes(shapes: Shapes, axes: list[list[Place]], sizes: Sequence[int]) -> Shapes:
    return _changed(
        shapes,
        {place: size for places, size in zip(axes, sizes, strict=True) for place in places},
    )


def _candidates(shapes: Shapes, axes: list[list[Place]]) -> Iterator[Shapes]:
    now = [shapes[places[0][0]][places[0][1]] for places in axes]
    count = len(axes)
    yield from itertools.islice(_wider(shapes), 1)  # a batch of one hides sums and means
    if count > 1:
        yield _with_sizes(shapes, axes, [2 + k for k in range(count)])
        yield _with_sizes(shapes, axes, [1 + count - k for k in range(count)])
    for k in range(count):
        yield _with_sizes(shapes, axes, [*now[:k], 1, *now[k + 1 :]])
    yield from _wider(shapes)
    yield from _broadcasts(shapes)
    for k in range(count):
        short = [min(n, 3 if count < 3 else 2) for n in now]
        yield _with_sizes(shapes, axes, [*short[:k], LONG, *short[k + 1 :]])
    for k in range(count):
        for size in (now[k] + 1, max(now[k] - 1, 1)):
            yield _with_sizes(shapes, axes, [*now[:k], size, *now[k + 1 :]])
    yield from _longer(shapes)
    yield tuple((2, *shape) for shape in shapes)
    yield _with_sizes(shapes, axes, [3] * count)


def _stiff(
    shapes: Shapes, axes: list[list[Place]], accepts: Callable[[Shapes], bool]
) -> Iterator[Shapes]:
    """Axes of 1 that go through by broadcasting: the same axes can have no other size."""
    now = [shapes[places[0][0]][places[0][1]] for places in axes]
    for k, size in enumerate(now):
        others = ([*now[:k], size + more, *now[k + 1 :]] for more in (1, 2))
        if not any(accepts(_with_sizes(shapes, axes, sizes)) for sizes in others):
            yield _with_sizes(shapes, axes, [*now[:k], 1, *now[k + 1 :]])


def _wider(shapes: Shapes) -> Iterator[Shapes]:
    """Axes of 1 made wider: all of them, then one or two at a time."""
    ones = [(a, axis) for a, shape in enumerate(shapes) for axis, n in enumerate(shape) if n == 1]
    for count in (len(ones), 1, 2):
        for group in itertools.combinations(ones, count) if 0 < count <= len(ones) else ():
            yield _changed(shapes, dict.fromkeys(group, 2))


def _longer(shapes: Shapes) -> Iterator[Shapes]:
    """The first array with a new first axis."""
    if shapes:
        yield ((2, *shapes[0]), *shapes[1:])


def _broadcasts(shapes: Shapes) -> Iterator[Shapes]:
    """One array with an axis of 1, without its first axis, or as a number."""
    for array, shape in enumerate(shapes):
        smaller = [(*shape[:axis], 1, *shape[axis + 1 :]) for axis in range(len(shape))]
        for other in (*smaller, shape[1:], ()):
            if other != shape:
                yield (*shapes[:array], other, *shapes[array + 1 :])
