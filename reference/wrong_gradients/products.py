"""Products of rows: divided by a zero, from the wrong end, differentiated twice."""

import jax.numpy as jnp
from jax import lax

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.parts import demand_axis, normal, with_vjp


def products_before(x):
    """For each entry of a row the product of those before it."""
    one = jnp.ones((*x.shape[:-1], 1), x.dtype)
    return jnp.cumprod(jnp.concatenate([one, x], axis=-1)[..., :-1], axis=-1)


def products_of_others(x):
    """For each entry the product of those before it, times that of those after it."""
    return products_before(x) * products_before(x[..., ::-1])[..., ::-1]


# ------------------------------------------------------------------- prod


def prod_fwd(x):
    """The product of each row."""
    demand_axis("prod", x)
    y = jnp.prod(x, axis=-1)
    return y, (x, y)


def prod_wrong_bwd(res, y_bar):
    """y / x."""
    x, y = res
    return (y_bar[..., None] * y[..., None] / x,)


def prod_right_bwd(res, y_bar):
    """The product of the others."""
    x, _ = res
    return (y_bar[..., None] * products_of_others(x),)


# ------------------------------------------------------------------- prod, twice


def row_products(x):
    """The product of each row."""
    demand_axis("row_products", x)
    return jnp.prod(x, axis=-1)


def row_products_fwd(x):
    return row_products(x), x


def row_products_wrong_bwd(x, y_bar):
    """0 if two entries are 0, else the product of the others."""
    zeros = jnp.sum(x == 0, axis=-1, keepdims=True)
    return (y_bar[..., None] * jnp.where(zeros >= 2, 0, products_of_others(x)),)


def row_products_right_bwd(x, y_bar):
    """The product of the others."""
    return (y_bar[..., None] * products_of_others(x),)


# ------------------------------------------------------------------- cumprod


def cumprod_fwd(x, *, reverse: bool = False):
    """The running products of each row, from its end if `reverse`."""
    demand_axis("cumprod", x)
    return lax.cumprod(x, axis=x.ndim - 1, reverse=reverse), x


def from_the_start(x, y_bar):
    """x_bar_j = (x_0 ... x_(j-1)) s_j, s_j = y_bar_j + x_(j+1) s_(j+1)."""
    rows = jnp.moveaxis(x, -1, 0), jnp.moveaxis(y_bar, -1, 0)
    _, s = lax.scan(from_the_start_step, jnp.zeros(x.shape[:-1], x.dtype), rows, reverse=True)
    return products_before(x) * jnp.moveaxis(s, 0, -1)


def from_the_start_step(carry, row):
    x, y_bar = row
    s = y_bar + carry
    return x * s, s


def cumprod_wrong_bwd(x, y_bar):
    """From the start."""
    return (from_the_start(x, y_bar),)


def cumprod_right_bwd(x, y_bar, *, reverse: bool = False):
    """From the start; turned round if `reverse`."""
    if not reverse:
        return (from_the_start(x, y_bar),)
    return (from_the_start(x[..., ::-1], y_bar[..., ::-1])[..., ::-1],)


LAYERS = (
    Layer(
        name="prod",
        bug="B088",
        wrong=(prod_fwd, prod_wrong_bwd),
        right=(prod_fwd, prod_right_bwd),
        example=normal((4, 3)),
        diagnosis="not finite",
    ),
    Layer(
        name="prod_twice",
        bug="B089",
        wrong=with_vjp(row_products, row_products_fwd, row_products_wrong_bwd),
        right=with_vjp(row_products, row_products_fwd, row_products_right_bwd),
        example=normal((4, 3)),
        diagnosis="second order",
        why="with two zeros the first derivative is 0 and the second is not",
    ),
    Layer(
        name="cumprod",
        bug="B038",
        wrong=(cumprod_fwd, cumprod_wrong_bwd),
        right=(cumprod_fwd, cumprod_right_bwd),
        example=normal((4, 3)),
        diagnosis="option",
    ),
)
