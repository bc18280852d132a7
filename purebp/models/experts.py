"""A language model whose blocks are mixtures of experts."""

import math

from purebp.errors import OptionError
from purebp.layers import embedding, mixture_of_experts, rms_norm
from purebp.models.blocks import check_sizes, residual
from purebp.models.layer import Layer, Weight
from purebp.models.model import Model
from purebp.models.transformer import SPREAD, attend_turned, attention_weights, unembed


def moe(
    vocabulary: int = 256,
    context: int = 128,
    *,
    width: int = 128,
    heads: int = 4,
    shared: int = 2,
    depth: int = 4,
    hidden: int = 176,
    experts: int = 8,
    top: int = 2,
) -> Model:
    """A Llama with a mixture of experts in the place of each SwiGLU, as in Mixtral.

    Maths: x = table[tokens]; `depth` times x = x + attention(norm(x)) and
        x = x + mixture_of_experts(norm(x)); logits = norm(x) head^T. Backward, the layers in
        reverse.
    Shapes: x (n, t), tokens, t up to `context`; logits (n, t, vocabulary). `heads` query heads of
        width/heads features, `shared` key heads; `experts` experts with `hidden` features, of
        which each token sees `top`.
    Residuals: those of the layers: linear in t.
    Kinks: where two experts tie for the last place.
    Raises: DtypeError for tokens that are not integers; ShapeError for more than `context` of
        them; ArgumentError for other params; OptionError unless width is a multiple of twice the
        heads, heads of `shared`, and `top` from 1 to `experts`.
    Source: Jiang et al. 2024, "Mixtral of experts".

    Example:
        >>> model = moe(32, 8, width=8, heads=2, depth=1, hidden=8, experts=4)
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.zeros((2, 8), int))
        >>> y.shape
        (2, 8, 32)
    """
    name = "moe"
    sizes = {"heads": heads, "shared": shared, "hidden": hidden, "experts": experts, "top": top}
    check_sizes(name, vocabulary=vocabulary, context=context, width=width, depth=depth, **sizes)
    if top > experts:
        raise OptionError(f"{name}: top is {top}, expected at most the {experts} experts")
    norm = {"gamma": Weight((width,), centre=1.0)}
    attention = attention_weights(name, width, heads, shared, depth)
    mixture = {
        **norm,
        "router": Weight((width, experts), SPREAD),
        "w_gate": Weight((experts, width, hidden), SPREAD),
        "w_up": Weight((experts, width, hidden), SPREAD),
        "w_down": Weight((experts, hidden, width), SPREAD / math.sqrt(2 * depth)),
    }
    consult = residual(
        "experts",
        (rms_norm, mixture_of_experts.with_options(top=top)),
        (("gamma",), ("router", "w_gate", "w_up", "w_down")),
    )
    table = {"table": Weight((vocabulary, width), SPREAD)}
    layers = [Layer("tokens", embedding, table)]
    for index in range(1, depth + 1):
        layers.append(Layer(f"attention{index}", attend_turned, attention))
        layers.append(Layer(f"experts{index}", consult, mixture))
    layers += [Layer("norm", rms_norm, norm), Layer("head", unembed, table)]
    return Model(name, layers, (context,), tokens=True, doc=moe.__doc__)


OPS = (moe(5, 4, width=4, heads=2, shared=1, depth=1, hidden=2, experts=3),)
