"""Language models of attention: GPT as in llm.c, and Llama."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.activations import gelu, swiglu
from purebp.combine import fanout
from purebp.compat import explicit_sharding
from purebp.errors import OptionError
from purebp.layers import affine, embedding, layer_norm, multi_head_attention, rms_norm
from purebp.models.blocks import check_sizes, residual
from purebp.models.layer import Layer, Weight
from purebp.models.model import Model
from purebp.op import Op
from purebp.residuals import Spec, spec_of

SPREAD = 0.02
PROJECTIONS = ("w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o")

attend = residual(
    "attention",
    (layer_norm, multi_head_attention.with_options(causal=True)),
    (("gamma", "beta"), PROJECTIONS),
)
think = residual(
    "mlp",
    (layer_norm, affine, gelu, affine),
    (("gamma", "beta"), ("w_up", "b_up"), (), ("w_down", "b_down")),
)

attend_turned = residual(
    "attention",
    (rms_norm, multi_head_attention.with_options(causal=True, rope_base=10000.0)),
    (("gamma",), PROJECTIONS[:4]),
)
think_gated = residual(
    "mlp",
    (rms_norm, fanout(affine, affine), swiglu, affine),
    (("gamma",), ((("w_gate",), ("w_up",)),), (), ("w_down",)),
)


def positions_definition(
    x: Float[Array, "*batch t d"], table: Float[Array, "n d"]
) -> Float[Array, "*batch t d"]:
    """y_t = x_t + table_t: a learned vector for each position.

    Maths: x_bar = y_bar, table_bar_t = the sum of y_bar_t over the examples, 0 from row t on.
    """
    return x + table[: x.shape[-2]]


def positions_fwd(x: Array, table: Array) -> tuple[Array, tuple[Spec, Spec]]:
    return x + table[: x.shape[-2]], (spec_of(x), spec_of(table))


def positions_bwd(res: tuple[Spec, Spec], y_bar: Array) -> tuple[Array, Array]:
    x, table = res
    used = jnp.sum(y_bar, axis=tuple(range(y_bar.ndim - 2)))
    rest = [(0, table.shape[0] - used.shape[0]), (0, 0)]
    return y_bar.astype(x.dtype), jnp.pad(used, rest).astype(table.dtype)


def unembed_definition(
    x: Float[Array, "*batch d"], table: Float[Array, "v d"]
) -> Float[Array, "*batch v"]:
    """logits = x table^T: how well x fits the vector of each token.

    Maths: x_bar = logits_bar table, table_bar = logits_bar^T x, summed over the examples.
    """
    return jnp.einsum("...d,vd->...v", x, table)


def unembed_fwd(x: Array, table: Array) -> tuple[Array, tuple[Array, Array]]:
    return jnp.matmul(x, table.T), (x, table)


def unembed_bwd(res: tuple[Array, Array], logits_bar: Array) -> tuple[Array, Array]:
    x, table = res
    examples = tuple(range(x.ndim - 1))
    x_bar = jnp.matmul(logits_bar, table, out_sharding=explicit_sharding(x))
    table_bar = jnp.tensordot(
        logits_bar, x, axes=(examples, examples), out_sharding=explicit_sharding(table)
    )
    return x_bar.astype(x.dtype), table_bar.astype(table.dtype)


add_positions = Op(positions_fwd, positions_bwd, positions_definition)
unembed = Op(unembed_fwd, unembed_bwd, unembed_definition)


def norm_weights(width: int) -> dict[str, Weight]:
    """Those of layer norm."""
    return {"gamma": Weight((width,), centre=1.0), "beta": Weight((width,))}


def biased_attention(
    width: int, heads: int, narrow: float, spread: float = SPREAD
) -> dict[str, Weight]:
    """Those of multi-head attention; `narrow` is the spread of what leaves a block."""
    each = width // heads
    inputs = {f"w_{part}": Weight((width, heads, each), spread) for part in "qkv"}
    biases = {f"b_{part}": Weight((heads, each)) for part in "qkv"}
    return {
        **inputs,
        **biases,
        "w_o": Weight((heads, each, width), narrow),
        "b_o": Weight((width,)),
    }


def mlp_weights(
    width: int, hidden: int, narrow: float, spread: float = SPREAD
) -> dict[str, Weight]:
    """Those of the two affine layers of a block."""
    return {
        "w_up": Weight((width, hidden), spread),
        "b_up": Weight((hidden,)),
        "w_down": Weight((hidden, width), narrow),
        "b_down": Weight((width,)),
    }


def gpt(
    vocabulary: int = 256,
    context: int = 128,
    *,
    width: int = 128,
    heads: int = 4,
    depth: int = 4,
    expansion: int = 4,
) -> Model:
    """GPT: for every token the logits of the one that comes next.

    Maths: x = table[tokens] + positions; `depth` times x = x + attention(norm(x)) and
        x = x + gelu(norm(x) W_up + b_up) W_down + b_down; logits = norm(x) table^T. The table of
        the tokens serves twice, so its two gradients add. Backward, the layers in reverse.
    Shapes: x (n, t), tokens, t up to `context`; logits (n, t, vocabulary). Attention has `heads`
        heads of width/heads features, the hidden layer width * expansion.
    Residuals: those of the layers: linear in t.
    Kinks: none.
    Raises: DtypeError for tokens that are not integers; ShapeError for more than `context` of
        them; ArgumentError for other params; OptionError unless width is a multiple of heads.
    Source: Radford et al. 2019, "Language models are unsupervised multitask learners"; llm.c.

    Example:
        >>> model = gpt(32, 8, width=8, heads=2, depth=1)
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.zeros((2, 8), int))
        >>> y.shape
        (2, 8, 32)
    """
    name = "gpt"
    sizes = {"width": width, "heads": heads, "depth": depth, "expansion": expansion}
    check_sizes(name, vocabulary=vocabulary, context=context, **sizes)
    if width % heads:
        raise OptionError(f"{name}: width is {width}, expected a multiple of the {heads} heads")
    narrow = _narrow(depth)
    norm = norm_weights(width)
    attention = norm | biased_attention(width, heads, narrow)
    mlp = norm | mlp_weights(width, width * expansion, narrow)
    layers = [
        Layer("tokens", embedding, {"table": Weight((vocabulary, width), SPREAD)}),
        Layer("positions", add_positions, {"table": Weight((context, width), SPREAD)}),
    ]
    for index in range(1, depth + 1):
        layers.append(Layer(f"attention{index}", attend, attention))
        layers.append(Layer(f"mlp{index}", think, mlp))
    layers.append(Layer("norm", layer_norm, norm))
    layers.append(Layer("head", unembed, shares={"table": ("tokens", "table")}))
    return Model(name, layers, (context,), tokens=True, doc=gpt.__doc__)


def attention_weights(
    name: str, width: int, heads: int, shared: int, depth: int
) -> dict[str, Weight]:
    """What `attend_turned` learns; raises unless the heads fit the width and each other."""
    if width % (2 * heads):
        raise OptionError(f"{name}: width is {width}, expected a multiple of 2 * {heads} heads")
    if heads % shared:
        raise OptionError(f"{name}: heads is {heads}, expected a multiple of the {shared} shared")
    each = width // heads
    return {
        "gamma": Weight((width,), centre=1.0),
        "w_q": Weight((width, heads, each), SPREAD),
        "w_k": Weight((width, shared, each), SPREAD),
        "w_v": Weight((width, shared, each), SPREAD),
        "w_o": Weight((heads, each, width), _narrow(depth)),
    }


def _narrow(depth: int) -> float:
    """The spread of what is added to x, smaller for more blocks."""
    return SPREAD / math.sqrt(2 * depth)


def llama(
    vocabulary: int = 256,
    context: int = 128,
    *,
    width: int = 128,
    heads: int = 4,
    shared: int = 2,
    depth: int = 4,
    hidden: int = 352,
) -> Model:
    """Llama: as GPT, with RMS norms, rotary positions, shared key heads and SwiGLU, no biases.

    Maths: x = table[tokens]; `depth` times x = x + attention(norm(x)), with queries and keys
        turned by their positions, and x = x + swiglu(norm(x) W_gate, norm(x) W_up) W_down;
        logits = norm(x) head^T. Backward, the layers in reverse.
    Shapes: x (n, t), tokens, t up to `context`; logits (n, t, vocabulary). `heads` query heads of
        width/heads features, `shared` key heads, `hidden` features inside the blocks.
    Residuals: those of the layers: linear in t.
    Kinks: none.
    Raises: DtypeError for tokens that are not integers; ShapeError for more than `context` of
        them; ArgumentError for other params; OptionError unless width is a multiple of twice the
        heads, and heads of `shared`.
    Source: Touvron et al. 2023, "LLaMA", section 2.2; Ainslie et al. 2023, "GQA".

    Example:
        >>> model = llama(32, 8, width=8, heads=2, depth=1, hidden=8)
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.zeros((2, 8), int))
        >>> y.shape
        (2, 8, 32)
    """
    name = "llama"
    sizes = {"width": width, "heads": heads, "shared": shared, "depth": depth, "hidden": hidden}
    check_sizes(name, vocabulary=vocabulary, context=context, **sizes)
    attention, narrow = attention_weights(name, width, heads, shared, depth), _narrow(depth)
    norm = {"gamma": Weight((width,), centre=1.0)}
    mlp = {
        **norm,
        "w_gate": Weight((width, hidden), SPREAD),
        "w_up": Weight((width, hidden), SPREAD),
        "w_down": Weight((hidden, width), narrow),
    }
    table = {"table": Weight((vocabulary, width), SPREAD)}
    layers = [Layer("tokens", embedding, table)]
    for index in range(1, depth + 1):
        layers.append(Layer(f"attention{index}", attend_turned, attention))
        layers.append(Layer(f"mlp{index}", think_gated, mlp))
    layers += [Layer("norm", rms_norm, norm), Layer("head", unembed, table)]
    return Model(name, layers, (context,), tokens=True, doc=llama.__doc__)


OPS = (
    gpt(5, 4, width=4, heads=2, depth=1, expansion=2),
    llama(5, 4, width=4, heads=2, shared=1, depth=1, hidden=3),
)
