"""Somebody's layer in 16 bits: as good as autodiff, or found out, or left alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.verification.cases import variants
from purebp.verification.probe import Probe
from purebp.verification.target import make_target
from purebp.verification.transformations import check_sixteen_bits

X = np.abs(np.random.default_rng(0).standard_normal((2000, 2)))


def weighted_fwd(x, w):
    return jnp.sum(x * w, axis=0), (x, w)


def right_bwd(residuals, y_bar):
    x, w = residuals
    return y_bar * w + 0 * x, jnp.sum(x * y_bar, axis=0)


def running_bwd(residuals, y_bar):
    x, w = residuals
    total = jax.lax.fori_loop(0, x.shape[0], lambda i, t: t + x[i] * y_bar, jnp.zeros_like(w))
    return y_bar * w + 0 * x, total


def wide_bwd(residuals, y_bar):
    assert y_bar.dtype != jnp.bfloat16
    return right_bwd(residuals, y_bar)


def checked(bwd, dtype):
    x = jnp.asarray(X, dtype)
    target = make_target((weighted_fwd, bwd), examples=(x, x[0]))
    probe = Probe(target, variants(target)[0], quick=True)
    return check_sixteen_bits(probe, probe.first)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_a_right_layer_passes_in_the_dtype_of_its_example(dtype):
    assert checked(right_bwd, dtype).failure is None


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_sum_that_runs_in_bfloat16_is_found(dtype):
    failure = checked(running_bwd, dtype).failure
    assert failure is not None
    assert failure.argument == "w"
    assert failure.message == "bfloat16"


def test_a_layer_that_takes_no_bfloat16_is_left_alone_unless_its_example_is_of_it():
    assert checked(wide_bwd, "float32").refused == "it does not run in bfloat16"
    with pytest.raises(AssertionError):
        checked(wide_bwd, "bfloat16")


def test_a_function_that_takes_no_bfloat16_has_no_backward_pass_in_it():
    def spectrum_fwd(x):
        return jnp.abs(jnp.fft.rfft(x)) ** 2, x

    def spectrum_bwd(x, y_bar):
        _, pullback = jax.vjp(lambda x: spectrum_fwd(x)[0], x)
        return pullback(y_bar)

    report = purebp.verify((spectrum_fwd, spectrum_bwd), jnp.asarray(X, "bfloat16"), budget="quick")
    assert report.checks["16 bits"].verdict == "refused"
    assert report.ok, str(report)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_an_example_in_16_bits_raises_no_alarm(dtype):
    x = jnp.asarray(X[:2], dtype)
    report = purebp.verify((weighted_fwd, right_bwd), x, x[0], budget="quick")
    assert report.ok, str(report)
    assert report.checks["16 bits"].verdict == "pass"


def test_a_check_that_is_refused_decides_nothing():
    x = jnp.asarray(X[:2], jnp.float32)
    report = purebp.verify((weighted_fwd, wide_bwd), x, x[0], budget="quick")
    assert report.checks["16 bits"].verdict == "refused"
    assert report.verdict == "pass"


def masked_sum_fwd(x, mask):
    return jnp.sum(jnp.where(mask, x, 0), axis=-1), mask


def times_bwd(mask, y_bar, hole=np.nan):
    return jnp.where(mask, 1.0, hole) * y_bar[:, None] * mask.astype(jnp.float32), None


def chosen_bwd(mask, y_bar):
    return jnp.where(mask, y_bar[:, None], 0.0), None


@pytest.mark.parametrize(("bwd", "kind"), [(times_bwd, "not finite"), (chosen_bwd, None)])
def test_nan_that_the_compiler_alone_makes_0_is_found(bwd, kind):
    mask = np.random.default_rng(1).random((4, 3)) < 0.7
    report = purebp.verify((masked_sum_fwd, bwd), X[:4, :1] * np.ones(3), mask, budget="quick")
    found = report.diagnosis.kind if report.diagnosis is not None else None
    assert found == kind


def largest_fwd(x):
    y = jnp.max(x, axis=-1)
    return y, (x, y)


def shared_bwd(saved, y_bar):
    """Those that tie share; where there is a nan nothing is the largest."""
    x, y = saved
    ties = (x == y[..., None]).astype(x.dtype)
    shares = ties / ties.sum(-1, keepdims=True) * y_bar[..., None]
    return (jnp.zeros_like(x).at[..., jnp.arange(x.shape[-1])].add(shares),)


def test_what_becomes_of_a_nan_that_the_output_has_too_is_nobodys_business():
    report = purebp.verify((largest_fwd, shared_bwd), X[:4, :1] * np.arange(3.0), budget="quick")
    assert report.ok, str(report)
