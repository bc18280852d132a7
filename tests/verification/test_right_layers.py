"""Layers that are right as people write them: none is blamed for what its author never promised."""

from functools import partial
from typing import Literal, Optional

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3))


class BatchNorm:
    def __init__(self, size):
        self.gamma, self.beta, self.eps = np.ones(size), np.zeros(size), 1e-5

    def forward(self, x):
        self.std = np.sqrt(x.var(axis=0) + self.eps)
        self.normal = (x - x.mean(axis=0)) / self.std
        return self.gamma * self.normal + self.beta

    def backward(self, dout):
        self.dgamma, self.dbeta = (dout * self.normal).sum(axis=0), dout.sum(axis=0)
        dx = dout * self.gamma
        return (dx - dx.mean(axis=0) - self.normal * (dx * self.normal).mean(axis=0)) / self.std


def offset_forward(x, w):
    return x @ w + np.array([0.34, 0.82, 0.33]), (x, w)


def offset_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout


def conv_forward(x, w, b, stride=1):
    size = w.shape[1]
    places = range(0, x.shape[1] - size + 1, stride)
    out = np.stack([x[:, i : i + size] @ w.T + b for i in places], axis=2)
    return out, (x, w, places)


def conv_backward(dout, cache):
    x, w, places = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for k, i in enumerate(places):
        dx[:, i : i + w.shape[1]] += dout[:, :, k] @ w
        dw += dout[:, :, k].T @ x[:, i : i + w.shape[1]]
    return dx, dw, dout.sum(axis=(0, 2))


def conv_backward_of_stride_1(dout, cache):
    x, w, places = cache
    return conv_backward(dout, (x, w, range(len(places))))


@jax.custom_vjp
def quantize(v, step):
    return jnp.round(v / step) * step


def quantize_fwd(v, step):
    return quantize(v, step), (v, step)


def quantize_bwd(res, g):
    v, step = res
    return g, jnp.sum(g * (jnp.round(v / step) - v / step))


def straight_through(v, step):
    u = v / step
    return (u + jax.lax.stop_gradient(jnp.round(u) - u)) * step


quantize.defvjp(quantize_fwd, quantize_bwd)


@pytest.mark.parametrize(
    ("layer", "examples", "how"),
    [
        (BatchNorm(3), (RNG.standard_normal((6, 3)),), {}),
        ((offset_forward, offset_backward), (X, W), {}),
        (
            (conv_forward, conv_backward),
            (RNG.standard_normal((2, 7)), RNG.standard_normal((4, 3)), RNG.standard_normal(4)),
            {},
        ),
        (quantize, (jnp.asarray(X), jnp.float32(0.3)), {"reference": straight_through}),
    ],
    ids=["batch norm", "offset", "conv", "straight through"],
)
def test_a_right_layer_passes_from_ordinary_examples(layer, examples, how):
    report = purebp.verify(layer, *examples, **how)
    assert report.verdict == "pass", report


def test_an_option_behind_the_arrays_is_tried():
    examples = (RNG.standard_normal((2, 7)), RNG.standard_normal((4, 3)), RNG.standard_normal(4))
    report = purebp.verify((conv_forward, conv_backward_of_stride_1), *examples, budget="quick")
    assert report.verdict == "fail"
    assert report.diagnosis is not None
    assert "wrong with stride=2" in report.diagnosis.text


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def capped(x, reduction: Literal["mean", "sum"] = "mean", cap: Optional[float] = None):  # noqa: UP045 - as people write it
    y = x if cap is None else cap * jnp.tanh(x / cap)
    return y.mean() if reduction == "mean" else y.sum()


def capped_fwd(x, reduction, cap):
    return capped(x, reduction, cap), x


def capped_bwd(reduction, cap, x, g):
    slope = 1.0 if cap is None else 1 - jnp.tanh(x / cap) ** 2
    return (g * slope * jnp.ones_like(x) / x.size,)


capped.defvjp(capped_fwd, capped_bwd)


def test_the_annotations_of_a_rule_say_what_to_try():
    report = purebp.verify(capped, jnp.asarray(X), budget="quick")
    assert report.verdict == "fail"
    assert report.diagnosis is not None
    assert "reduction='sum'" in report.diagnosis.text


def log_sum_fwd(x):
    y = jax.nn.logsumexp(x, axis=-1)
    return y, (x, y)


def log_sum_bwd(res, g):
    x, y = res
    return (g[:, None] * jnp.exp(x - y[:, None]),)


def test_a_stop_gradient_that_changes_nothing_declares_nothing():
    given = (partial(jax.nn.logsumexp, axis=-1), straight_through)
    how = {"budget": "quick", "max_examples": 0}
    plain = purebp.verify((log_sum_fwd, log_sum_bwd), jnp.asarray(X), reference=given[0], **how)
    assert {"finite differences", "second order"} <= set(plain.checks)
    assert plain.reference == "the given reference"
    declared = purebp.verify(quantize, jnp.asarray(X), jnp.float32(0.3), reference=given[1], **how)
    assert not {"finite differences", "second order"} & set(declared.checks)
    assert "declares slopes that are not those of its values" in declared.reference


SHARED = np.array([0, 0, 0, 0, 0, 1], np.int32)


def shared_keys_plain(q, k, v):
    return jax.nn.softmax(q @ k[SHARED].T) @ v[SHARED]


def shared_keys_fwd(q, k, v):
    total = jax.nn.logsumexp(q @ k[SHARED].T, axis=-1, keepdims=True)
    return shared_keys_plain(q, k, v), (q, k, v, total)


def shared_keys_bwd(residuals, y_bar):
    q, k, v, total = residuals
    p, p_bar = jnp.exp(q @ k[SHARED].T - total), y_bar @ v[SHARED].T
    s_bar = p * (p_bar - jnp.sum(p * p_bar, -1, keepdims=True))
    k_bar = jnp.zeros_like(k).at[SHARED].add(s_bar.T @ q)
    return s_bar @ k[SHARED], k_bar, jnp.zeros_like(v).at[SHARED].add(p.T @ y_bar)


def test_large_terms_that_cancel_leave_their_rounding():
    shapes = [(3, 4), (2, 4), (2, 3)]
    args = [jax.random.normal(jax.random.key(n), shape) for n, shape in enumerate(shapes)]
    how = {"reference": shared_keys_plain, "budget": "quick", "max_examples": 0}
    report = purebp.verify((shared_keys_fwd, shared_keys_bwd), *args, **how)
    assert report.ok, str(report)


def attention_fwd(q, k, v):
    return jax.nn.softmax(q @ k.T) @ v, (q, k, v)


def attention_bwd(residuals, y_bar):
    q, k, v = residuals
    p, p_bar = jax.nn.softmax(q @ k.T), y_bar @ v.T
    s_bar = p * (p_bar - jnp.sum(p * p_bar, -1, keepdims=True))
    return s_bar @ k, s_bar.T @ q, p.T @ y_bar


@pytest.mark.parametrize("seed", [0, 1])
def test_a_product_may_be_rounded_before_it_cancels_or_not(seed):
    """Of saturated rows the compiler leaves the rounding of y_bar v, times a large q."""
    rng = np.random.default_rng(0)
    args = [rng.standard_normal(shape).astype(np.float32) for shape in ((5, 4), (5, 4), (5, 1))]
    report = purebp.verify((attention_fwd, attention_bwd), *args, budget="quick", seed=seed)
    assert report.ok, str(report)


def masked_attention_fwd(q, k, v, length):
    scores = jnp.where(jnp.arange(len(k)) < length, q @ k.T, -jnp.inf)
    p = jax.nn.softmax(scores)
    return p @ v, (q, k, v, p)


def masked_attention_bwd(residuals, y_bar):
    q, k, v, p = residuals
    p_bar = y_bar @ v.T
    s_bar = p * (p_bar - jnp.sum(p * p_bar, -1, keepdims=True))
    return s_bar @ k, s_bar.T @ q, p.T @ y_bar, None


def test_what_masks_leave_of_a_product_that_cancels_is_rounding_too():
    """With one key the slopes in q and k are 0, and what is left are roundings of y_bar v."""
    rng = np.random.default_rng(0)
    args = [rng.standard_normal(shape).astype(np.float32) for shape in ((8, 3), (8, 3), (8, 1))]
    pair = (masked_attention_fwd, masked_attention_bwd)
    report = purebp.verify(pair, *args, np.int32(1), budget="quick", seed=0)
    assert report.ok, str(report)
