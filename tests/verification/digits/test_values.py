"""Numbers with many digits come from arrays and go back without a loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from purebp.compat import enable_x64
from purebp.verification.digits.values import (
    MP,
    UnsupportedError,
    exact,
    filled,
    is_exact,
    is_floating,
    rounded,
    value_of,
)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=6))
def test_a_float64_comes_back_as_it_was(numbers):
    x = np.asarray(numbers, np.float64)
    np.testing.assert_array_equal(rounded(exact(x)), x)


@pytest.mark.parametrize("shape", [(), (3,), (2, 0, 3), (2, 3)])
def test_the_shape_stays(shape):
    x = exact(np.zeros(shape))
    assert is_exact(x)
    assert x.shape == rounded(x).shape == shape


def test_there_are_many_digits():
    third = exact(np.asarray(1.0)).ravel()[0] / 3
    assert abs(3 * third - 1) < MP.mpf(10) ** -79
    assert third != MP.mpf(1 / 3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_narrow_number_is_taken_as_it_is(dtype):
    x = jnp.asarray([0.1, 3.0], dtype)
    np.testing.assert_array_equal(rounded(value_of(x, x.dtype)), np.asarray(x, np.float64))


@pytest.mark.parametrize("x", [np.arange(3), np.asarray([True, False]), np.uint32(7)])
def test_integers_and_booleans_stay(x):
    kept = value_of(x, x.dtype)
    assert not is_exact(kept)
    assert kept.dtype == x.dtype
    np.testing.assert_array_equal(kept, x)


def test_keys_stay():
    key = jax.random.key(3)
    assert value_of(key, key.dtype) is key


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers_are_not_supported(dtype):
    with enable_x64(True), pytest.raises(UnsupportedError, match="complex"):
        is_floating(jnp.dtype(dtype))


def test_filled_makes_an_array_of_any_objects():
    x = filled((2, 1), [MP.mpf(1), MP.mpf(2)])
    assert x.shape == (2, 1)
    assert x[1, 0] == 2
