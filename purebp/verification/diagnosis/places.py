"""Rules about places: transposed, swapped, zero where they should not be, and the other way."""

import itertools
from collections.abc import Iterator

import numpy as np

from purebp.verification.diagnosis.views import Diagnosis, View, differs, equal, scale_of


def not_finite(view: View) -> Diagnosis | None:
    """W has inf or nan where J has numbers."""
    bad = ~np.isfinite(view.wrong) & np.isfinite(view.right)
    if not bad.any():
        return None
    columns = bad.any(axis=0)
    x = view.x.ravel()[columns]
    where = ""
    if np.all(x == 0):
        where = f" where {view.name} is 0: divided by it, or 0 times infinity"
    elif np.any(view.x.ravel()[~columns]) and np.abs(x).min() >= np.abs(view.x).max() / 4:
        where = f" where {view.name} is large ({np.abs(x).min():.3g} and more): an overflow"
    elif columns.all():
        where = " everywhere"
    value = "nan" if np.isnan(view.wrong[bad]).any() else "inf"
    return Diagnosis("not finite", f"{view.name}_bar is {value}{where}")


def swapped(view: View) -> Diagnosis | None:
    """W of this argument is J of another one."""
    for name, right in view.others.items():
        if right.shape == view.right.shape and np.any(right) and equal(view.wrong, right):
            return Diagnosis("swapped", f"{view.name}_bar is what belongs to {name}")
    return None


def transposed(view: View) -> Diagnosis | None:
    """W is J with its axes, or those of the argument or of the output, in another order."""
    rows, columns = view.right.shape
    if rows == columns > 1 and equal(view.wrong, view.right.T):
        kind = "a permutation is used where its inverse belongs" if _permutes(view.right) else ""
        text = kind or "the local Jacobian is transposed"
        return Diagnosis("transposed", f"{view.name}_bar: {text}")
    for shape, axis in ((view.shape, 1), (view.output[0], 0)):
        if axis == 0 and len(view.output) > 1:
            continue
        for order in itertools.permutations(range(len(shape))):
            if len(shape) > 4 or order == tuple(range(len(shape))):
                continue
            if tuple(shape[k] for k in order) != shape:
                continue
            places = np.arange(int(np.prod(shape))).reshape(shape).transpose(order).ravel()
            moved = view.right[:, places] if axis else view.right[places]
            if equal(view.wrong, moved):
                what = view.name if axis else "y_bar"
                return Diagnosis(
                    "transposed", f"{view.name}_bar: the axes of {what} are in the wrong order"
                )
    return None


def _permutes(matrix: np.ndarray) -> bool:
    seen = np.abs(matrix) > 1e-12 * scale_of(matrix)
    return bool((seen.sum(axis=0) == 1).all() and (seen.sum(axis=1) == 1).all())


def same_numbers_elsewhere(view: View) -> Diagnosis | None:
    """The rows of W hold the numbers of J in other places."""
    if not np.isfinite(view.wrong).all() or not np.any(view.right):
        return None
    order = np.sort(view.wrong, axis=1), np.sort(view.right, axis=1)
    if view.right.shape[1] > 1 and equal(*order) and differs(view.wrong, view.right).any():
        return Diagnosis(
            "transposed",
            f"{view.name}_bar has the right numbers in the wrong places: a wrong axis, or a "
            "permutation where its inverse belongs",
        )
    return None


def rows_mixed(view: View) -> Diagnosis | None:
    """J keeps the rows of the first axis apart, and W mixes nearly all of them."""
    first = view.output[0][:1]
    if len(view.output) > 1 or not first or first[0] < 2 or view.shape[:1] != first:
        return None
    rows, columns = view.right.shape
    shape = (first[0], rows // first[0], first[0], columns // first[0])
    apart = ~np.eye(first[0], dtype=bool)[:, None, :, None] & np.ones(shape, bool)
    tiny = 1e-12 * scale_of(view.right, view.wrong)
    mixed = (np.abs(view.wrong.reshape(shape)) > tiny) & apart
    if np.any(np.abs(view.right.reshape(shape))[apart] > tiny) or mixed.sum() < apart.sum() / 2:
        return None
    return Diagnosis(
        "transposed",
        f"{view.name}_bar mixes the rows of the first axis, which the function keeps apart: a sum "
        "over the wrong axis, or over one too many",
    )


def _count(off: np.ndarray) -> str:
    return f"{int(off.sum())} of {off.size} entries"


def zeros_missing(view: View) -> Diagnosis | None:
    """W has numbers where J is 0, and is right elsewhere."""
    off = differs(view.wrong, view.right)
    spurious = off & (np.abs(view.right) <= 1e-12 * scale_of(view.right, view.wrong))
    if not off.any() or not (off == spurious).all():
        return None
    return Diagnosis(
        "mask missing",
        f"{_count(off)} of the Jacobian of {view.name} are not 0 but should be: a mask or a "
        "condition of the forward is missing in the backward",
    )


def entries_missing(view: View) -> Diagnosis | None:
    """W is 0 where J is not, and right elsewhere."""
    off = differs(view.wrong, view.right)
    dropped = off & (np.abs(view.wrong) <= 1e-12 * scale_of(view.right, view.wrong))
    if not off.any() or not (off == dropped).all() or (off == (view.right != 0)).all():
        return None
    columns = off.any(axis=0)
    whole = np.all(off[:, columns] | (view.right[:, columns] == 0))
    at = np.flatnonzero(columns)
    tail = whole and at[-1] == columns.size - 1 and np.all(np.diff(at) == 1) and at[0] > 0
    what = ": the tail of it is dropped" if tail else ""
    if not what:
        what = ": a cross term is missing, or entries are overwritten instead of added"
    return Diagnosis(
        "overwritten",
        f"{_count(off)} of the Jacobian of {view.name} are 0 but should not be{what}",
    )


def single_points(view: View) -> Diagnosis | None:
    """W is wrong only where the argument has one special value."""
    off = differs(view.wrong, view.right).any(axis=0)
    x = view.x.ravel()
    if not off.any() or off.all():
        return None
    values = np.unique(np.abs(x[off]))
    special = values[0] == 0 or off.sum() > 1
    if len(values) == 1 and special and not np.any(np.abs(x[~off]) == values[0]):
        return Diagnosis(
            "isolated point",
            f"{view.name}_bar is wrong exactly where |{view.name}| is {values[0]:.6g}",
        )
    large = np.abs(x[off]).min() > np.abs(x[~off]).max()
    if large and np.abs(x[off]).min() > 5:
        return Diagnosis(
            "cancellation",
            f"{view.name}_bar is wrong where |{view.name}| is {np.abs(x[off]).min():.3g} and more: "
            "digits are lost in the tail",
        )
    return None


def subdomain(view: View) -> Diagnosis | None:
    """W is wrong on one side of 0, of the argument itself or of another one."""
    off = differs(view.wrong, view.right).any(axis=0)
    if not off.any() or off.all():
        return None
    for words, numbers in _sides(view):
        if np.all(numbers[off] > 0) and np.all(numbers[~off] <= 0):
            return Diagnosis(
                "subdomain", f"{view.name}_bar is wrong where {words}, right elsewhere"
            )
    return None


def _sides(view: View) -> Iterator[tuple[str, np.ndarray]]:
    """Conditions on the entries of an argument: a number that is positive where they hold."""
    x = np.sign(view.x.ravel())
    yield f"{view.name} is positive", x
    yield f"{view.name} is negative", -x
    for name, array in view.arrays.items():
        if name == view.name or array.size != x.size:
            continue
        other = np.sign(array.ravel())
        yield f"{name} is positive", other
        yield f"{name} is negative", -other
        yield f"{view.name} and {name} have the same sign", x * other
        yield f"{view.name} and {name} have different signs", -x * other
