"""A residual connection and the norm that follows it, as one op: s = x + residual, y = norm(s).

Both are given back: y goes into the next block, s around it. So s gets a gradient from either
side; they add up, and x and the residual receive the same.
"""

from jaxtyping import Array, Float

from purebp.layers.norm import Normalized, layer_norm_bwd, layer_norm_definition, layer_norm_fwd
from purebp.layers.rms_norm import (
    CANCELS,
    RmsNormResiduals,
    check_eps,
    rms_norm_bwd,
    rms_norm_definition,
    rms_norm_fwd,
)
from purebp.op import Op
from purebp.residuals import Spec, spec_of


def add_rms_norm_definition(
    x: Float[Array, "*batch d"],
    residual: Float[Array, "*batch d"],
    gamma: Float[Array, "d"],
    *,
    eps: float = 1e-6,
) -> tuple[Float[Array, "*batch d"], Float[Array, "*batch d"]]:
    """(y, s) with s = x + residual and y = rms_norm(s).

    Maths: x_bar = residual_bar = s_bar + (the x_bar of rms_norm for y_bar, at s); gamma_bar as
        there.
    Shapes: x, residual, y, s (*batch, d); gamma (d).
    Residuals: those of rms_norm at s. s is an output, and kept anyhow.
    Kinks: none for eps > 0.
    Raises: ShapeError if the arguments do not fit, OptionError unless eps > 0.
    Source: the blocks of Llama; Hsu et al. 2024, "Liger kernel"; derived by hand.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 5))
        >>> residual = jax.random.normal(jax.random.key(1), (2, 5))
        >>> gamma = jnp.array([-2.0, 1.5, 0.8, -0.2, 0.6])
        >>> y, res = add_rms_norm.fwd(x, residual, gamma)
        >>> [jnp.shape(bar) for bar in add_rms_norm.bwd(res, y)]
        [(2, 5), (2, 5), (5,)]
    """
    s = x + residual
    return rms_norm_definition(s, gamma, eps=eps), s


AddRmsNormResiduals = tuple[RmsNormResiduals, Spec, Spec]


def add_rms_norm_fwd(
    x: Array, residual: Array, gamma: Array, *, eps: float = 1e-6
) -> tuple[tuple[Array, Array], AddRmsNormResiduals]:
    s = x + residual
    y, res = rms_norm_fwd(s, gamma, eps=eps)
    return (y, s), (res, spec_of(x), spec_of(residual))


def add_rms_norm_bwd(
    res: AddRmsNormResiduals, y_bar: tuple[Array, Array]
) -> tuple[Array, Array, Array]:
    norm, x, residual = res
    norm_bar, s_bar = y_bar
    x_bar, gamma_bar = rms_norm_bwd(norm, norm_bar)
    x_bar = x_bar + s_bar
    return x_bar.astype(x.dtype), x_bar.astype(residual.dtype), gamma_bar


def check_add_rms_norm(x: Array, residual: Array, gamma: Array, *, eps: float) -> None:
    """Raise unless eps keeps the division defined."""
    check_eps("add_rms_norm", eps)


add_rms_norm = Op(
    add_rms_norm_fwd,
    add_rms_norm_bwd,
    definition=add_rms_norm_definition,
    options={"eps": (1e-6, 1e-2)},
    sizes={"d": (5, 3, 1, 4)},
    check=check_add_rms_norm,
    tolerance=CANCELS,
)


def add_layer_norm_definition(
    x: Float[Array, "*batch d"],
    residual: Float[Array, "*batch d"],
    gamma: Float[Array, "d"],
    beta: Float[Array, "d"],
    *,
    eps: float = 1e-5,
) -> tuple[Float[Array, "*batch d"], Float[Array, "*batch d"]]:
    """(y, s) with s = x + residual and y = layer_norm(s).

    Maths: x_bar = residual_bar = s_bar + (the x_bar of layer_norm for y_bar, at s); gamma_bar and
        beta_bar as there.
    Shapes: x, residual, y, s (*batch, d); gamma, beta (d).
    Residuals: those of layer_norm at s. s is an output, and kept anyhow.
    Kinks: none for eps > 0.
    Raises: ShapeError if the arguments do not fit, OptionError unless eps > 0.
    Source: Vaswani et al. 2017, "Attention is all you need", section 3.1 (LayerNorm(x +
        sublayer(x))); llm.c's fused_residual_forward; derived by hand.

    Example:
        >>> x, residual = jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3])
        >>> y, res = add_layer_norm.fwd(x, residual, jnp.ones(3), jnp.zeros(3))
        >>> for bar in add_layer_norm.bwd(res, y): print(bar)
        [ 1.5000007 -2.0000021  2.3000014]
        [ 1.5000007 -2.0000021  2.3000014]
        [0.2323129  1.938809   0.82886946]
        [ 0.4819885 -1.3924112  0.9104227]
    """
    s = x + residual
    return layer_norm_definition(s, gamma, beta, eps=eps), s


AddLayerNormResiduals = tuple[Normalized, Spec, Spec]


def add_layer_norm_fwd(
    x: Array, residual: Array, gamma: Array, beta: Array, *, eps: float = 1e-5
) -> tuple[tuple[Array, Array], AddLayerNormResiduals]:
    s = x + residual
    y, res = layer_norm_fwd(s, gamma, beta, eps=eps)
    return (y, s), (res, spec_of(x), spec_of(residual))


def add_layer_norm_bwd(
    res: AddLayerNormResiduals, y_bar: tuple[Array, Array]
) -> tuple[Array, Array, Array, Array]:
    norm, x, residual = res
    norm_bar, s_bar = y_bar
    x_bar, gamma_bar, beta_bar = layer_norm_bwd(norm, norm_bar)
    x_bar = x_bar + s_bar
    return x_bar.astype(x.dtype), x_bar.astype(residual.dtype), gamma_bar, beta_bar


def check_add_layer_norm(
    x: Array, residual: Array, gamma: Array, beta: Array, *, eps: float
) -> None:
    """Raise unless eps keeps the division defined."""
    check_eps("add_layer_norm", eps)


add_layer_norm = Op(
    add_layer_norm_fwd,
    add_layer_norm_bwd,
    definition=add_layer_norm_definition,
    options={"eps": (1e-5, 1e-2)},
    sizes={"d": (5, 3, 2, 4)},
    check=check_add_layer_norm,
    tolerance=CANCELS,
)

OPS = (add_rms_norm, add_layer_norm)
