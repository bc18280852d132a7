"""Discrete Fourier transforms. With w = e^(-2 pi i / n), fft is the product with [w^jk].

These matrices are symmetric and JAX pairs without a conjugate, so that fft and ifft are their own
pullbacks. A real transform keeps half of a spectrum, in which each entry but the first (and the
last, where n is even) stands for two: x_bar of rfft is half of those, y_bar of irfft twice.
"""

import operator
from functools import partial
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float32, Float64

from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.op import conditioned
from purebp.residuals import Spec

Axes = int | tuple[int, ...]
Norm = Literal["backward", "ortho", "forward"]
DUAL = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The scale of the other direction: n times the inverse is the transpose, up to a conjugate."""


def fft_definition(
    x: Complex[Array, "*s"], *, axis: Axes = -1, norm: Norm = "backward"
) -> Complex[Array, "*s"]:
    """y = the discrete Fourier transform of x over one axis, or over several.

    Maths: y_k = sum_j x_j w^jk with w = e^(-2 pi i / n), n the length; x_bar = fft(y_bar): the
        matrix is symmetric, and there is no conjugate in JAX's pairing Re(y_bar dy).
    Shapes: y and x_bar are shaped like x. `norm` as in NumPy: "ortho" divides by sqrt(n),
        "forward" by n.
    Residuals: none.
    Kinks: none.
    Raises: DtypeError unless x is complex, OptionError if x has no such axis or the norm is
        unknown, ShapeError for an axis of length 0.
    Source: the transpose of a symmetric matrix.

    Example:
        >>> y, res = fft.fwd(jnp.array([1.0 + 2.0j, 3.0j, -1.0, 0.0]))
        >>> print(*fft.bwd(res, jnp.array([1.0 + 0j, 0, 0, 0])))
        [1.+0.j 1.+0.j 1.+0.j 1.+0.j]
    """
    return jnp.fft.fftn(x, axes=axes_of(axis), norm=norm)


def fft_x_bar(y_bar: Array, axis: Axes, norm: Norm) -> Array:
    return jnp.fft.fftn(y_bar, axes=axes_of(axis), norm=norm)


def ifft_definition(
    x: Complex[Array, "*s"], *, axis: Axes = -1, norm: Norm = "backward"
) -> Complex[Array, "*s"]:
    """y = the inverse discrete Fourier transform of x over one axis, or over several.

    Maths: y_j = 1/n sum_k x_k w^-jk with w = e^(-2 pi i / n), n the length; x_bar = ifft(y_bar).
    Shapes: y and x_bar are shaped like x. `norm` as in NumPy: "ortho" divides by sqrt(n),
        "forward" by nothing.
    Residuals: none.
    Kinks: none.
    Raises: DtypeError unless x is complex, OptionError if x has no such axis or the norm is
        unknown, ShapeError for an axis of length 0.
    Source: the transpose of a symmetric matrix.

    Example:
        >>> y, res = ifft.fwd(jnp.array([1.0 + 2.0j, 3.0j, -1.0, 0.0]))
        >>> print(*ifft.bwd(res, jnp.array([1.0 + 0j, 0, 0, 0])))
        [0.25+0.j 0.25+0.j 0.25+0.j 0.25+0.j]
    """
    return jnp.fft.ifftn(x, axes=axes_of(axis), norm=norm)


def ifft_x_bar(y_bar: Array, axis: Axes, norm: Norm) -> Array:
    return jnp.fft.ifftn(y_bar, axes=axes_of(axis), norm=norm)


def rfft_definition(
    x: Float32[Array, "*s"] | Float64[Array, "*s"], *, axis: Axes = -1, norm: Norm = "backward"
) -> Complex[Array, "*r"]:
    """y = the first half of the Fourier transform of a real x; the rest is its conjugate.

    Maths: y_k = sum_j x_j w^jk for k up to n/2; x_bar_j = Re sum_k y_bar_k w^jk. That is
        n irfft(conj(y_bar) c) with c_k = 1 for k = 0 and n/2, else 1/2: irfft counts those twice.
        It is real, and takes half the work of the transform of a filled-up spectrum.
    Shapes: the last of the axes of y has n // 2 + 1 entries; over the others it is a full fft.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: DtypeError unless x is float32 or float64, OptionError if x has no such axis or the
        norm is unknown, ShapeError for an axis of length 0.
    Source: the pairing Re(y_bar dy) with the symmetry of a real signal's spectrum.

    Example:
        >>> y, res = rfft.fwd(jnp.array([1.0, -0.5, 2.0, 0.5, -1.5]))
        >>> print(*rfft.bwd(res, y))
        [ 3.2500002 -3.         2.         5.75      -0.5      ]
    """
    return jnp.fft.rfftn(x, axes=axes_of(axis), norm=norm)


def rfft_x_bar(y_bar: Array, x_spec: Spec, axis: Axes, norm: Norm) -> Array:
    axes = axes_of(axis)
    halves = _weighted(jnp.conj(y_bar), axes[-1], x_spec.shape[axes[-1]], 0.5)
    sizes = [x_spec.shape[each] for each in axes]
    return jnp.fft.irfftn(halves, sizes, axes=axes, norm=DUAL[norm])


def irfft_definition(
    x: Complex[Array, "*s"],
    *,
    axis: Axes = -1,
    n: int | None = None,
    norm: Norm = "backward",
) -> Float32[Array, "*r"] | Float64[Array, "*r"]:
    """y = the real signal of length n whose half spectrum is x: the inverse of rfft.

    Maths: y_j = 1/n Re sum_k c_k x_k w^-jk with c_k = 1 for k = 0 and n/2, else 2;
        x_bar_k = c_k / n conj(rfft(y_bar))_k. The imaginary parts of x_0 and x_(n/2) do not
        count, and their cotangents are 0.
    Shapes: x has m entries along the last of the axes; n is 2 m - 2 (the default) or 2 m - 1.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: DtypeError unless x is complex, OptionError if x has no such axis, the norm is unknown
        or n does not fit, ShapeError for an axis of length 0.
    Source: the pairing Re(y_bar dy) with the symmetry of a real signal's spectrum.

    Example:
        >>> y, res = irfft.fwd(jnp.array([1.0 + 2.0j, 3.0j, -1.0]))
        >>> print(*irfft.bwd(res, y))
        [ 0.25-0.j   0.  -1.5j -0.25-0.j ]
    """
    axes = axes_of(axis)
    sizes = [x.shape[each] for each in axes[:-1]]
    return jnp.fft.irfftn(x, (*sizes, _length(x.shape, axes, n)), axes=axes, norm=norm)


def irfft_x_bar(y_bar: Array, axis: Axes, norm: Norm) -> Array:
    axes = axes_of(axis)
    spectrum = jnp.conj(jnp.fft.rfftn(y_bar, axes=axes, norm=DUAL[norm]))
    return _weighted(spectrum, axes[-1], y_bar.shape[axes[-1]], 2)


def _weighted(spectrum: Array, axis: int, n: int, inner: float) -> Array:
    """Half a spectrum, its entries that stand for two multiplied by `inner`."""
    weights = np.full(n // 2 + 1, inner, spectrum.real.dtype)
    weights[:: max(n // 2, 1) if n % 2 == 0 else n] = 1
    place = [1] * spectrum.ndim
    place[axis] = weights.size
    weights = weights.reshape(place)
    return lax.complex(spectrum.real * weights, spectrum.imag * weights)


def axes_of(axis: Axes) -> tuple[int, ...]:
    """One axis or several as a tuple."""
    return tuple(map(operator.index, axis if isinstance(axis, tuple) else (axis,)))


def _length(shape: tuple[int, ...], axes: tuple[int, ...], n: int | None) -> int:
    return 2 * shape[axes[-1]] - 2 if n is None else n


def check_transform(op: str, x: Array, *, axis: Axes, norm: Norm, n: int | None = None) -> None:
    """Raise unless x has these axes, each with something to transform."""
    if norm not in DUAL:
        raise OptionError(f"{op}: norm is {norm!r}, expected one of {', '.join(map(repr, DUAL))}")
    try:
        axes = axes_of(axis)
    except TypeError:
        axes = ()
    inside = {i % x.ndim for i in axes if -x.ndim <= i < x.ndim}
    if not axes or len(inside) < len(axes):
        raise OptionError(
            f"{op}: axis is {axis!r}, expected axes of x of shape {x.shape}, each once"
        )
    if not all(x.shape[i] for i in axes):
        raise ShapeError(
            f"{op}: x has shape {x.shape}, expected at least one entry along axis {axis!r}"
        )


def check_irfft(x: Array, *, axis: Axes, n: int | None, norm: Norm) -> None:
    """Raise unless x is half a spectrum of a signal of length n."""
    check_transform("irfft", x, axis=axis, norm=norm)
    half = x.shape[axes_of(axis)[-1]]
    fitting = [length for length in (2 * half - 2, 2 * half - 1) if length]
    if (n is None and half == 1) or (n is not None and not (type(n) is int and n in fitting)):
        raise OptionError(
            f"irfft: n is {n!r}, expected {' or '.join(map(str, fitting))} for the {half} entries "
            f"along axis {axis!r} of x of shape {x.shape}"
        )


SIZES = {"s": ((3, 4), (5,), (2, 1))}
TRIED = {"axis": (-1, 0, (0, -1)), "norm": ("backward", "ortho")}
MIXED = conditioned(
    "each entry is a sum over the others, and has their rounding", pooled=True, whole=True
)

fft = Gate(
    fft_definition,
    fft_x_bar,
    primitive="fft",
    options=TRIED,
    sizes=SIZES,
    check=partial(check_transform, "fft"),
    tolerance=MIXED,
)
ifft = Gate(
    ifft_definition,
    ifft_x_bar,
    primitive="fft",
    options=TRIED,
    sizes=SIZES,
    check=partial(check_transform, "ifft"),
    tolerance=MIXED,
)
rfft = Gate(
    rfft_definition,
    rfft_x_bar,
    primitive="fft",
    options=TRIED,
    sizes=SIZES,
    check=partial(check_transform, "rfft"),
    tolerance=MIXED,
)
irfft = Gate(
    irfft_definition,
    irfft_x_bar,
    primitive="fft",
    options={"axis": (-1, (0, -1)), "n": (None, 7), "norm": ("backward", "ortho")},
    sizes={"s": ((3, 4), (5,), (2, 2))},
    check=check_irfft,
    tolerance=MIXED,
)

OPS = (fft, ifft, rfft, irfft)
