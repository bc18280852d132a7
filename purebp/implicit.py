"""Ops of an op that runs again and again: a fixed point, and an ordinary differential equation.

Their backward passes are derived by hand from the op's own pair. Memory does not grow with the
number of iterations, and with the steps only by the states that are kept.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.compat import is_known
from purebp.errors import ArgumentError, ConvergenceError, OptionError, ShapeError, in_words
from purebp.op import FIXED, Op, conditioned
from purebp.residuals import Static

__all__ = ["FixedPointAux", "fixed_point", "ode"]

Function = Callable[..., Any]
PARTS = (0.0, 0.5, 0.5, 1.0)
Pair = Op | tuple[Function, Function]


ROUNDING = conditioned("every step passes the rounding of the one before on", pooled=True)
FOUND = f"x is found to within the tolerance, no better; and {ROUNDING.reason}"


class FixedPointAux(NamedTuple):
    """How the search ended: the steps taken, the last change, and whether it was small enough.

    The change is that of the largest entry, |f(x) - x|, relative to x where x is above 1.

    Example:
        >>> cosine = (lambda x: (jnp.cos(x), x), lambda x, y_bar: (-jnp.sin(x) * y_bar,))
        >>> x, aux = fixed_point(cosine)((), jnp.float32(1.0))
        >>> bool(aux.converged)
        True
    """

    steps: Array
    change: Array
    converged: Array


def fixed_point(f: Pair, *, tolerance: float = 1e-6, limit: int = 100, name: str = "") -> Op:
    """The x with x = f(x, *params), found by iteration: g(params, start) -> (x, FixedPointAux).

    Maths: x = f(x, p), so that dx = f_x dx + f_p dp. Backward, w = x_bar + f_x^T w by iteration,
        which converges as the forward one does, and params_bar = f_p^T w. How x was found does
        not matter: start has no cotangent.
        The search ends when |f(x) - x| <= tolerance max(1, |x|), the way back when
        |change of w| <= tolerance |w|, over the largest entries; where tolerance is below two
        roundings of x's dtype, these are taken. Both end after `limit` steps at the latest.
    Shapes: x as start; `params` is the tuple of f's other arguments.
    Residuals: those of one call of f, at x; and whether the search converged.
    Kinks: none but those of f.
    Raises: ArgumentError unless f is an op or a pair (fwd, bwd), ShapeError if f does not keep the
        shape, OptionError unless tolerance > 0 and limit > 0. ConvergenceError where `limit` steps
        were not enough, forward or backward. Under jit and vmap nothing can be raised: there
        `converged` is False, and where either way has not converged, params_bar is nan. Second
        derivatives raise in JAX: its loops of unknown length have none.
    Source: Bai, Kolter and Koltun 2019, "Deep equilibrium models", theorem 1.

    Example:
        >>> cosine = (lambda x: (jnp.cos(x), x), lambda x, y_bar: (-jnp.sin(x) * y_bar,))
        >>> solve = fixed_point(cosine)
        >>> (x, aux), res = solve.fwd((), jnp.float32(1.0))
        >>> print(x)
        0.73908484
    """
    op = _as_op("fixed_point", f)
    name = name or f"fixed_point({op.name})"
    if not tolerance > 0 or limit < 1:
        raise OptionError(
            f"{name}: tolerance is {tolerance} and limit {limit}, expected numbers above 0"
        )

    def definition(params: Any, start: Any) -> tuple[Any, FixedPointAux]:
        def step(x: Array, _: None) -> tuple[Array, Array]:
            new = op.define(x, *params)
            return new, _change(new, x, 1.0)

        x, changes = lax.scan(step, lax.stop_gradient(start), length=limit)
        small = changes <= _least(tolerance, changes.dtype)
        taken = jnp.where(jnp.any(small), 1 + jnp.argmax(small), limit)
        return x, FixedPointAux(taken, changes[-1], jnp.any(small))

    def forward(params: Any, start: Any) -> tuple[tuple[Any, FixedPointAux], Any]:
        def step(x: Array) -> Array:
            return op.fwd(x, *params)[0]

        x, aux = _iterate(step, start, tolerance, limit, 1.0)
        _check_converged(f"{name}: x = f(x)", aux)
        _, saved = op.fwd(x, *params)
        return (x, aux), (saved, aux.converged, Static(type(params)))

    def backward(res: Any, x_bar: Array) -> tuple[Any, None]:
        saved, converged, kind = res

        def step(w: Array) -> Array:
            return x_bar + op.bwd(saved, w)[0]

        w, found = _iterate(step, x_bar, tolerance, limit, 0.0)
        _check_converged(f"{name}: backward, w = x_bar + f_x^T w", found)
        right = converged & found.converged
        bars = jax.tree.map(partial(_nan_unless, right), op.bwd(saved, w)[1:])
        return _as_params(kind.value, bars), None

    def check(params: Any, start: Any) -> None:
        kept = jax.eval_shape(op.define, start, *params)
        if (kept.shape, kept.dtype) != (jnp.shape(start), jnp.asarray(start).dtype):
            raise ShapeError(
                f"{name}: f returns {kept.dtype}{list(kept.shape)}, expected "
                f"{jnp.asarray(start).dtype}{list(jnp.shape(start))} like start"
            )

    return Op(
        forward,
        backward,
        definition=definition,
        name=name,
        has_aux=True,
        check=check,
        domains={"start": FIXED},
        tolerance=ROUNDING._replace(reason=FOUND, atol=8 * tolerance),
    )


def _change(new: Array, old: Array, unit: float) -> Array:
    """The largest change, in units of the largest entry where that is above `unit`."""
    least = max(unit, float(jnp.finfo(new.dtype).tiny))
    size = jnp.max(jnp.abs(new), initial=least)
    return jnp.max(jnp.abs(new - old), initial=0.0) / size


def _least(tolerance: float, dtype: Any) -> float:
    """The tolerance, or two roundings."""
    return max(tolerance, 2 * float(jnp.finfo(dtype).eps))


def _check_converged(what: str, found: FixedPointAux) -> None:
    """Raise where it is known that an iteration did not converge."""
    if is_known(found.converged) and not found.converged:
        raise ConvergenceError(
            f"{what} has not converged after {int(found.steps)} steps: the last change is "
            f"{float(found.change):.3g}; raise limit or tolerance if it falls, else make f a "
            "contraction, as by smaller weights or by f mixed with x"
        )


def _nan_unless(right: Array, bar: Array) -> Array:
    return jnp.where(right, bar, jnp.nan)


def _as_params(kind: type, bars: tuple[Any, ...]) -> Any:
    """Cotangents in the kind of tuple that the params came in."""
    return kind(*bars) if hasattr(kind, "_fields") else kind(bars)


def _iterate(
    step: Callable[[Array], Array], start: Array, tolerance: float, limit: int, unit: float
) -> tuple[Array, FixedPointAux]:
    tolerance = _least(tolerance, start.dtype)

    def go_on(carry: tuple[Array, Array, Array]) -> Array:
        _, change, count = carry
        return (count < limit) & ~(change <= tolerance)  # a change that is nan goes on

    def again(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, _, count = carry
        new = step(x)
        return new, _change(new, x, unit), count + 1

    first = step(start)
    carry = first, _change(first, start, unit), jnp.asarray(1)
    x, change, count = lax.while_loop(go_on, again, carry)
    return x, FixedPointAux(count, change, change <= tolerance)


def ode(
    f: Pair,
    *,
    span: tuple[float, float] = (0.0, 1.0),
    steps: int = 16,
    kept: int = 1,
    name: str = "",
) -> Op:
    """x(t_1) of x' = f(x, t, *params), x(t_0) = x_0, by RK4: g(x_0, params) -> x(t_1).

    Maths: with a step h: k_1 = f(x, t), k_2 = f(x + h/2 k_1, t + h/2), k_3 = f(x + h/2 k_2,
        t + h/2), k_4 = f(x + h k_3, t + h); x' = x + h/6 (k_1 + 2 k_2 + 2 k_3 + k_4). Backward, the
        exact gradient of these steps, with a_i the argument of k_i and g = x'_bar:
        k_4_bar = h/6 g, k_3_bar = h/3 g + h a_4_bar, k_2_bar = h/3 g + h/2 a_3_bar,
        k_1_bar = h/6 g + h/2 a_2_bar, x_bar = g + sum a_i_bar, params_bar = the sum over all calls.
    Shapes: x as x_0; t is a scalar; `params` is the tuple of f's other arguments.
    Residuals: the state before every `kept`-th step and the params; what lies between is computed
        again. So steps/kept + kept states are held at once.
    Kinks: none but those of f.
    Raises: ArgumentError unless f is an op or a pair (fwd, bwd); OptionError unless kept divides
        the steps.
    Source: Kutta 1901; the discrete adjoint derived by hand (Chen et al. 2018, "Neural ordinary
        differential equations", solve the continuous one, whose gradient is not exact).

    Example:
        >>> decay = (
        ...     lambda x, t, rate: (-rate * x, (x, rate)),
        ...     lambda res, y_bar: (-res[1] * y_bar, None, -res[0] * y_bar),
        ... )
        >>> y, res = ode(decay).fwd(jnp.float32(1.0), (jnp.float32(2.0),))
        >>> print(y)
        0.13533589
    """
    op = _as_op("ode", f)
    name = name or f"ode({op.name})"
    if steps < 1 or kept < 1 or steps % kept:
        raise OptionError(f"{name}: kept is {kept}, expected a divisor of the {steps} steps")
    h = (span[1] - span[0]) / steps

    method = _RungeKutta(op, span[0], h, kept)

    def definition(x: Any, params: Any = ()) -> Any:
        return method.run(op.define, jnp.asarray(x), params, steps, 0)[0]

    def forward(x: Any, params: Any = ()) -> tuple[Any, Any]:
        def piece(x: Array, first: Array) -> tuple[Array, Array]:
            return method.run(method.value, x, params, kept, first)[0], x

        y, states = lax.scan(piece, x, jnp.arange(0, steps, kept))
        return y, (states, params)

    def backward(res: Any, y_bar: Array) -> tuple[Array, Any]:
        states, params = res
        shapes = jax.eval_shape(method.step_bwd, params, y_bar, jnp.asarray(0), y_bar)[1]
        zeros = jax.tree.map(_zeros, shapes)
        piece = partial(method.piece_bwd, params)
        firsts = jnp.arange(0, steps, kept)
        (x_bar, total), _ = lax.scan(piece, (y_bar, zeros), (states, firsts), reverse=True)
        return x_bar, _as_params(type(params), total)

    return Op(forward, backward, definition=definition, name=name, tolerance=ROUNDING)


def _zeros(spec: Any) -> Array:
    return jnp.zeros(spec.shape, spec.dtype)


class _RungeKutta(NamedTuple):
    """The steps of RK4, and back through them."""

    op: Op
    start: float
    h: float
    kept: int

    def value(self, a: Array, t: Array, *params: Any) -> Array:
        """f alone."""
        return self.op.fwd(a, t, *params)[0]

    def time(self, x: Array, number: Array, part: float) -> Array:
        """The time at which a stage of a step calls f."""
        return (self.start + self.h * (number + part)).astype(x.dtype)

    def run(
        self, call: Function, x: Array, params: Any, count: int, first: Any
    ) -> tuple[Array, Array]:
        """The state after `count` steps, and those before each of them."""

        def step(x: Array, number: Array) -> tuple[Array, Array]:
            ks = list[Array]()
            for part in PARTS:
                a = x + (part * self.h) * ks[-1] if ks else x
                ks.append(call(a, self.time(x, number, part), *params))
            return x + (self.h / 6) * (ks[0] + 2 * ks[1] + 2 * ks[2] + ks[3]), x

        return lax.scan(step, x, first + jnp.arange(count))

    def step_bwd(self, params: Any, x: Array, number: Array, g: Array) -> tuple[Array, Any]:
        """Back through one step that began at x: x_bar, and the params' cotangents."""
        saved, k, h = list[Any](), x, self.h
        for part in PARTS:
            a = x + (part * h) * k if saved else x
            k, res = self.op.fwd(a, self.time(x, number, part), *params)
            saved.append(res)
        a_bar, _, *bars = self.op.bwd(saved[3], (h / 6) * g)
        x_bar, total = g + a_bar, tuple(bars)
        for res, weight, part in ((saved[2], 3, 1.0), (saved[1], 3, 0.5), (saved[0], 6, 0.5)):
            a_bar, _, *bars = self.op.bwd(res, (h / weight) * g + (part * h) * a_bar)
            x_bar, total = x_bar + a_bar, jax.tree.map(jnp.add, total, tuple(bars))
        return x_bar, total

    def piece_bwd(self, params: Any, carry: Any, at: tuple[Array, Array]) -> tuple[Any, None]:
        """Back through `kept` steps, whose states are computed again."""

        def back(carry: Any, at: tuple[Array, Array]) -> tuple[Any, None]:
            g, total = carry
            x_bar, more = self.step_bwd(params, *at, g)
            return (x_bar, jax.tree.map(jnp.add, total, more)), None

        start, first = at
        _, inner = self.run(self.value, start, params, self.kept, first)
        numbers = first + jnp.arange(self.kept)
        return lax.scan(back, carry, (inner, numbers), reverse=True)[0], None


def _as_op(maker: str, f: Pair) -> Op:
    if isinstance(f, Op):
        return f
    if isinstance(f, tuple) and len(f) == 2 and all(map(callable, f)):
        return Op(*f)
    raise ArgumentError(f"{maker}: f is {in_words(f)}, expected an Op or a pair (fwd, bwd)")
