"""Complex numbers: Fourier transforms, determinants, filters.

As in JAX a cotangent pairs with a change without a conjugate, Re(x_bar dx), and a real argument
has a real cotangent.
"""

from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from reference.wrong_gradients.layer import Layer

Array = Any
Norm = Literal["backward", "ortho", "forward"]


def _complex(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def half_spectrum(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two spectra of five frequencies."""
    return (_complex(rng, 2, 5),)


def real_fields(rng: np.random.Generator) -> tuple[Any, ...]:
    """A real field."""
    return (rng.standard_normal((4, 6)).astype(np.float32),)


def complex_signals(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two complex signals."""
    return (_complex(rng, 2, 6),)


def complex_matrix(rng: np.random.Generator) -> tuple[Any, ...]:
    """A complex matrix."""
    return (_complex(rng, 3, 3),)


def signals_and_templates(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two complex signals, three templates."""
    return _complex(rng, 2, 8), _complex(rng, 3, 4)


def _for(x: Array, bar: Array) -> Array:
    """A cotangent with the dtype of x: its real part for a real x."""
    return (bar if jnp.iscomplexobj(x) else bar.real).astype(x.dtype)


def _check_axis(x: Array, axes: int = 1) -> None:
    if x.ndim < axes or 0 in x.shape[x.ndim - axes :]:
        raise ValueError(f"nothing to transform in an array of shape {x.shape}")


# -------------------------------------------------- from half a spectrum


def irfft_fwd(x: Array, *, n: int | None = None) -> tuple[Array, Any]:
    """The n real numbers with this half spectrum; 2 (size - 1) by default."""
    _check_axis(x)
    size = 2 * (x.shape[-1] - 1) if n is None else n
    if size < 1:
        raise ValueError(f"expected n >= 1, got {size}")
    return jnp.fft.irfft(x, size), x


def _half_spectrum_of(x: Array, y_bar: Array) -> Array:
    """The half spectrum of y_bar; every frequency but the first and the last stands for two."""
    size = y_bar.shape[-1]
    half = jnp.fft.rfft(y_bar)
    weights = np.full(half.shape[-1], 2.0 / size)
    weights[0] = 1.0 / size
    if size % 2 == 0:
        weights[-1] = 1.0 / size
    half = half * jnp.asarray(weights, y_bar.dtype)
    kept = min(half.shape[-1], x.shape[-1])
    return jnp.zeros(x.shape, half.dtype).at[..., :kept].set(half[..., :kept])


def irfft_plain_bwd(x: Array, y_bar: Array, *, n: int | None = None) -> tuple[Array]:
    """The weighted half spectrum of y_bar."""
    return (_for(x, _half_spectrum_of(x, y_bar)),)


def irfft_bwd(x: Array, y_bar: Array, *, n: int | None = None) -> tuple[Array]:
    """Its conjugate: y = Re(x e^(i t)) pairs with e^(i t), the transform has e^(-i t)."""
    return (_for(x, _half_spectrum_of(x, y_bar).conj()),)


# -------------------------------------------------- transforms


def fft_field_fwd(x: Array) -> tuple[Array, Any]:
    """The orthonormal transform over the last two axes, of real or complex numbers."""
    _check_axis(x, 2)
    return jnp.fft.fft2(x, norm="ortho"), x


def fft_field_complex_bwd(x: Array, y_bar: Array) -> tuple[Array]:
    """The transform is its own transpose."""
    return (jnp.fft.fft2(y_bar, norm="ortho"),)


def fft_field_bwd(x: Array, y_bar: Array) -> tuple[Array]:
    """The same, and its real part for a real x."""
    return (_for(x, jnp.fft.fft2(y_bar, norm="ortho")),)


def fft_plan_fwd(x: Array, *, norm: Norm = "backward") -> tuple[Array, Any]:
    """The transform along the last axis."""
    _check_axis(x)
    return jnp.fft.fft(x, norm=norm), x


def fft_plan_inverse_bwd(x: Array, y_bar: Array, *, norm: Norm = "backward") -> tuple[Array]:
    """The transpose as n times the inverse, conjugated before and after."""
    inverse = jnp.fft.ifft(y_bar.conj(), norm=norm).conj()
    return (_for(x, x.shape[-1] * inverse),)


def fft_plan_bwd(x: Array, y_bar: Array, *, norm: Norm = "backward") -> tuple[Array]:
    """The transform is its own transpose."""
    return (_for(x, jnp.fft.fft(y_bar, norm=norm)),)


def rfft_fwd(x: Array) -> tuple[Array, Any]:
    """The half spectrum of real numbers."""
    _check_axis(x)
    if jnp.iscomplexobj(x):
        raise ValueError(f"expected real numbers, got {x.dtype}")
    return jnp.fft.rfft(x), x


def rfft_inverse_bwd(x: Array, y_bar: Array) -> tuple[Array]:
    """The transpose as n times the inverse."""
    size = x.shape[-1]
    return (_for(x, size * jnp.fft.irfft(y_bar.conj(), size)),)


def rfft_bwd(x: Array, y_bar: Array) -> tuple[Array]:
    """The real part of the transform of y_bar, zeros for the half that was not returned."""
    return (_for(x, jnp.fft.fft(y_bar, x.shape[-1])),)


# -------------------------------------------------- determinant


def det_fwd(x: Array) -> tuple[Array, Any]:
    """det X."""
    if x.ndim != 2 or x.shape[0] != x.shape[1] or not len(x):
        raise ValueError(f"expected a square matrix, got shape {x.shape}")
    return jnp.linalg.det(x), x


def _cofactors(x: Array) -> Array:
    """det(X) X^-T, by the minors: for singular matrices too."""
    size = len(x)
    others = np.array([[j for j in range(size) if j != i] for i in range(size)], int)
    others = others.reshape(size, size - 1)
    minors = x[others[:, None, :, None], others[None, :, None, :]]
    signs = (-1.0) ** np.add.outer(np.arange(size), np.arange(size))
    determinants = jnp.linalg.det(minors) if size > 1 else jnp.ones((1, 1), x.dtype)
    return determinants * jnp.asarray(signs, x.dtype)


def det_conjugate_bwd(x: Array, y_bar: Array) -> tuple[Array]:
    """x_bar = y_bar det(X) X^-H, as in the books."""
    return (y_bar * _cofactors(x).conj(),)


def det_bwd(x: Array, y_bar: Array) -> tuple[Array]:
    """x_bar = y_bar det(X) X^-T."""
    return (y_bar * _cofactors(x),)


# -------------------------------------------------- filters


def _under(size: int, taps: int) -> np.ndarray:
    return np.arange(size - taps + 1)[:, None] + np.arange(taps)


def matched_filter_fwd(x: Array, w: Array) -> tuple[Array, Any]:
    """y[n, k, t] = sum over f of x[n, t + f] conj(w[k, f]), as one product of matrices."""
    if x.ndim != 2 or w.ndim != 2 or not 1 <= w.shape[1] <= x.shape[1]:
        raise ValueError(f"expected (n, size) and (k, taps <= size), got {x.shape}, {w.shape}")
    columns = x[:, _under(x.shape[1], w.shape[1])]
    return jnp.einsum("ntf,kf->nkt", columns, w.conj()), (x, w)


def matched_filter_plain_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """The two products with the transposed factors."""
    x, w = residuals
    places = _under(x.shape[1], w.shape[1])
    columns_bar = jnp.einsum("nkt,kf->ntf", y_bar, w)
    w_bar = jnp.einsum("nkt,ntf->kf", y_bar, x[:, places])
    x_bar = jnp.zeros(x.shape, columns_bar.dtype).at[:, places].add(columns_bar)
    return _for(x, x_bar), _for(w, w_bar)


def matched_filter_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """x_bar = y_bar conj(w), w_bar = conj(y_bar x)."""
    x, w = residuals
    places = _under(x.shape[1], w.shape[1])
    columns_bar = jnp.einsum("nkt,kf->ntf", y_bar, w.conj())
    w_bar = jnp.einsum("nkt,ntf->kf", y_bar, x[:, places]).conj()
    x_bar = jnp.zeros(x.shape, columns_bar.dtype).at[:, places].add(columns_bar)
    return _for(x, x_bar), _for(w, w_bar)


LAYERS = (
    Layer(
        name="irfft",
        bug="B006",
        wrong=(irfft_fwd, irfft_plain_bwd),
        right=(irfft_fwd, irfft_bwd),
        example=half_spectrum,
        diagnosis="complex",
    ),
    Layer(
        name="fft_of_a_real_field",
        bug="B043",
        wrong=(fft_field_fwd, fft_field_complex_bwd),
        right=(fft_field_fwd, fft_field_bwd),
        example=real_fields,
        diagnosis="dtype",
        why="on one device; right for complex fields",
    ),
    Layer(
        name="fft_plan",
        bug="B063",
        wrong=(fft_plan_fwd, fft_plan_inverse_bwd),
        right=(fft_plan_fwd, fft_plan_bwd),
        example=complex_signals,
        diagnosis="option",
    ),
    Layer(
        name="rfft_plan",
        bug="B063",
        wrong=(rfft_fwd, rfft_inverse_bwd),
        right=(rfft_fwd, rfft_bwd),
        example=real_fields,
        diagnosis="scale missing",
        why="twice too large but for the first and the last frequency",
    ),
    Layer(
        name="det_complex",
        bug="B059",
        wrong=(det_fwd, det_conjugate_bwd),
        right=(det_fwd, det_bwd),
        example=complex_matrix,
        diagnosis="complex",
        why="right for real matrices; JAX's cotangents have no conjugate, so it is one too many",
    ),
    Layer(
        name="matched_filter",
        bug="B074",
        wrong=(matched_filter_fwd, matched_filter_plain_bwd),
        right=(matched_filter_fwd, matched_filter_bwd),
        example=signals_and_templates,
        diagnosis="complex",
        why="right for real signals; the conjugate of the forward pass is missing in the backward",
    ),
)
