"""Rules of equations that call a program: jit, checkpoint, and the user's own rules."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from purebp.autodiff.flow import is_inexact
from purebp.autodiff.rule import Rule, Step, Values, dense
from purebp.autodiff.tape import run_backward, run_forward
from purebp.compat import pulled_program, run_equation, tangent_program

BODIES = ("jaxpr", "call_jaxpr")


def _body(equation: Any) -> Any:
    return next(equation.params[name] for name in BODIES if name in equation.params)


def _jit_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    return run_forward(_body(step.equation), args, step.wanted, step.arriving, step.rules)


def _jit_backward(step: Step, tape: Any, bars: Values) -> Values:
    return run_backward(tape, bars)


jit = Rule(_jit_forward, _jit_backward)


def _checkpoint_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    return run_equation(step.equation, args), tuple(args)


def _checkpoint_backward(step: Step, saved: Any, bars: Values) -> Values:
    """Run it again; a barrier keeps the compiler from sharing the two runs."""
    args = jax.lax.optimization_barrier(saved) if step.equation.params["prevent_cse"] else saved
    _, tape = run_forward(_body(step.equation), args, step.wanted, step.arriving, step.rules)
    return run_backward(tape, bars)


checkpoint = Rule(_checkpoint_forward, _checkpoint_backward)


def _custom_jvp_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    """The user's tangents are linear in theirs: they are pulled back at tangents of 0."""
    program = tangent_program(step.equation)
    primals, uses = args[program.fixed :], step.wanted[program.fixed :]
    tangents = [jnp.zeros_like(x) if is_inexact(x) else _no_tangent(x) for x in primals]
    asked = (*(False for _ in primals), *uses)
    arriving = [use for use, moves in zip(step.arriving, program.moves, strict=True) if moves]
    arriving = [*(False for _ in program.moves), *arriving]
    outs, tape = run_forward(program.jaxpr, [*primals, *tangents], asked, arriving, step.rules)
    return outs[: len(program.moves)], (tape, program)


def _custom_jvp_backward(step: Step, saved: Any, bars: Values) -> Values:
    tape, program = saved
    moved = [bar for bar, moves in zip(bars, program.moves, strict=True) if moves]
    found = run_backward(tape, [*(None for _ in bars), *moved])
    return [*(None for _ in range(program.fixed)), *found[len(found) // 2 :]]


def _no_tangent(x: Any) -> Any:
    return jnp.zeros(jnp.shape(x), jax.dtypes.float0)


custom_jvp = Rule(_custom_jvp_forward, _custom_jvp_backward)


def _custom_vjp_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    program = pulled_program(step.equation)
    primals = args[program.fixed :]
    found = jaxpr_as_fun(program.forward)(*primals)
    saved, outs = found[: program.saved], found[program.saved :]
    return outs, (program, program.residuals(args, saved))


def _custom_vjp_backward(step: Step, saved: Any, bars: Values) -> Values:
    program, residuals = saved
    found = program.backward(residuals, dense(step.equation, bars))
    operands = step.equation.invars[program.fixed :]
    moved = [
        bar if is_inexact(operand.aval) else None
        for operand, bar in zip(operands, found, strict=True)
    ]
    return [*(None for _ in range(program.fixed)), *moved]


custom_vjp = Rule(_custom_vjp_forward, _custom_vjp_backward)
