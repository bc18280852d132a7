"""Fourier transforms: lengths, round trips, JAX's own cotangents, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import DtypeError, OptionError, ShapeError
from purebp.gates import fft, ifft, irfft, rfft

LENGTHS = (1, 2, 3, 6, 7)
TRANSFORMS = (fft, ifft, rfft, irfft)


def wave(*shape: int) -> Any:
    rng = np.random.default_rng(shape)
    return jnp.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape), jnp.complex64)


@pytest.mark.parametrize("n", LENGTHS)
def test_special_lengths(n: int) -> None:
    z, x = wave(2, n), wave(2, n).real
    np.testing.assert_allclose(ifft(fft(z)), z, atol=1e-6)
    np.testing.assert_allclose(irfft(rfft(x), n=n), x, atol=1e-6)
    half = wave(2, n // 2 + 1)
    for op, arg, idiomatic, options in (
        (fft, z, jnp.fft.fft, {}),
        (ifft, z, jnp.fft.ifft, {"norm": "ortho"}),
        (rfft, x, jnp.fft.rfft, {"norm": "forward"}),
        (irfft, half, jnp.fft.irfft, {"n": n}),
    ):
        y, res = op.fwd(arg, **options)
        y_bar = (1 - 2j) * y if jnp.iscomplexobj(y) else 2 * y
        expected, pull = jax.vjp(lambda x, f=idiomatic, o=options: f(x, **o), arg)
        np.testing.assert_allclose(y, expected, atol=1e-5)
        np.testing.assert_allclose(op.bwd(res, y_bar)[0], pull(y_bar)[0], atol=1e-5)
        assert jax.tree.leaves(res) == []


def test_what_does_not_count_has_no_cotangent() -> None:
    """The imaginary parts of the first entry and, for even lengths, of the last."""
    half = wave(3)
    for n, alone in ((4, [0, 2]), (5, [0])):
        (x_bar,) = irfft.bwd(irfft.fwd(half, n=n)[1], jnp.arange(1.0, n + 1))
        assert [k for k in range(3) if x_bar[k].imag == 0] == alone


def test_several_axes_are_a_transform_after_the_other() -> None:
    x = wave(2, 3, 4).real
    np.testing.assert_allclose(rfft(x, axis=(1, 0)), fft(rfft(x, axis=0) + 0, axis=1), atol=1e-5)
    four = wave(2, 2, 1, 2, 2)
    assert fft(four, axis=(0, 1, 2, 3)).shape == four.shape
    bar = fft.bwd(fft.fwd(four, axis=(0, 1, 2, 3))[1], four)[0]
    np.testing.assert_allclose(bar, np.fft.fftn(four, axes=(0, 1, 2, 3)), atol=1e-5)


def test_empty_batches_and_nan() -> None:
    for op, x, shape in (
        (fft, jnp.zeros((0, 4), jnp.complex64), (0, 4)),
        (ifft, jnp.zeros((0, 4), jnp.complex64), (0, 4)),
        (rfft, jnp.zeros((0, 4)), (0, 3)),
        (irfft, jnp.zeros((0, 3), jnp.complex64), (0, 4)),
    ):
        y, res = op.fwd(x)
        assert (y.shape, op.bwd(res, y)[0].shape) == (shape, x.shape)
    y, res = rfft.fwd(jnp.array([[1.0, jnp.nan], [1.0, 2.0]]))
    assert np.isnan(y).any(1).tolist() == [True, False]
    assert np.isnan(rfft.bwd(res, y)[0]).any(1).tolist() == [True, False]


@pytest.mark.parametrize("op", TRANSFORMS, ids=lambda op: op.name)
def test_bad_input_is_refused(op: Any) -> None:
    x = jnp.ones((2, 3)) if op is rfft else wave(2, 3)
    for axis in (2, (0, 0), (), None, 0.5, (0, -2)):
        with pytest.raises(OptionError, match=rf"^{op.name}: axis is .*, expected axes of x of sh"):
            op(x, axis=axis)
    with pytest.raises(OptionError, match=r"expected axes of x of shape \(\)"):
        op(x[0, 0])
    with pytest.raises(OptionError, match=r"norm is 'unitary', expected one of 'backward', 'ort"):
        op(x, norm="unitary")
    with pytest.raises(ShapeError, match=r"x has shape \(2, 0\), expected at least one entry"):
        op(x[:, :0])
    with pytest.raises(DtypeError, match=rf"^{op.name}: x has dtype "):
        op(x + 0j if op is rfft else x.real)


@pytest.mark.parametrize("n", [0, -1, 3, 6, 2.0, "4"])
def test_lengths_that_do_not_fit_half_a_spectrum_are_refused(n: Any) -> None:
    with pytest.raises(OptionError, match=r"^irfft: n is .*, expected 4 or 5 for the 3 entries"):
        irfft(wave(2, 3), n=n)
    with pytest.raises(OptionError, match=r"^irfft: n is None, expected 1 for the 1 entries"):
        irfft(wave(2, 1))
