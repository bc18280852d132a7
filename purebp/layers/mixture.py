"""Mixture of experts: each token goes to a few of many gated networks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.compat import explicit_sharding, reshard, unsharded
from purebp.errors import OptionError
from purebp.layers.dispatch import Dispatch, dispatch, from_slots, to_slots
from purebp.numerics import widen
from purebp.op import Op, conditioned
from purebp.residuals import Spec, spec_of


def mixture_of_experts_definition(
    x: Float[Array, "*batch d"],
    router: Float[Array, "d e"],
    w_gate: Float[Array, "e d f"],
    w_up: Float[Array, "e d f"],
    w_down: Float[Array, "e f d"],
    *,
    top: int = 2,
    renormalize: bool = True,
    block: int | None = None,
) -> Float[Array, "*batch d"]:
    """y = sum over the `top` best experts i of g_i E_i(x), E_i(x) = (swish(x G_i) * (x U_i)) D_i.

    Maths: l = x router; the experts with the largest l are chosen; g is the softmax of their l
        (renormalize), or their part of the softmax of all l. Backward, with a = x G_i, b = x U_i,
        h = swish(a) b for each token of expert i, and o = y_bar D_i^T: g_bar_i = <h, o>,
        h_bar = g_i o, a_bar = h_bar b swish'(a), b_bar = h_bar swish(a),
        D_i_bar = (g_i h)^T y_bar, G_i_bar = x^T a_bar, U_i_bar = x^T b_bar,
        x_bar = a_bar G_i^T + b_bar U_i^T. Then l_bar_i = g_i sum_j g_j (g_bar_i - g_bar_j) over the
        chosen ones, or over all with g_bar = 0 for the others; router_bar = x^T l_bar, and x_bar
        adds l_bar router^T. The output E_i(x) is not needed for g_bar.
    Shapes: x, y (*batch, d); router (d, e); w_gate G, w_up U (e, d, f); w_down D (e, f, d). The
        tokens of each expert are put side by side, in blocks of `block` rows, which changes
        nothing but the cost; no token is dropped, and no expert sees a token that is not its own.
    Residuals: x and the weights; for each token and chosen expert a and b, g, and where its row
        is. Not h, nor the outputs of the experts.
    Kinks: where two experts tie for the last place y jumps; the one that comes first is chosen,
        and the derivative is that with the chosen ones held fixed.
    Raises: ShapeError if the weights do not fit, DtypeError for integers, OptionError unless top
        is from 1 to e, or for a block below 1. With renormalize and top = 1 the router gets no
        gradient.
    Source: Shazeer et al. 2017, "Outrageously large neural networks"; Fedus et al. 2021, "Switch
        Transformers"; Gale et al. 2022, "MegaBlocks"; derived by hand.

    Example:
        >>> x = jnp.array([[[1.0, -0.5], [2.0, 0.5]], [[-1.5, 0.3], [-2.0, 1.5]]])
        >>> router = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> w_gate = jax.random.normal(jax.random.key(2), (3, 2, 2))
        >>> w_up = jax.random.normal(jax.random.key(3), (3, 2, 2))
        >>> w_down = jax.random.normal(jax.random.key(4), (3, 2, 2))
        >>> y, res = mixture_of_experts.fwd(x, router, w_gate, w_up, w_down)
        >>> [jnp.shape(bar) for bar in mixture_of_experts.bwd(res, y)]
        [(2, 2, 2), (2, 3), (3, 2, 2), (3, 2, 2), (3, 2, 2)]
    """
    dtype = jnp.result_type(x, router, w_gate, w_up, w_down)
    x, w_gate, w_up, w_down = (widen(each) for each in (x, w_gate, w_up, w_down))
    logits = jnp.matmul(x, widen(router))
    ranked, places = lax.top_k(logits, logits.shape[-1])
    gates = _softmax_of_ranked(ranked[..., :top] if renormalize else ranked)[..., :top]
    hits = jax.nn.one_hot(places[..., :top], logits.shape[-1], dtype=gates.dtype)
    shares = jnp.sum(hits * gates[..., None], axis=-2)
    a, b = (jnp.einsum("...d,edf->...ef", x, w) for w in (w_gate, w_up))
    outputs = jnp.einsum("...ef,efd->...ed", jax.nn.silu(a) * b, w_down)
    return jnp.einsum("...e,...ed->...d", shares, outputs).astype(dtype)


def _softmax_of_ranked(x: Array) -> Array:
    """The softmax of what falls; autodiff of it is exact where the first is nearly 1, too."""
    terms = jnp.exp(x[..., 1:] - x[..., :1])
    powers = jnp.concatenate([jnp.ones_like(x[..., :1]), terms], axis=-1)
    return powers / (1 + jnp.sum(terms, axis=-1, keepdims=True))


class MixtureResiduals(NamedTuple):
    tokens: Float[Array, "m d"]
    router: Float[Array, "d e"]
    w_gate: Float[Array, "e d f"]
    w_up: Float[Array, "e d f"]
    w_down: Float[Array, "e f d"]
    a: Float[Array, "blocks rows f"]
    b: Float[Array, "blocks rows f"]
    plan: Dispatch
    gates: Float[Array, "m top"]
    shares: Float[Array, "m e"] | None
    x: Spec


def mixture_of_experts_fwd(
    x: Array,
    router: Array,
    w_gate: Array,
    w_up: Array,
    w_down: Array,
    *,
    top: int = 2,
    renormalize: bool = True,
    block: int | None = None,
) -> tuple[Array, MixtureResiduals]:
    tokens = unsharded(x).reshape(-1, x.shape[-1])
    logits = jnp.matmul(widen(tokens), widen(router))
    best, chosen = lax.top_k(logits, top)
    gates, shares = jax.nn.softmax(best), None
    if not renormalize:
        shares = jax.nn.softmax(logits)
        gates = jnp.take_along_axis(shares, chosen, axis=-1)
    plan = dispatch(chosen, router.shape[1], block)
    rows, scales = to_slots(plan, tokens), to_slots(plan, gates.reshape(-1, 1), each=True)

    def step(carry: None, xs: tuple[Array, ...]) -> tuple[None, tuple[Array, Array, Array]]:
        expert, x, g = xs
        a, b = (jnp.matmul(x, widen(w[expert])) for w in (w_gate, w_up))
        return carry, (a, b, jnp.matmul(a * jax.nn.sigmoid(a) * b * g, widen(w_down[expert])))

    _, (a, b, y) = lax.scan(step, None, (plan.experts, rows, scales))
    y = jnp.sum(from_slots(plan, y), axis=1).reshape(x.shape)
    dtype = jnp.result_type(x, router, w_gate, w_up, w_down)
    y = reshard(y.astype(dtype), explicit_sharding(x))
    weights = router, w_gate, w_up, w_down
    return y, MixtureResiduals(tokens, *weights, a, b, plan, gates, shares, spec_of(x))


def mixture_of_experts_bwd(res: MixtureResiduals, y_bar: Array) -> tuple[Array, ...]:
    tokens, router, w_gate, w_up, w_down, a, b, plan, gates, shares, x = res
    outer = to_slots(plan, unsharded(y_bar).reshape(tokens.shape))
    rows, scales = to_slots(plan, tokens), to_slots(plan, gates.reshape(-1, 1), each=True)

    def step(bars: Weights, xs: tuple[Array, ...]) -> tuple[Weights, tuple[Array, Array]]:
        expert, x, y_bar, g, a, b = xs
        slope = jax.nn.sigmoid(a)
        bent = a * slope
        o = jnp.matmul(y_bar, widen(w_down[expert]).T)
        g_bar = jnp.sum(o * bent * b, axis=-1, keepdims=True)
        a_bar, b_bar = g * o * b * (slope + bent * (1 - slope)), g * o * bent
        x_bar = jnp.matmul(a_bar, widen(w_gate[expert]).T)
        x_bar = x_bar + jnp.matmul(b_bar, widen(w_up[expert]).T)
        pairs = (x, a_bar), (x, b_bar), (g * bent * b, y_bar)
        added = tuple(
            bar.at[expert].add(jnp.matmul(left.T, right))
            for bar, (left, right) in zip(bars, pairs, strict=True)
        )
        return added, (x_bar, g_bar)

    start = tuple(jnp.zeros_like(widen(w)) for w in (w_gate, w_up, w_down))
    each = (plan.experts, rows, outer, scales, a, b)
    (w_gate_bar, w_up_bar, w_down_bar), (x_bar, g_bar) = lax.scan(step, start, each)
    logits_bar = _logits_bar(plan, gates, shares, from_slots(plan, g_bar)[..., 0])
    x_bar = jnp.sum(from_slots(plan, x_bar), axis=1) + jnp.matmul(logits_bar, widen(router).T)
    router_bar = jnp.matmul(widen(tokens).T, logits_bar)
    return (
        reshard(x_bar.reshape(x.shape).astype(x.dtype), x.sharding),
        router_bar.astype(router.dtype),
        w_gate_bar.astype(w_gate.dtype),
        w_up_bar.astype(w_up.dtype),
        w_down_bar.astype(w_down.dtype),
    )


Weights = tuple[Array, ...]


def _logits_bar(plan: Dispatch, gates: Array, shares: Array | None, g_bar: Array) -> Array:
    """Through the softmax, of the chosen experts or of all."""
    if shares is None:
        return _at_chosen(plan, _softmax_bar(gates, g_bar))
    return _softmax_bar(shares, _at_chosen(plan, g_bar))


def _softmax_bar(p: Array, p_bar: Array) -> Array:
    """p_i sum_j p_j (p_bar_i - p_bar_j): no cancellation where one p is nearly 1."""
    gaps = p_bar[:, :, None] - p_bar[:, None]
    return p * jnp.sum(p[:, None] * gaps, axis=-1)


def _at_chosen(plan: Dispatch, values: Array) -> Array:
    """Values of the chosen experts as values of all, 0 for the others."""
    at = plan.chosen[..., None] == jnp.arange(plan.among.value)
    return jnp.sum(jnp.where(at, values[..., None], 0), axis=1)


def check_mixture_of_experts(
    x: Array,
    router: Array,
    w_gate: Array,
    w_up: Array,
    w_down: Array,
    *,
    top: int,
    renormalize: bool,
    block: int | None,
) -> None:
    """Raise unless so many experts can be chosen, and a block has rows."""
    op, experts = "mixture_of_experts", router.shape[1]
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= experts:
        raise OptionError(f"{op}: top is {top!r}, expected from 1 to the {experts} experts")
    if not isinstance(renormalize, bool):
        raise OptionError(f"{op}: renormalize is {renormalize!r}, expected True or False")
    if block is not None and (not isinstance(block, int) or block < 1):
        raise OptionError(f"{op}: block is {block!r}, expected None or a number of rows")


mixture_of_experts = Op(
    mixture_of_experts_fwd,
    mixture_of_experts_bwd,
    definition=mixture_of_experts_definition,
    options={"top": (2, 1), "renormalize": (True, False), "block": (None, 2)},
    sizes={"batch": ((2, 2), (3,)), "d": (2, 3), "e": (3, 2), "f": (2, 1)},
    check=check_mixture_of_experts,
    kinks="where two experts tie for the last place y jumps",
    tolerance=conditioned("x G and x U are rounded before they are multiplied", pooled=True),
)

OPS = (mixture_of_experts,)
