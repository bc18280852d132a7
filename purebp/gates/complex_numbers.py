"""Gates between real and complex numbers.

The convention is JAX's: a cotangent pairs with a change without a conjugate, y changes by dy and
the loss by Re(y_bar dy). For a loss l(x) of x = a + ib, x_bar is dl/da - i dl/db. So the pullback
of a holomorphic gate reads as in real numbers, x_bar = y_bar f'(x), and a real argument has a real
cotangent. Gradient descent steps along the conjugate, x - rate conj(x_bar).
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float32, Float64

from purebp.gate import Gate
from purebp.gates.trigonometric import polar_slope
from purebp.op import POSITIVE


def real_definition(x: Complex[Array, "*s"]) -> Float32[Array, "*s"] | Float64[Array, "*s"]:
    """y = the real part of x.

    Maths: y = Re x; x_bar = y_bar, with no imaginary part.
    Shapes: y and x_bar are shaped like x; y is real, x_bar complex.
    Residuals: none.
    Kinks: none.
    Raises: DtypeError unless x is complex.
    Source: JAX's autodiff cookbook, complex numbers.

    Example:
        >>> y, res = real.fwd(jnp.array([1.0 + 2.0j, 3.0j, -1.0]))
        >>> print(*real.bwd(res, y))
        [ 1.+0.j  0.+0.j -1.+0.j]
    """
    return jnp.real(x)


def real_x_bar(y_bar: Array) -> Array:
    return lax.complex(y_bar, jnp.zeros_like(y_bar))


real = Gate(real_definition, real_x_bar, primitive="real")


def imag_definition(x: Complex[Array, "*s"]) -> Float32[Array, "*s"] | Float64[Array, "*s"]:
    """y = the imaginary part of x.

    Maths: y = Im x; dy = Re(-i dx), so that x_bar = -i y_bar.
    Shapes: y and x_bar are shaped like x; y is real, x_bar complex.
    Residuals: none.
    Kinks: none.
    Raises: DtypeError unless x is complex.
    Source: JAX's autodiff cookbook, complex numbers.

    Example:
        >>> y, res = imag.fwd(jnp.array([1.0 + 2.0j, 3.0j, -1.0]))
        >>> print(*imag.bwd(res, y))
        [0.-2.j 0.-3.j 0.-0.j]
    """
    return jnp.imag(x)


def imag_x_bar(y_bar: Array) -> Array:
    return lax.complex(jnp.zeros_like(y_bar), -y_bar)


imag = Gate(imag_definition, imag_x_bar, primitive="imag")


def complex_definition(
    x: Float32[Array, "*#s"] | Float64[Array, "*#s"],
    y: Float32[Array, "*#s"] | Float64[Array, "*#s"],
) -> Complex[Array, "*s"]:
    """z = x + iy.

    Maths: z = x + iy; dz = dx + i dy, so that x_bar = Re z_bar, y_bar = -Im z_bar.
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes, and real.
    Residuals: none.
    Kinks: none.
    Raises: ShapeError if the shapes do not broadcast, DtypeError unless x and y are float32 or
        float64: there are no complex numbers of 16 bits.
    Source: JAX's autodiff cookbook, complex numbers.

    Example:
        >>> z, res = complex.fwd(jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*complex.bwd(res, z))
        [ 1.  -0.5  2. ] [-0.5  1.5 -0.3]
    """
    dtype = jnp.result_type(x, y)
    return lax.complex(*jnp.broadcast_arrays(x.astype(dtype), y.astype(dtype)))


def complex_x_bar(z_bar: Array) -> Array:
    return jnp.real(z_bar)


def complex_y_bar(z_bar: Array) -> Array:
    return -jnp.imag(z_bar)


complex = Gate(complex_definition, complex_x_bar, complex_y_bar, primitive="complex")


def conj_definition(x: Complex[Array, "*s"]) -> Complex[Array, "*s"]:
    """y = the complex conjugate of x.

    Maths: y = conj x; Re(y_bar conj dx) = Re(conj(y_bar) dx), so that x_bar = conj y_bar.
    Shapes: y and x_bar are shaped like x.
    Residuals: none.
    Kinks: none.
    Raises: DtypeError unless x is complex.
    Source: JAX's autodiff cookbook, complex numbers.

    Example:
        >>> y, res = conj.fwd(jnp.array([1.0 + 2.0j, 3.0j, -1.0]))
        >>> print(*conj.bwd(res, y))
        [ 1.+2.j  0.+3.j -1.+0.j]
    """
    return jnp.conj(x)


def conj_x_bar(y_bar: Array) -> Array:
    return jnp.conj(y_bar)


conj = Gate(conj_definition, conj_x_bar, primitive="conj")


def angle_definition(x: Complex[Array, "*s"]) -> Float32[Array, "*s"] | Float64[Array, "*s"]:
    """y = the angle of x, in radians, from -pi to pi.

    Maths: with x = a + ib, y = atan2(b, a); dy = Im(dx / x), so that x_bar = -i y_bar / x, here
        as (-b - ia) / (a^2 + b^2), with a and b divided by the larger one first.
    Shapes: y and x_bar are shaped like x; y is real, x_bar complex.
    Residuals: x.
    Kinks: x = 0 has no angle: nan, as in JAX. On the negative real axis y jumps, its slope not.
    Raises: DtypeError unless x is complex.
    Source: the imaginary part of the logarithm.

    Example:
        >>> y, res = angle.fwd(jnp.array([1.0 + 2.0j, 3.0j, 1.0 - 1.0j]))
        >>> print(*angle.bwd(res, y))
        [-0.4428595-0.22142975j -0.5235988-0.j         -0.3926991+0.3926991j ]
    """
    return jnp.angle(x)


def angle_x_bar(y_bar: Array, x: Array) -> Array:
    a, b = jnp.real(x), jnp.imag(x)
    return lax.complex(-y_bar * polar_slope(b, a), -y_bar * polar_slope(a, b))


angle = Gate(angle_definition, angle_x_bar, domains={"x": POSITIVE})

OPS = (real, imag, complex, conj, angle)
