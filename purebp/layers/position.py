"""Positions: rotary embedding of queries and keys."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from purebp.errors import OptionError, ShapeError
from purebp.numerics import widen
from purebp.op import Op, index_below


def rope_definition(
    x: Float[Array, "*batch t h d"],
    positions: Integer[Array, "*#batch t"] | None = None,
    *,
    base: float = 10000.0,
    interleaved: bool = False,
) -> Float[Array, "*batch t h d"]:
    """Rotary position embedding: pairs of features turn by an angle that grows with the position.

    Maths: pair i of d/2 turns by theta = position base^(-2i/d):
        (y1, y2) = (x1 cos - x2 sin, x2 cos + x1 sin). A rotation's transpose turns back:
        (x1_bar, x2_bar) = (y1_bar cos + y2_bar sin, y2_bar cos - y1_bar sin).
        So <rope(q, m), rope(k, n)> depends on m - n alone.
    Shapes: x, y (*batch, t, h, d), d even, as queries and keys in attention; positions (*batch, t),
        which broadcast, or None for 0, ..., t - 1. A pair is features i and i + d/2 (GPT-NeoX,
        Llama in Hugging Face); interleaved, features 2i and 2i + 1 (RoFormer, Llama of Meta).
    Residuals: the positions alone: y is linear in x, and the angles are cheap to compute again.
    Kinks: none.
    Raises: ShapeError for odd d, OptionError unless base > 0, DtypeError for positions that are
        not integers. Angles are rounded to the precision of x (float32 for 16 bits).
    Source: Su et al. 2021, "RoFormer", equation 34; derived by hand.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 3, 2, 4))
        >>> positions = jnp.array([[0, 0, 1], [2, 1, 2]])
        >>> y, res = rope.fwd(x, positions)
        >>> [bar if bar is None else bar.shape for bar in rope.bwd(res, y)]
        [(2, 3, 2, 4), None]
    """
    half = x.shape[-1] // 2
    wide = widen(x)
    angles = _angles(positions, x.shape[-3], x.shape[-1], base, wide.dtype)[..., None, :]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    pairs = wide.reshape(*x.shape[:-1], half, 2) if interleaved else _halves(wide)
    x1, x2 = pairs[..., 0], pairs[..., 1]
    turned = x1 * cos - x2 * sin, x2 * cos + x1 * sin
    y = jnp.stack(turned, -1).reshape(x.shape) if interleaved else jnp.concatenate(turned, -1)
    return y.astype(x.dtype)


def _halves(x: Array) -> Array:
    return jnp.stack(jnp.split(x, 2, axis=-1), axis=-1)


def rope_fwd(
    x: Array,
    positions: Array | None = None,
    *,
    base: float = 10000.0,
    interleaved: bool = False,
) -> tuple[Array, Array | None]:
    return _rotate(x, positions, base, interleaved, back=False), positions


def rope_bwd(
    positions: Array | None,
    y_bar: Array,
    *,
    base: float = 10000.0,
    interleaved: bool = False,
) -> tuple[Array, None]:
    return _rotate(y_bar, positions, base, interleaved, back=True), None


def _rotate(
    x: Array, positions: Array | None, base: float, interleaved: bool, *, back: bool
) -> Array:
    """x turned by theta, or back: each feature times its cos, plus its partner times its sin.

    The tables have an entry for each feature, and are the same forward and back: so that XLA
    computes them once where both passes are in one program, and not anew for each head.
    """
    wide = widen(x)
    angles = _angles(positions, x.shape[-3], x.shape[-1], base, wide.dtype)[..., None, :]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    if interleaved:
        wide = wide.reshape(*x.shape[:-1], x.shape[-1] // 2, 2)
        cos, across = jnp.stack([cos, cos], -1), wide[..., ::-1] * jnp.stack([-sin, sin], -1)
    else:
        x1, x2 = jnp.split(wide, 2, axis=-1)
        cos, sin = jnp.concatenate([cos, cos], -1), jnp.concatenate([sin, sin], -1)
        across = jnp.concatenate([-x2, x1], -1) * sin
    y = wide * cos - across if back else wide * cos + across
    return y.reshape(x.shape).astype(x.dtype)


def _angles(positions: Array | None, length: int, d: int, base: float, dtype: np.dtype) -> Array:
    """(*batch, t, d/2): position * base^(-2i/d)."""
    places = jnp.arange(length) if positions is None else positions
    frequencies = base ** (-np.arange(0, d, 2) / max(d, 1))
    return places[..., None].astype(dtype) * jnp.asarray(frequencies, dtype)


def check_rope(x: Array, positions: Array | None, *, base: float, interleaved: bool) -> None:
    """Raise for an odd number of features, and unless base > 0."""
    if x.shape[-1] % 2:
        raise ShapeError(
            f"rope: x has shape {x.shape}, expected an even last axis: features turn in pairs"
        )
    if positions is not None and positions.ndim > x.ndim - 2:
        raise ShapeError(
            f"rope: positions has shape {positions.shape}, expected one that broadcasts to "
            f"{x.shape[:-2]} from x"
        )
    if not base > 0:
        raise OptionError(f"rope: base is {base}, expected a number above 0")


rope = Op(
    rope_fwd,
    rope_bwd,
    definition=rope_definition,
    options={"base": (10000.0, 100.0), "interleaved": (False, True)},
    domains={"positions": index_below("t")},
    sizes={"batch": ((2,), (), (3,), (1,)), "t": (3, 5, 1, 4), "h": (2, 1), "d": (4, 6, 2)},
    check=check_rope,
)

OPS = (rope,)
