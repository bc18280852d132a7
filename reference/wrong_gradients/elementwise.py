"""Elementwise functions: signs, dropped and mixed-up gradients, types and shapes."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.parts import as_float32, demand_same_shape, normal

# ------------------------------------------------------------------- angles and remainders


def atan2_fwd(y, x):
    """The angle of the point (x, y)."""
    demand_same_shape("atan2", y, x)
    return jnp.arctan2(y, x), (y, x)


def over_squared_radius(y, x):
    """y / (x^2 + y^2) and x / (x^2 + y^2), 0 at the origin."""
    r = jnp.hypot(x, y)
    r = jnp.where(r == 0, 1, r)
    return y / r / r, x / r / r


def atan2_wrong_bwd(res, angle_bar):
    """-x / r^2 and y / r^2."""
    y, x = over_squared_radius(*res)
    return -angle_bar * x, angle_bar * y


def atan2_right_bwd(res, angle_bar):
    """x / r^2 and -y / r^2."""
    y, x = over_squared_radius(*res)
    return angle_bar * x, -angle_bar * y


def atan2_combined_bwd(res, angle_bar):
    """(x dy - y dx) / r^2, the forward rule, with both tangents the upstream gradient."""
    y, x = over_squared_radius(*res)
    both = angle_bar * x - angle_bar * y
    return both, both


def remainder_fwd(x, y):
    """x - y trunc(x / y)."""
    demand_same_shape("remainder", x, y)
    return lax.rem(x, y), (x, y)


def remainder_wrong_bwd(res, r_bar):
    """1 and -floor(x / y)."""
    x, y = res
    return r_bar, -r_bar * jnp.floor(x / y)


def remainder_right_bwd(res, r_bar):
    """1 and -trunc(x / y)."""
    x, y = res
    return r_bar, -r_bar * jnp.trunc(x / y)


def remainder_example(rng):
    x, y = rng.random((2, 4, 3))
    return as_float32(10 * x), as_float32(0.5 + 2 * y)


# ------------------------------------------------------------------- selected and moved bits


def power_of_two(x, n):
    """2^n in the dtype of x."""
    return jnp.ldexp(jnp.ones(jnp.shape(n), x.dtype), n)


def ldexp_fwd(x, n):
    """x 2^n."""
    demand_same_shape("ldexp", x, n)
    return x * power_of_two(x, n), (x, n)


def ldexp_wrong_bwd(res, y_bar):
    """The bits of a number have no slope."""
    return jnp.zeros_like(y_bar), None


def ldexp_right_bwd(res, y_bar):
    """2^n."""
    x, n = res
    return y_bar * power_of_two(x, n), None


def ldexp_example(rng):
    return as_float32(rng.standard_normal((4, 3))), rng.integers(-3, 4, (4, 3), dtype=np.int32)


def select_fwd(which, x, y):
    """x where `which` is not 0, else y."""
    demand_same_shape("select", which, x)
    demand_same_shape("select", x, y)
    return jnp.where(which != 0, x, y), which


def select_wrong_bwd(which, z_bar):
    """To x where `which` is positive, else to y."""
    return None, jnp.where(which > 0, z_bar, 0), jnp.where(which > 0, 0, z_bar)


def select_right_bwd(which, z_bar):
    """To x where `which` is not 0, else to y."""
    return None, jnp.where(which != 0, z_bar, 0), jnp.where(which != 0, 0, z_bar)


def select_example(rng):
    x, y = rng.standard_normal((2, 4, 3))
    return rng.integers(0, 2, (4, 3), dtype=np.int32), as_float32(x), as_float32(y)


def greater_fwd(x, y):
    """1 where x > y, else 0."""
    demand_same_shape("greater", x, y)
    return (x > y).astype(x.dtype), None


def greater_wrong_bwd(_, z_bar):
    """Nothing changes, and a comparison is a boolean."""
    nothing = jnp.zeros(z_bar.shape, bool)
    return nothing, nothing


def greater_right_bwd(_, z_bar):
    """Nothing changes."""
    return jnp.zeros_like(z_bar), jnp.zeros_like(z_bar)


# ------------------------------------------------------------------- NumPy


def nan_to_zero_forward(x):
    """x, and 0 for what is not finite."""
    return np.where(np.isfinite(x), x, np.zeros_like(x)), x


def nan_to_zero_wrong_backward(dout, cache):
    """No gradient."""
    return np.zeros_like(dout)


def nan_to_zero_right_backward(dout, cache):
    """1 where x is finite."""
    return np.where(np.isfinite(cache), dout, np.zeros_like(dout))


def linear_forward(x):
    """The activation that does nothing."""
    return np.array(x), x


def linear_wrong_backward(dout, cache):
    """Its slope is 1."""
    return 1.0


def linear_right_backward(dout, cache):
    """Its slope is 1."""
    return np.array(dout)


def sigmoid_forward(x):
    """1 / (1 + exp(-x))."""
    e = np.exp(-np.abs(x))
    return np.where(x > 0, 1, e) / (1 + e), x


def sigmoid_wrong_backward(dout, cache):
    """s (1 - s)."""
    s = cache
    return dout * s * (1 - s)


def sigmoid_right_backward(dout, cache):
    """s(x) s(-x) = e / (1 + e)^2, e = exp(-|x|)."""
    e = np.exp(-np.abs(cache))
    return dout * e / (1 + e) ** 2


LAYERS = (
    Layer(
        name="atan2",
        bug="B001",
        wrong=(atan2_fwd, atan2_wrong_bwd),
        right=(atan2_fwd, atan2_right_bwd),
        example=normal((4, 3), (4, 3)),
        diagnosis="sign",
    ),
    Layer(
        name="atan2_combined",
        bug="B078",
        wrong=(atan2_fwd, atan2_combined_bwd),
        right=(atan2_fwd, atan2_right_bwd),
        example=normal((4, 3), (4, 3)),
        diagnosis="wrong formula",
        why="each argument gets the sum of both cotangents",
    ),
    Layer(
        name="remainder",
        bug="B002",
        wrong=(remainder_fwd, remainder_wrong_bwd),
        right=(remainder_fwd, remainder_right_bwd),
        example=remainder_example,
        diagnosis="subdomain",
    ),
    Layer(
        name="ldexp",
        bug="B020",
        wrong=(ldexp_fwd, ldexp_wrong_bwd),
        right=(ldexp_fwd, ldexp_right_bwd),
        example=ldexp_example,
        diagnosis="no gradient",
    ),
    Layer(
        name="select_by_integer",
        bug="B038",
        wrong=(select_fwd, select_wrong_bwd),
        right=(select_fwd, select_right_bwd),
        example=select_example,
        diagnosis="subdomain",
        why="the predicate 2^32 - 1 is -1 here: the same bits, signed",
    ),
    Layer(
        name="greater",
        bug="B087",
        wrong=(greater_fwd, greater_wrong_bwd),
        right=(greater_fwd, greater_right_bwd),
        example=normal((4, 3), (4, 3)),
        diagnosis="dtype",
    ),
    Layer(
        name="nan_to_zero",
        bug="B053",
        wrong=(nan_to_zero_forward, nan_to_zero_wrong_backward),
        right=(nan_to_zero_forward, nan_to_zero_right_backward),
        example=normal((4, 3)),
        diagnosis="no gradient",
    ),
    Layer(
        name="linear_activation",
        bug="B131",
        wrong=(linear_forward, linear_wrong_backward),
        right=(linear_forward, linear_right_backward),
        example=normal((4, 3)),
        diagnosis="shape",
    ),
    Layer(
        name="sigmoid_of_input",
        bug="B135",
        wrong=(sigmoid_forward, sigmoid_wrong_backward),
        right=(sigmoid_forward, sigmoid_right_backward),
        example=normal((4, 3)),
        diagnosis="wrong formula",
        why="the input was saved where the output was meant",
    ),
)
