"""Ops of an op, against `jax.grad` of what they stand for, and of `jax.experimental.ode`."""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.ode import odeint
from jaxtyping import Array

from purebp.benchmark.case import Case, Inputs, normal
from purebp.implicit import FixedPointAux, fixed_point, ode

ENOUGH = 20
"""Iterations of the unrolled form: as many as the search takes on these inputs."""
SIZE = 0.3
TOLERANCE = 1e-5
"""Of odeint: about the error of 16 steps of RK4."""


def cell(x: Array, w: Array, b: Array) -> Array:
    """tanh(x w + b)."""
    return jnp.tanh(x @ w + b)


def cell_fwd(x: Array, w: Array, b: Array) -> tuple[Array, Any]:
    y = cell(x, w, b)
    return y, (x, w, y)


def cell_bwd(res: Any, y_bar: Array) -> tuple[Array, Array, Array]:
    x, w, y = res
    z_bar = y_bar * (1 - y * y)
    return z_bar @ w.T, x.T @ z_bar, jnp.sum(z_bar, axis=0)


def field_fwd(x: Array, t: Array, w: Array, b: Array) -> tuple[Array, Any]:
    """x' = cos(t) tanh(x w + b)."""
    y, res = cell_fwd(x, w, b)
    return jnp.cos(t) * y, (res, t)


def field_bwd(res: Any, y_bar: Array) -> tuple[Array, ...]:
    inner, t = res
    x_bar, w_bar, b_bar = cell_bwd(inner, jnp.cos(t) * y_bar)
    return x_bar, -jnp.sin(t) * jnp.sum(y_bar * inner[2]), w_bar, b_bar


def unrolled(params: Any, start: Array) -> tuple[Array, FixedPointAux]:
    """The iteration itself, which autodiff follows step by step."""

    def step(x: Array, _: None) -> tuple[Array, None]:
        return cell(x, *params), None

    x, _ = lax.scan(step, start, length=ENOUGH)
    return x, FixedPointAux(jnp.asarray(ENOUGH), jnp.zeros(()), jnp.asarray(True))


def field(x: Array, t: Array, w: Array, b: Array) -> Array:
    """The field alone."""
    return jnp.cos(t) * cell(x, w, b)


def by_odeint(x: Array, params: Any) -> Array:
    """Dormand and Prince with steps of its own; backward it solves the adjoint equation."""
    times = jnp.asarray([0.0, 1.0])
    return odeint(field, x, times, *params, rtol=TOLERANCE, atol=TOLERANCE)[-1]


def by_steps(x: Array, params: Any) -> Array:
    """The same steps of RK4, which autodiff follows."""
    h = 1 / 16

    def step(x: Array, t: Array) -> tuple[Array, None]:
        k1 = field(x, t, *params)
        k2 = field(x + h / 2 * k1, t + h / 2, *params)
        k3 = field(x + h / 2 * k2, t + h / 2, *params)
        k4 = field(x + h * k3, t + h, *params)
        return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    return lax.scan(step, x, h * jnp.arange(16))[0]


def params_of(d: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Weights whose singular values are below 2 SIZE, and biases."""
    return normal(d, d, scale=SIZE * d**-0.5)(rng), normal(d)(rng)


def point_inputs(n: int, d: int) -> Inputs:
    """The params, and where the search begins."""
    return partial(params_of, d), normal(n, d)


def field_inputs(n: int, d: int) -> Inputs:
    """The first state, and the params."""
    return normal(n, d), partial(params_of, d)


STATES = "odeint keeps the last state alone: its gradient is that of another equation, not exact"
EQUATION = ode((field_fwd, field_bwd), steps=16, kept=4, name="ode")

CASES = (
    Case(
        fixed_point((cell_fwd, cell_bwd), name="fixed_point"),
        unrolled,
        f"{ENOUGH} iterations unrolled",
        point_inputs(4, 8),
        point_inputs(256, 512),
    ),
    Case(
        EQUATION,
        by_odeint,
        "jax.experimental.ode.odeint",
        field_inputs(4, 8),
        field_inputs(256, 256),
        more_memory=STATES,
    ),
    Case(
        EQUATION,
        by_steps,
        "lax.scan of the same steps",
        field_inputs(4, 8),
        field_inputs(256, 256),
        label="steps",
    ),
)
