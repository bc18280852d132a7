"""Multi-head attention: the projections, the attention between them, and positions as rotations."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.errors import ShapeError
from purebp.layers.attention import dot_product_attention
from purebp.layers.attention_blocks import Window
from purebp.layers.attention_check import check_dot_product_attention
from purebp.layers.linear import affine
from purebp.layers.position import rope
from purebp.op import Op, conditioned
from purebp.residuals import Residuals, Spec, spec_of

Bias = Array | None


def multi_head_attention_definition(
    x: Float[Array, "*batch t d"],
    w_q: Float[Array, "d h e"],
    w_k: Float[Array, "d g e"],
    w_v: Float[Array, "d g e"],
    w_o: Float[Array, "h e m"],
    b_q: Float[Array, "h e"] | None = None,
    b_k: Float[Array, "g e"] | None = None,
    b_v: Float[Array, "g e"] | None = None,
    b_o: Float[Array, "m"] | None = None,
    *,
    causal: bool = False,
    window: Window = None,
    rope_base: float | None = None,
) -> Float[Array, "*batch t m"]:
    """y = attention(x W_q, x W_k, x W_v) W_o: every position looks at the others, h times.

    Maths: q, k, v = x W + b, turned by rope with that base (none for None);
        o = dot_product_attention(q, k, v); y = o W_o + b_o. Backward, the same ops in reverse; x
        serves three products, so their gradients add. Without rope b_k_bar is 0: b_k adds the
        same number to all scores of a query, which the softmax does not see.
    Shapes: x (*batch, t, d); h query heads and g key heads, h a multiple of g, of e features each;
        y (*batch, t, m).
    Residuals: x, the weights, q, k, v, the attention's output and row sums: linear in t.
    Kinks: none.
    Raises: ShapeError if the weights do not fit, or h is not a multiple of g; those of rope.
    Source: Vaswani et al. 2017, "Attention is all you need", section 3.2.2.

    Example:
        >>> x = jnp.array([[1.0, -0.5], [2.0, 0.5], [-1.5, 0.3], [-2.0, 1.5]])
        >>> w_q = jnp.array([[[0.5, -1.5], [0.3, -2.0]], [[1.5, 0.8], [-0.2, 0.6]]])
        >>> w_k = jnp.array([[[-2.0, 1.5], [0.8, -0.2]], [[0.6, -1.0], [1.0, -0.5]]])
        >>> w_v = jnp.array([[[-0.2, 0.6], [-1.0, 1.0]], [[-0.5, 2.0], [0.5, -1.5]]])
        >>> w_o = jax.random.normal(jax.random.key(4), (2, 2, 3))
        >>> y, res = multi_head_attention.fwd(x, w_q, w_k, w_v, w_o)
        >>> [bar if bar is None else bar.shape for bar in multi_head_attention.bwd(res, y)]
        [(4, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 3), None, None, None, None]
    """
    q, k, v = (
        jnp.einsum("...td,dhe->...the", x, w) + (0 if b is None else b)
        for w, b in ((w_q, b_q), (w_k, b_k), (w_v, b_v))
    )
    if rope_base is not None:
        q, k = (rope.define(each, base=rope_base) for each in (q, k))
    o = dot_product_attention.define(q, k, v, causal=causal, window=window)
    y = jnp.einsum("...the,hem->...tm", o, w_o)
    return y if b_o is None else y + b_o


class MultiHeadResiduals(NamedTuple):
    inputs: Residuals
    turns: tuple[Residuals, Residuals] | None
    attention: Residuals
    output: Residuals
    weights: tuple[Spec, Spec, Spec, Spec]
    biases: tuple[Spec | None, ...]


def multi_head_attention_fwd(
    x: Array,
    w_q: Array,
    w_k: Array,
    w_v: Array,
    w_o: Array,
    b_q: Bias = None,
    b_k: Bias = None,
    b_v: Bias = None,
    b_o: Bias = None,
    *,
    causal: bool = False,
    window: Window = None,
    rope_base: float | None = None,
) -> tuple[Array, MultiHeadResiduals]:
    weights, biases = (w_q, w_k, w_v), (b_q, b_k, b_v)
    w = jnp.concatenate([each.reshape(len(each), -1) for each in weights], axis=1)
    product, inputs = affine.fwd(x, w, _joined_bias(weights, biases))
    q, k, v = _split(product, weights)
    turns = None
    if rope_base is not None:
        q, q_turn = rope.fwd(q, base=rope_base)
        k, k_turn = rope.fwd(k, base=rope_base)
        turns = q_turn, k_turn
    o, attention = dot_product_attention.fwd(q, k, v, causal=causal, window=window)
    y, output = affine.fwd(_merged(o), w_o.reshape(-1, w_o.shape[-1]), b_o)
    specs = spec_of(w_q), spec_of(w_k), spec_of(w_v), spec_of(w_o)
    saved = tuple(None if b is None else spec_of(b) for b in (*biases, b_o))
    return y, MultiHeadResiduals(inputs, turns, attention, output, specs, saved)


def multi_head_attention_bwd(res: MultiHeadResiduals, y_bar: Array) -> tuple[Bias, ...]:
    *weights, w_o = res.weights
    o_bar, w_o_bar, b_o_bar = affine.bwd(res.output, y_bar)
    (o_spec,) = res.attention.output[1]
    bars = dot_product_attention.bwd(res.attention, o_bar.reshape(o_spec.shape))
    q_bar, k_bar, v_bar = bars[:3]
    if res.turns is not None:
        q_bar, k_bar = rope.bwd(res.turns[0], q_bar)[0], rope.bwd(res.turns[1], k_bar)[0]
    (product_spec,) = res.inputs.output[1]
    product_bar = jnp.concatenate([_merged(bar) for bar in (q_bar, k_bar, v_bar)], axis=-1)
    x_bar, w_bar, b_bar = affine.bwd(res.inputs, product_bar.astype(product_spec.dtype))
    w_bars = _split(w_bar, weights)
    b_bars: list[Bias] = [None] * 3
    if b_bar is not None:
        b_bars = [*_split(b_bar, weights)]
        if res.turns is None:
            b_bars[1] = jnp.zeros(weights[1].shape[1:], b_bar.dtype)
    return (
        x_bar,
        *(bar.astype(spec.dtype) for bar, spec in zip(w_bars, weights, strict=True)),
        w_o_bar.reshape(w_o.shape),
        *(
            None if spec is None or bar is None else bar.astype(spec.dtype)
            for bar, spec in zip((*b_bars, b_o_bar), res.biases, strict=True)
        ),
    )


def _joined_bias(weights: tuple[Array, ...], biases: tuple[Bias, ...]) -> Bias:
    """The biases one after the other, zeros for a missing one; None if all are missing."""
    if all(b is None for b in biases):
        return None
    each = zip(weights, biases, strict=True)
    whole = [jnp.zeros(w.shape[1:], w.dtype) if b is None else b for w, b in each]
    return jnp.concatenate([b.reshape(-1) for b in whole])


def _split(joined: Array, weights: tuple[Array, ...] | list[Spec]) -> list[Array]:
    """The last axis as heads of q, of k and of v."""
    shapes = [w.shape[1:] for w in weights]
    cuts = [shapes[0][0] * shapes[0][1], (shapes[0][0] + shapes[1][0]) * shapes[0][1]]
    parts = jnp.split(joined, cuts, axis=-1)
    return [p.reshape(*p.shape[:-1], *shape) for p, shape in zip(parts, shapes, strict=True)]


def _merged(x: Array) -> Array:
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


def check_multi_head_attention(
    x: Array,
    w_q: Array,
    w_k: Array,
    w_v: Array,
    w_o: Array,
    b_q: Bias,
    b_k: Bias,
    b_v: Bias,
    b_o: Bias,
    *,
    causal: bool,
    window: Window,
    rope_base: float | None,
) -> None:
    """Raise unless the heads fit each other and the options make sense."""
    if w_k.shape[1] == 0 or w_q.shape[1] % w_k.shape[1]:
        raise ShapeError(
            f"multi_head_attention: w_q has {w_q.shape[1]} heads and w_k has {w_k.shape[1]}, "
            "expected a multiple of the heads of w_k"
        )
    if rope_base is not None and w_q.shape[2] % 2:
        raise ShapeError(
            f"multi_head_attention: w_q has shape {w_q.shape}, expected an even last axis: rope "
            "turns features in pairs"
        )
    check_dot_product_attention(w_q, w_k, w_v, causal=causal, window=window)


multi_head_attention = Op(
    multi_head_attention_fwd,
    multi_head_attention_bwd,
    definition=multi_head_attention_definition,
    composed=True,
    options={"causal": (False, True), "rope_base": (None, 100.0)},
    sizes={
        "batch": ((2,), (), (1,), (1, 2)),
        "t": (3, 4, 1, 2),
        "h": (2, 2, 1, 4),
        "g": (1, 2, 1, 2),
        "e": (2, 2, 4, 1),
        "d": (3, 2, 1, 4),
        "m": (2, 3, 1, 4),
    },
    check=check_multi_head_attention,
    tolerance=conditioned("q, k and v are rounded before attention multiplies them", pooled=True),
)

OPS = (multi_head_attention,)
