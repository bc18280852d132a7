"""Complex numbers and Fourier transforms: their parts, and the matrices w^jk in plain loops.

A gradient pairs without a conjugate: the total moves by Re(x_bar dx), as in JAX.
"""

import cmath
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reference.backward_gates import Arguments
from reference.shapes import float64, source_index

Array = NDArray[Any]
Axes = int | tuple[int, ...]


def real(x: ArrayLike) -> Array:
    """a of a + ib."""
    x, y = float64(x), np.empty(np.shape(x))
    for index in np.ndindex(y.shape):
        y[index] = (x[index] + x[index].conjugate()).real / 2.0
    return y


def real_backward(args: Arguments, y_bar: Array) -> tuple[Array]:
    """da = Re(1 dx)."""
    return (float64(y_bar) + 0j,)


def imag(x: ArrayLike) -> Array:
    """b of a + ib."""
    x, y = float64(x), np.empty(np.shape(x))
    for index in np.ndindex(y.shape):
        y[index] = ((x[index] - x[index].conjugate()) / 2j).real
    return y


def imag_backward(args: Arguments, y_bar: Array) -> tuple[Array]:
    """db = Re(-i dx)."""
    return (-1j * float64(y_bar),)


def complex_of(x: ArrayLike, y: ArrayLike) -> Array:
    """x + iy, broadcasting."""
    x, y = float64(x), float64(y)
    z = np.empty(np.broadcast_shapes(x.shape, y.shape), complex)
    for index in np.ndindex(z.shape):
        z[index] = complex(x[source_index(index, x.shape)], y[source_index(index, y.shape)])
    return z


def complex_backward(args: Arguments, z_bar: Array) -> tuple[Array, Array]:
    """Re(z_bar (dx + i dy)) = Re z_bar dx - Im z_bar dy, added where an entry was broadcast."""
    x, y = float64(args[0]), float64(args[1])
    x_bar, y_bar = np.zeros(x.shape), np.zeros(y.shape)
    for index in np.ndindex(z_bar.shape):
        x_bar[source_index(index, x.shape)] += z_bar[index].real
        y_bar[source_index(index, y.shape)] -= z_bar[index].imag
    return x_bar, y_bar


def conj(x: ArrayLike) -> Array:
    """a - ib."""
    x = float64(x)
    y = np.empty(x.shape, complex)
    for index in np.ndindex(x.shape):
        y[index] = complex(x[index].real, -x[index].imag)
    return y


def conj_backward(args: Arguments, y_bar: Array) -> tuple[Array]:
    """Re(y_bar conj(dx)) = Re(conj(y_bar) dx)."""
    return (conj(y_bar),)


def angle(x: ArrayLike) -> Array:
    """The angle t of r e^(it)."""
    x, y = float64(x), np.empty(np.shape(x))
    for index in np.ndindex(y.shape):
        y[index] = cmath.phase(x[index])
    return y


def angle_backward(args: Arguments, y_bar: Array) -> tuple[Array]:
    """dt = Im(dx / x) = Re(-i dx / x)."""
    x, x_bar = float64(args[0]), np.empty(np.shape(args[0]), complex)
    for index in np.ndindex(x.shape):
        x_bar[index] = -1j * y_bar[index] / x[index]
    return (x_bar,)


def axes_of(axis: Axes) -> tuple[int, ...]:
    """One axis or several as a tuple."""
    return axis if isinstance(axis, tuple) else (axis,)


def scale(n: int, norm: str, *, inverse: bool) -> float:
    """What a transform of length n is multiplied by."""
    if norm == "ortho":
        return 1.0 / math.sqrt(n)
    return 1.0 / n if (norm == "backward") == inverse else 1.0


def waves(n: int, sign: int, factor: float) -> Array:
    """The matrix factor * e^(sign 2 pi i jk / n)."""
    matrix = np.empty((n, n), complex)
    for j, k in np.ndindex(n, n):
        matrix[j, k] = factor * cmath.exp(sign * 2j * math.pi * (j * k % n) / n)
    return matrix


def along(matrix: Array, x: Array, axis: int) -> Array:
    """The product of a matrix with every line of x along an axis."""
    lines = np.moveaxis(x, axis, -1)
    y = np.zeros((*lines.shape[:-1], matrix.shape[0]), complex)
    for *index, k in np.ndindex(y.shape):
        y[(*index, k)] = sum(matrix[k, j] * lines[(*index, j)] for j in range(matrix.shape[1]))
    return np.moveaxis(y, -1, axis)


def transform(x: ArrayLike, *, sign: int, axis: Axes = -1, norm: str = "backward") -> Array:
    """One axis after the other; sign -1 is the transform, 1 its inverse."""
    y = float64(x) + 0j
    for a in axes_of(axis):
        n = y.shape[a]
        y = along(waves(n, sign, scale(n, norm, inverse=sign > 0)), y, a)
    return y


def transform_backward(
    args: Arguments, y_bar: Array, *, sign: int, axis: Axes = -1, norm: str = "backward"
) -> tuple[Array]:
    """The transposed matrices, in the other order."""
    x_bar = float64(y_bar) + 0j
    for a in reversed(axes_of(axis)):
        n = x_bar.shape[a]
        x_bar = along(waves(n, sign, scale(n, norm, inverse=sign > 0)).T, x_bar, a)
    return (x_bar,)


def half_waves(n: int, norm: str) -> Array:
    """The rows of the transform up to n / 2."""
    return waves(n, -1, scale(n, norm, inverse=False))[: n // 2 + 1]


def rfft(x: ArrayLike, *, axis: Axes = -1, norm: str = "backward") -> Array:
    """The first half of the spectrum along the last axis, then all of it along the others."""
    *others, last = axes_of(axis)
    y = along(half_waves(np.shape(x)[last], norm), float64(x), last)
    return transform(y, sign=-1, axis=tuple(others), norm=norm)


def rfft_backward(
    args: Arguments, y_bar: Array, *, axis: Axes = -1, norm: str = "backward"
) -> tuple[Array]:
    """The transposed matrices; a real x moves by the real part."""
    *others, last = axes_of(axis)
    (bar,) = transform_backward(args, y_bar, sign=-1, axis=tuple(others), norm=norm)
    return (along(half_waves(np.shape(args[0])[last], norm).T, bar, last).real,)


def whole_spectrum(x: Array, n: int, axis: int) -> Array:
    """The n entries of which x holds the first half: entry n - k is the conjugate of entry k."""
    lines = np.moveaxis(x, axis, -1)
    y = np.empty((*lines.shape[:-1], n), complex)
    for *index, k in np.ndindex(y.shape):
        y[(*index, k)] = lines[(*index, k)] if k <= n // 2 else lines[(*index, n - k)].conjugate()
        if 2 * k % n == 0:  # its own conjugate
            y[(*index, k)] = y[(*index, k)].real
    return np.moveaxis(y, -1, axis)


def length(x: Array, axis: int, n: int | None) -> int:
    """The length of the signal: even where nothing else is said."""
    return 2 * x.shape[axis] - 2 if n is None else n


def irfft(x: ArrayLike, *, axis: Axes = -1, n: int | None = None, norm: str = "backward") -> Array:
    """The other axes first; then the whole spectrum along the last one."""
    *others, last = axes_of(axis)
    half = transform(x, sign=1, axis=tuple(others), norm=norm)
    spectrum = whole_spectrum(half, length(half, last, n), last)
    return transform(spectrum, sign=1, axis=last, norm=norm).real


def irfft_backward(
    args: Arguments,
    y_bar: Array,
    *,
    axis: Axes = -1,
    n: int | None = None,
    norm: str = "backward",
) -> tuple[Array]:
    """Entry n - k is the conjugate of entry k: its gradient, conjugated, adds to that of k."""
    *others, last = axes_of(axis)
    n = length(float64(args[0]), last, n)
    (whole,) = transform_backward(args, y_bar, sign=1, axis=last, norm=norm)
    lines = np.moveaxis(whole, last, -1)
    half = np.empty((*lines.shape[:-1], n // 2 + 1), complex)
    for *index, k in np.ndindex(half.shape):
        if 2 * k % n == 0:
            half[(*index, k)] = lines[(*index, k)].real
        else:
            half[(*index, k)] = lines[(*index, k)] + lines[(*index, n - k)].conjugate()
    bar = np.moveaxis(half, -1, last)
    return transform_backward(args, bar, sign=1, axis=tuple(others), norm=norm)


DEFINITIONS: dict[str, Callable] = {
    "real": real,
    "imag": imag,
    "complex": complex_of,
    "conj": conj,
    "angle": angle,
    "fft": partial(transform, sign=-1),
    "ifft": partial(transform, sign=1),
    "rfft": rfft,
    "irfft": irfft,
}
BACKWARD: dict[str, Callable] = {
    "real": real_backward,
    "imag": imag_backward,
    "complex": complex_backward,
    "conj": conj_backward,
    "angle": angle_backward,
    "fft": partial(transform_backward, sign=-1),
    "ifft": partial(transform_backward, sign=1),
    "rfft": rfft_backward,
    "irfft": irfft_backward,
}
