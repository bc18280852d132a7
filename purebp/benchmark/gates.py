"""Single gates, listed apart: with nothing to fuse they can mostly only tie."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp import gates
from purebp.benchmark.case import Case, Draw, normal, positive, uniform
from purebp.benchmark.eager import torch_function
from purebp.op import Op

Draws = Callable[..., Draw]
UNIT = partial(uniform, -0.9, 0.9)
ABOVE_1 = partial(uniform, 1.1, 3.0)

ELEMENTWISE: tuple[tuple[Op, Callable[..., Array], str, tuple[Draws, ...]], ...] = (
    (gates.add, jnp.add, "add", (normal, normal)),
    (gates.sub, jnp.subtract, "sub", (normal, normal)),
    (gates.mul, jnp.multiply, "mul", (normal, normal)),
    (gates.div, jnp.divide, "div", (normal, positive)),
    (gates.neg, jnp.negative, "neg", (normal,)),
    (gates.reciprocal, jnp.reciprocal, "reciprocal", (positive,)),
    (gates.square, jnp.square, "square", (normal,)),
    (gates.sqrt, jnp.sqrt, "sqrt", (positive,)),
    (gates.rsqrt, lax.rsqrt, "rsqrt", (positive,)),
    (gates.cbrt, jnp.cbrt, "", (positive,)),
    (gates.pow, jnp.power, "pow", (positive, normal)),
    (gates.max, jnp.maximum, "maximum", (normal, normal)),
    (gates.min, jnp.minimum, "minimum", (normal, normal)),
    (gates.abs, jnp.abs, "abs", (normal,)),
    (gates.clamp, lax.clamp, "", (UNIT, normal, ABOVE_1)),
    (gates.exp, jnp.exp, "exp", (normal,)),
    (gates.exp2, jnp.exp2, "exp2", (normal,)),
    (gates.expm1, jnp.expm1, "expm1", (normal,)),
    (gates.log, jnp.log, "log", (positive,)),
    (gates.log1p, jnp.log1p, "log1p", (positive,)),
    (gates.sin, jnp.sin, "sin", (normal,)),
    (gates.cos, jnp.cos, "cos", (normal,)),
    (gates.tan, jnp.tan, "tan", (UNIT,)),
    (gates.asin, jnp.arcsin, "asin", (UNIT,)),
    (gates.acos, jnp.arccos, "acos", (UNIT,)),
    (gates.atan, jnp.arctan, "atan", (normal,)),
    (gates.atan2, jnp.arctan2, "atan2", (normal, positive)),
    (gates.sinh, jnp.sinh, "sinh", (normal,)),
    (gates.cosh, jnp.cosh, "cosh", (normal,)),
    (gates.asinh, jnp.arcsinh, "asinh", (normal,)),
    (gates.acosh, jnp.arccosh, "acosh", (ABOVE_1,)),
    (gates.atanh, jnp.arctanh, "atanh", (UNIT,)),
    (gates.erf, jax.scipy.special.erf, "erf", (normal,)),
    (gates.erfc, jax.scipy.special.erfc, "erfc", (normal,)),
    (gates.erf_inv, jax.scipy.special.erfinv, "erfinv", (UNIT,)),
    (gates.lgamma, jax.scipy.special.gammaln, "lgamma", (positive,)),
    (gates.digamma, jax.scipy.special.digamma, "digamma", (positive,)),
    (gates.bessel_i0e, jax.scipy.special.i0e, "", (normal,)),
    (gates.bessel_i1e, jax.scipy.special.i1e, "", (normal,)),
)
"""Gate, the JAX function, PyTorch's name of it, and a draw for each operand."""

REDUCING: tuple[tuple[Op, Callable[..., Array], str], ...] = (
    (gates.sum, jnp.sum, "sum"),
    (gates.mean, jnp.mean, "mean"),
    (gates.prod, jnp.prod, "prod"),
    (gates.reduce_max, jnp.max, "amax"),
    (gates.reduce_min, jnp.min, "amin"),
    (gates.logsumexp, jax.scipy.special.logsumexp, "logsumexp"),
    (gates.var, jnp.var, ""),
    (gates.std, jnp.std, ""),
    (gates.norm, jnp.linalg.norm, "norm"),
    (gates.cumsum, jnp.cumsum, "cumsum"),
    (gates.cumprod, jnp.cumprod, "cumprod"),
    (gates.cummax, partial(lax.cummax, axis=1), ""),
    (gates.cummin, partial(lax.cummin, axis=1), ""),
    (gates.cumlogsumexp, partial(lax.cumlogsumexp, axis=1), "logcumsumexp"),
)
"""Gate, the JAX function and PyTorch's name of it, over the last axis of a matrix."""

MORE_MEMORY = {
    "abs": "x, which whatever made it keeps anyway; autodiff keeps a mask beside it",
    "pow": "x, y and the power, which others keep anyway; autodiff keeps two slopes beside them",
}

SMALL, LARGE = (32, 64), (1024, 2048)


def inner(x: Array, y: Array) -> Array:
    return jnp.sum(x * y, axis=-1)


def elementwise_case(
    gate: Op, baseline: Callable[..., Array], torch: str, draws: tuple[Draws, ...]
) -> Case:
    return Case(
        gate,
        baseline,
        "the JAX function",
        tuple(draw(*SMALL) for draw in draws),
        tuple(draw(*LARGE) for draw in draws),
        torch=torch_function(torch) if torch else None,
        single=True,
        more_memory=MORE_MEMORY.get(gate.name, ""),
    )


def reducing_case(gate: Op, baseline: Callable[..., Array], torch: str) -> Case:
    axis = {} if isinstance(baseline, partial) else {"axis": -1}
    return Case(
        gate,
        partial(baseline, **axis),
        "the JAX function",
        (normal(*SMALL),),
        (normal(*LARGE),),
        options={"axis": -1},
        torch=torch_function(torch, dim=-1) if torch else None,
        single=True,
    )


CASES = (
    *(elementwise_case(*row) for row in ELEMENTWISE),
    *(reducing_case(*row) for row in REDUCING),
    Case(
        gates.dot,
        inner,
        "multiply and sum",
        (normal(*SMALL),) * 2,
        (normal(*LARGE),) * 2,
        single=True,
    ),
    Case(
        gates.matmul,
        jnp.matmul,
        "jnp.matmul",
        (normal(32, 32),) * 2,
        (normal(768, 768),) * 2,
        torch=torch_function("matmul"),
        single=True,
    ),
)
