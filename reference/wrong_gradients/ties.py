"""Wrong at single points: at a zero norm, at ties, at bounds and where a mask meets a zero."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.parts import (
    as_float32,
    demand,
    demand_axis,
    demand_same_shape,
    normal,
    with_jvp,
    with_vjp,
)

THRESHOLD = 3.0

LEFT_OUT = {
    "B186": "hardswish: -1/2 at -3 and 3/2 at 3 are legal one-sided slopes, a convention",
    "B188": "hardtanh, hardsigmoid: 0 and 1 at the bound are both legal, a convention",
}

# ------------------------------------------------------------------- absolute values and norms


def absolute(x):
    """|x|."""
    return jnp.abs(x)


def absolute_wrong_rule(primals, tangents):
    """x / |x|."""
    (x,), (dx,) = primals, tangents
    y = jnp.abs(x)
    return y, x / y * dx


def absolute_right_rule(primals, tangents):
    """The sign of x."""
    (x,), (dx,) = primals, tangents
    return jnp.abs(x), jnp.sign(x) * dx


def modulus_fwd(z):
    """|z| of complex numbers."""
    r = jnp.abs(z)
    return r, (z, r)


def modulus_wrong_bwd(res, r_bar):
    """conj(z) / |z|."""
    z, r = res
    return (r_bar * jnp.conj(z) / r,)


def modulus_right_bwd(res, r_bar):
    """conj(z) / |z|, 0 at 0."""
    z, r = res
    return (jnp.where(r == 0, 0, r_bar * jnp.conj(z) / jnp.where(r == 0, 1, r)),)


def largest_fwd(x):
    """The infinity norm of each row."""
    demand_axis("largest", x)
    y = jnp.max(jnp.abs(x), axis=-1)
    return y, (x, y)


def largest_wrong_bwd(res, y_bar):
    """sign(x) wherever |x| is the largest."""
    x, y = res
    tied = jnp.abs(x) == y[..., None]
    return (y_bar[..., None] * jnp.sign(x) * tied,)


def largest_right_bwd(res, y_bar):
    """sign(x), shared equally by all that are the largest."""
    x, y = res
    tied = jnp.abs(x) == y[..., None]
    share = tied / jnp.sum(tied, axis=-1, keepdims=True).astype(x.dtype)
    return (y_bar[..., None] * jnp.sign(x) * share,)


def norm(x, axis):
    """The length of x along an axis; scaled, so that no square overflows or vanishes."""
    demand_axis("norm", x)
    top = lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True, initial=0))
    top = jnp.where(top == 0, 1, top)
    square = jnp.sum((x / top) ** 2, axis=axis)
    root = jnp.sqrt(jnp.where(square == 0, 1, square))
    return jnp.squeeze(top, axis) * jnp.where(square == 0, 0, root)


def norm_fwd(x, axis):
    y = norm(x, axis)
    return y, (x, y)


def norm_wrong_bwd(axis, res, y_bar):
    """x / |x|."""
    x, y = res
    return (jnp.expand_dims(y_bar, axis) * x / jnp.expand_dims(y, axis),)


def norm_right_bwd(axis, res, y_bar):
    """x / |x|, 0 at 0."""
    x, y = res
    length = jnp.expand_dims(jnp.where(y == 0, 1, y), axis)
    return (jnp.expand_dims(y_bar, axis) * (x / length),)


def norm_example(rng):
    return as_float32(rng.standard_normal((4, 3))), -1


# ------------------------------------------------------------------- conditions and masks


def keep_above(x, w):
    """w where x is above the threshold, else 0."""
    demand_same_shape("keep_above", x, w)
    return jnp.where(x > THRESHOLD, w, 0)


def keep_above_wrong_fwd(x, w):
    """A tie is broken by the tangent of x, which is 1."""
    demand_same_shape("keep_above", x, w)
    above = x >= THRESHOLD
    return jnp.where(above, w, 0), above


def keep_above_right_fwd(x, w):
    demand_same_shape("keep_above", x, w)
    above = x > THRESHOLD
    return jnp.where(above, w, 0), above


def keep_above_bwd(above, y_bar):
    return jnp.zeros_like(y_bar), jnp.where(above, y_bar, 0)


def keep_above_example(rng):
    x, w = rng.standard_normal((2, 4, 3))
    return as_float32(3 * x), as_float32(w)


def dropout_fwd(x, mask, *, rate: float = 0.5):
    """What the mask keeps, scaled by 1 / (1 - rate)."""
    demand_same_shape("dropout", x, mask)
    demand(0 <= rate < 1, f"dropout: rate is {rate}, expected 0 <= rate < 1")
    y = jnp.where(mask, x / (1 - rate), 0)
    return y, (x, y, mask)


def dropout_wrong_bwd(res, y_bar):
    """The factor that was applied is y / x."""
    x, y, _ = res
    return jnp.where(x == 0, y_bar, y_bar * y / jnp.where(x == 0, 1, x)), None


def dropout_right_bwd(res, y_bar, *, rate: float = 0.5):
    """The factor is mask / (1 - rate)."""
    _, _, mask = res
    return jnp.where(mask, y_bar / (1 - rate), 0), None


def dropout_example(rng):
    x = as_float32(rng.standard_normal((4, 3)))
    return x, rng.random((4, 3)) < 0.5


def hardshrink_fwd(x, *, lam: float = 0.5):
    """x outside of (-lam, lam), else 0."""
    demand(lam >= 0, f"hardshrink: lam is {lam}, expected 0 or more")
    return jnp.where(jnp.abs(x) < lam, 0, x), x


def hardshrink_wrong_bwd(x, y_bar, *, lam: float = 0.5):
    """1 above lam."""
    return (jnp.where(jnp.abs(x) > lam, y_bar, 0),)


def hardshrink_right_bwd(x, y_bar, *, lam: float = 0.5):
    """1 where the forward pass kept x."""
    return (jnp.where(jnp.abs(x) < lam, 0, y_bar),)


def modulus_example(rng):
    real, imaginary = rng.standard_normal((2, 4, 3))
    return (np.asarray(real + 1j * imaginary, np.complex64),)


LAYERS = (
    Layer(
        name="absolute",
        bug="B056",
        wrong=with_jvp(absolute, absolute_wrong_rule),
        right=with_jvp(absolute, absolute_right_rule),
        example=normal((4, 3)),
        diagnosis="not finite",
    ),
    Layer(
        name="modulus",
        bug="B065",
        wrong=(modulus_fwd, modulus_wrong_bwd),
        right=(modulus_fwd, modulus_right_bwd),
        example=modulus_example,
        diagnosis="not finite",
        why="its complex half: the real one, slope 1 at 0, is a legal convention",
    ),
    Layer(
        name="largest",
        bug="B184",
        wrong=(largest_fwd, largest_wrong_bwd),
        right=(largest_fwd, largest_right_bwd),
        example=normal((4, 3)),
        diagnosis="isolated point",
    ),
    Layer(
        name="norm",
        bug="B185",
        wrong=with_vjp(norm, norm_fwd, norm_wrong_bwd, nondiff_argnums=(1,)),
        right=with_vjp(norm, norm_fwd, norm_right_bwd, nondiff_argnums=(1,)),
        example=norm_example,
        diagnosis="not finite",
    ),
    Layer(
        name="keep_above",
        bug="B067",
        wrong=with_vjp(keep_above, keep_above_wrong_fwd, keep_above_bwd),
        right=with_vjp(keep_above, keep_above_right_fwd, keep_above_bwd),
        example=keep_above_example,
        diagnosis="isolated point",
        why="the value under differentiation is wrong too: its predicate sees the tangent",
    ),
    Layer(
        name="dropout_without_mask",
        bug="B133",
        wrong=(dropout_fwd, dropout_wrong_bwd),
        right=(dropout_fwd, dropout_right_bwd),
        example=dropout_example,
        diagnosis="isolated point",
    ),
    Layer(
        name="hardshrink",
        bug="B187",
        wrong=(hardshrink_fwd, hardshrink_wrong_bwd),
        right=(hardshrink_fwd, hardshrink_right_bwd),
        example=normal((4, 3)),
        diagnosis="isolated point",
        why="with lam = 0 it is the identity, of slope 1 at 0 too; with others |x| = lam is a jump",
    ),
)
