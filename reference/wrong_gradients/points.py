"""Wrong at single points of elementwise functions: at zeros and at ties."""

import math

import jax.numpy as jnp
from jax import lax
from jax.scipy.special import i0e, i1e

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.parts import (
    demand_same_shape,
    normal,
    polynomial,
    positive,
    with_vjp,
)
from reference.wrong_gradients.tails import exp_of_minus, plain_sigmoid

# ------------------------------------------------------------------- the Bessel function I0


I0_SERIES = tuple(1 / math.factorial(k) ** 2 for k in range(14))
"""I0(x) in powers of x^2/4."""


def i0(x):
    """exp(|x|) i0e(x), in two halves: exp(|x|) overflows before I0 does."""
    half = jnp.exp(x * jnp.sign(x) / 2)
    return half * (half * i0e(x))


def plain_i0(x):
    """I0(x), near 0 as a series."""
    near = jnp.abs(x) < 2
    series = polynomial(I0_SERIES, jnp.where(near, x, 0) ** 2 / 4)
    return jnp.where(near, series, i0(jnp.where(near, 2, x)))


def i0_fwd(x):
    return i0(x), x


def i0_wrong_bwd(x, y_bar):
    """I0' = I1, as the odd function of |x|."""
    half = jnp.exp(jnp.abs(x) / 2)
    slope = half * (half * i1e(jnp.abs(x)))
    return (y_bar * slope * x / jnp.abs(x),)


def i0_right_bwd(x, y_bar):
    """I0' = I1."""
    half = jnp.exp(jnp.abs(x) / 2)
    return (y_bar * half * (half * i1e(x)),)


# ------------------------------------------------------------------- softplus and logaddexp


def softplus(x):
    """log(1 + exp(x))."""
    return jnp.where(x > 0, x, 0) + jnp.log1p(exp_of_minus(x))


def softplus_fwd(x):
    return softplus(x), x


def softplus_wrong_bwd(x, y_bar):
    """The slope of max(x, 0), plus that of log1p(e), e = exp(-|x|)."""
    e = jnp.exp(-jnp.abs(x))
    return (y_bar * ((x > 0) - jnp.sign(x) * e / (1 + e)),)


def softplus_right_bwd(x, y_bar):
    """The sigmoid."""
    return (y_bar * plain_sigmoid(x),)


def logaddexp_fwd(x, y):
    """log(exp(x) + exp(y))."""
    demand_same_shape("logaddexp", x, y)
    d = x - y
    return jnp.where(d > 0, x, y) + jnp.log1p(exp_of_minus(d)), d


def logaddexp_wrong_bwd(d, z_bar):
    """The slopes of max(x, y), plus those of log1p(exp(-|d|)), d = x - y."""
    e = jnp.exp(-jnp.abs(d))
    moved = jnp.sign(d) * e / (1 + e)
    return z_bar * ((d > 0) - moved), z_bar * ((d < 0) + moved)


def logaddexp_right_bwd(d, z_bar):
    """The sigmoids of d and of -d."""
    return z_bar * plain_sigmoid(d), z_bar * plain_sigmoid(-d)


# ------------------------------------------------------------------- powers and roots


def power_fwd(x, p):
    """x^p."""
    demand_same_shape("power", x, p)
    y = jnp.power(x, p)
    return y, (x, p, y)


def power_wrong_bwd(res, y_bar):
    """p x^(p-1) and x^p log x."""
    x, p, y = res
    return y_bar * p * jnp.power(x, p - 1), y_bar * y * jnp.log(x)


def power_right_bwd(res, y_bar):
    """p x^(p-1), 0 for p = 0; x^p log x, 0 for x <= 0."""
    x, p, y = res
    by_base = jnp.where(p == 0, 0, p * jnp.power(x, jnp.where(p == 0, 1, p - 1)))
    log = jnp.log(jnp.where(x > 0, x, 1))
    return y_bar * by_base, y_bar * jnp.where(x > 0, y * log, 0)


def root_of_square(x):
    """sqrt(x^2)."""
    square = x * x
    return jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))


def root_of_square_fwd(x):
    y = jnp.sqrt(x * x)
    return y, (x, y)


def root_of_square_wrong_bwd(res, y_bar):
    """The root's slope 1/(2y), times the square's 2x."""
    x, y = res
    square_bar = y_bar * 0.5 / y
    return (square_bar * 2 * x,)


def root_of_square_right_bwd(res, y_bar):
    """The sign of x."""
    x, _ = res
    return (y_bar * jnp.sign(x),)


def rsqrt_fwd(x):
    """1 / sqrt(x)."""
    return lax.rsqrt(x), x


def rsqrt_wrong_bwd(x, y_bar):
    """Through r = 1/x and y = sqrt(r)."""
    r = 1 / x
    r_bar = y_bar * 0.5 / jnp.sqrt(r)
    return (-r_bar * r * r,)


def rsqrt_right_bwd(x, y_bar):
    """-1/2 x^(-3/2); no upstream gradient gives none."""
    y = lax.rsqrt(x)
    return (jnp.where(y_bar == 0, 0, -0.5 * y_bar * y * y * y),)


LAYERS = (
    Layer(
        name="i0",
        bug="B016",
        wrong=(i0_fwd, i0_wrong_bwd),
        right=(i0_fwd, i0_right_bwd),
        example=normal((4, 3)),
        diagnosis="not finite",
        reference=plain_i0,
        why="autodiff of the forward pass loses digits next to 0",
    ),
    Layer(
        name="softplus",
        bug="B019",
        wrong=with_vjp(softplus, softplus_fwd, softplus_wrong_bwd),
        right=with_vjp(softplus, softplus_fwd, softplus_right_bwd),
        example=normal((4, 3)),
        diagnosis="isolated point",
    ),
    Layer(
        name="logaddexp",
        bug="B019",
        wrong=(logaddexp_fwd, logaddexp_wrong_bwd),
        right=(logaddexp_fwd, logaddexp_right_bwd),
        example=normal((4, 3), (4, 3)),
        diagnosis="isolated point",
    ),
    Layer(
        name="power",
        bug="B051",
        wrong=(power_fwd, power_wrong_bwd),
        right=(power_fwd, power_right_bwd),
        example=positive((4, 3), (4, 3)),
        diagnosis="not finite",
    ),
    Layer(
        name="root_of_square",
        bug="B066",
        wrong=(root_of_square_fwd, root_of_square_wrong_bwd),
        right=(root_of_square_fwd, root_of_square_right_bwd),
        example=normal((4, 3)),
        diagnosis="not finite",
        reference=root_of_square,
        why="autodiff of the forward pass has no number at 0 either",
    ),
    Layer(
        name="rsqrt",
        bug="B094",
        wrong=(rsqrt_fwd, rsqrt_wrong_bwd),
        right=(rsqrt_fwd, rsqrt_right_bwd),
        example=positive((4, 3)),
        diagnosis="not finite",
        why="the slope at 0 is -inf, and NaN was returned",
    ),
)
