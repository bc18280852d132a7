"""Attention, embedding, positions and gated units, against jnp and jax.nn."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from purebp.activations import geglu, glu, swiglu
from purebp.benchmark.case import Case, Draw, integers, normal, nothing, positive
from purebp.benchmark.eager import functional
from purebp.layers import dot_product_attention, embedding, multi_head_attention, rope, sinusoidal

SMALL, LARGE = normal(32, 64), normal(4096, 1024)


def jnp_take(tokens: Array, table: Array) -> Array:
    return jnp.take(table, tokens, axis=0)


def rotate_half(x: Array) -> Array:
    """RoPE as Hugging Face writes it."""
    d = x.shape[-1]
    angles = jnp.arange(x.shape[-3])[:, None] / 10000.0 ** (jnp.arange(0, d, 2) / d)
    cos, sin = (jnp.concatenate([f(angles)] * 2, axis=-1)[:, None] for f in (jnp.cos, jnp.sin))
    x1, x2 = jnp.split(x, 2, axis=-1)
    return x * cos + jnp.concatenate([-x2, x1], axis=-1) * sin


def rotate_pairs(x: Array) -> Array:
    """RoPE as in the Llama of Meta: neighbours as complex numbers."""
    d = x.shape[-1]
    angles = jnp.arange(x.shape[-3])[:, None] / 10000.0 ** (jnp.arange(0, d, 2) / d)
    z = jax.lax.complex(x[..., ::2], x[..., 1::2]) * jnp.exp(1j * angles)[:, None]
    return jnp.stack([z.real, z.imag], axis=-1).reshape(x.shape)


def plain_swiglu(a: Array, b: Array) -> Array:
    return jax.nn.silu(a) * b


def plain_geglu(a: Array, b: Array) -> Array:
    return jax.nn.gelu(a) * b


def jax_attention(q: Array, k: Array, v: Array) -> Array:
    return jax.nn.dot_product_attention(q, k, v, is_causal=True)


def jax_window(q: Array, k: Array, v: Array) -> Array:
    return jax.nn.dot_product_attention(q, k, v, is_causal=True, local_window_size=(256, 0))


def torch_attention(torch: Any, q: Any, k: Any, v: Any) -> Any:
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return y.transpose(1, 2)


def torch_window(torch: Any, q: Any, k: Any, v: Any) -> Any:
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    gap = torch.arange(q.shape[2])[:, None] - torch.arange(k.shape[2])
    seen = (gap >= 0) & (gap <= 256)
    attend = torch.nn.functional.scaled_dot_product_attention
    return attend(q, k, v, attn_mask=seen, enable_gqa=True).transpose(1, 2)


def torch_multi_head(torch: Any, x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any) -> Any:
    q, k, v = (
        (x @ w.flatten(1)).unflatten(-1, w.shape[1:]).transpose(1, 2) for w in (w_q, w_k, w_v)
    )
    o = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return o.transpose(1, 2).flatten(2) @ w_o.flatten(0, 1)


def torch_rotate_half(torch: Any, x: Any) -> Any:
    d = x.shape[-1]
    angles = torch.arange(x.shape[-3])[:, None] / 10000.0 ** (torch.arange(0, d, 2) / d)
    cos, sin = (torch.cat([f(angles)] * 2, dim=-1)[:, None] for f in (torch.cos, torch.sin))
    x1, x2 = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-x2, x1], dim=-1) * sin


def torch_swiglu(torch: Any, a: Any, b: Any) -> Any:
    return torch.nn.functional.silu(a) * b


def torch_geglu(torch: Any, a: Any, b: Any) -> Any:
    return torch.nn.functional.gelu(a, approximate="tanh") * b


def plain_multi_head(x: Array, w_q: Array, w_k: Array, w_v: Array, w_o: Array) -> Array:
    """As flax writes it: a projection for each of q, k, v; jax.nn between them."""
    q, k, v = (jnp.einsum("btd,dhe->bthe", x, w) for w in (w_q, w_k, w_v))
    return jnp.einsum("bthe,hem->btm", jax_attention(q, k, v), w_o)


def jax_masked(q: Array, k: Array, v: Array, lengths: None, mask: Array, bias: Array) -> Array:
    return jax.nn.dot_product_attention(q, k, v, bias, mask, is_causal=True)


def plain_sinks(
    q: Array,
    k: Array,
    v: Array,
    lengths: None,
    mask: None,
    bias: None,
    sinks: Array,
    slopes: Array,
) -> Array:
    """As gpt-oss writes it: the sink is one more logit, and its probability is dropped."""
    t, s = q.shape[-3], k.shape[-3]
    scores = jnp.einsum("bthd,bshd->bhts", q, k) / q.shape[-1] ** 0.5
    distance = jnp.abs(jnp.arange(t)[:, None] - jnp.arange(s))
    scores = scores - slopes[:, None, None] * distance
    scores = jnp.where(jnp.tril(jnp.ones((t, s), bool)), scores, -jnp.inf)
    column = jnp.broadcast_to(sinks[:, None, None], (*scores.shape[:-1], 1))
    p = jax.nn.softmax(jnp.concatenate([scores, column], axis=-1))[..., :-1]
    return jnp.einsum("bhts,bshd->bthd", p, v)


def plain_waves(x: Array, scale: Array) -> Array:
    """A table of waves, as in the annotated Transformer."""
    t, d = x.shape[-2:]
    angles = jnp.arange(t)[:, None] * jnp.exp(-jnp.log(10000.0) * jnp.arange(0, d, 2) / d)
    table = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1).reshape(t, d)
    return x + scale * table


def seen(*shape: int) -> Draw:
    """A mask of booleans, True at 9 of 10 places."""
    return partial(_seen, shape)


def _seen(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    return jnp.asarray(rng.random(shape) < 0.9)


CASES = (
    Case(
        dot_product_attention,
        jax_masked,
        "jax.nn.dot_product_attention",
        (*(normal(2, 32, 4, 16),) * 3, nothing, seen(1, 1, 32, 32), normal(1, 4, 32, 32)),
        (*(normal(1, 1024, 4, 64),) * 3, nothing, seen(1, 1, 1024, 1024), normal(1, 4, 1024, 1024)),
        options={"causal": True},
        label="mask, bias",
    ),
    Case(
        dot_product_attention,
        plain_sinks,
        "einsum, softmax with a column more",
        (*(normal(2, 32, 4, 16),) * 3, *(nothing,) * 3, normal(4), positive(4)),
        (*(normal(1, 1024, 8, 64),) * 3, *(nothing,) * 3, normal(8), positive(8)),
        options={"causal": True},
        label="sinks, slopes",
    ),
    Case(
        sinusoidal,
        plain_waves,
        "jnp",
        (normal(2, 16, 8), normal()),
        (normal(8, 1024, 512), normal()),
    ),
    Case(
        multi_head_attention,
        plain_multi_head,
        "einsum, jax.nn.dot_product_attention",
        (normal(2, 16, 32), *(normal(32, 4, 8, scale=0.2),) * 3, normal(4, 8, 32, scale=0.2)),
        (normal(2, 512, 256), *(normal(256, 8, 32, scale=0.06),) * 3, normal(8, 32, 256)),
        options={"causal": True},
        torch=torch_multi_head,
        label="causal",
    ),
    Case(
        dot_product_attention,
        jax_attention,
        "jax.nn.dot_product_attention",
        (normal(2, 64, 4, 32),) * 3,
        (normal(1, 2048, 8, 64),) * 3,
        options={"causal": True},
        torch=torch_attention,
        label="causal",
    ),
    Case(
        dot_product_attention,
        jax_window,
        "jax.nn.dot_product_attention",
        (normal(2, 64, 4, 32), normal(2, 64, 2, 32), normal(2, 64, 2, 32)),
        (normal(1, 2048, 8, 64), normal(1, 2048, 2, 64), normal(1, 2048, 2, 64)),
        options={"causal": True, "window": (256, 0)},
        torch=torch_window,
        label="window, shared keys",
    ),
    Case(
        embedding,
        jnp_take,
        "jnp.take",
        (integers(4, 32, below=256), normal(256, 32)),
        (integers(8, 1024, below=8192), normal(8192, 512)),
        torch=functional("embedding"),
    ),
    Case(
        rope,
        rotate_half,
        "rotate_half",
        (normal(2, 16, 4, 16),),
        (normal(1, 2048, 8, 64),),
        torch=torch_rotate_half,
    ),
    Case(
        rope,
        rotate_pairs,
        "complex product",
        (normal(2, 16, 4, 16),),
        (normal(1, 2048, 8, 64),),
        options={"interleaved": True},
        more_memory="cosines and sines as two arrays; nothing is saved",
        label="interleaved",
    ),
    Case(glu, jax.nn.glu, "jax.nn.glu", (SMALL,), (LARGE,), torch=functional("glu")),
    Case(swiglu, plain_swiglu, "jax.nn.silu", (SMALL, SMALL), (LARGE, LARGE), torch=torch_swiglu),
    Case(geglu, plain_geglu, "jax.nn.gelu", (SMALL, SMALL), (LARGE, LARGE), torch=torch_geglu),
)
