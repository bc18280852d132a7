"""Rules of equations that call a program: jit, checkpoint, and the user's own rules."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from purebp.autodiff.flow import is_inexact
from purebp.autodiff.rule import Rule, Step, Values, dense
from purebp.autodiff.split import evaluate
from purebp.autodiff.tape import run_backward, run_forward
from purebp.compat import (
    RECOMPUTE,
    closed,
    interpret,
    like_aval,
    pulled_program,
    run_equation,
    tangent_program,
    wait_for,
)

BODIES = ("jaxpr", "call_jaxpr", "callee")
INLINE = {"jit", "pjit", "closed_call", "core_call"}


def body_of(equation: Any) -> Any:
    """The program that an equation calls."""
    return next(equation.params[name] for name in BODIES if name in equation.params)


def without_calls(program: Any) -> Any:
    """A program with the bodies of the functions that it calls in their place."""

    def run(*args: Any) -> list[Any]:
        return _run_inlined(program, args)

    return jax.make_jaxpr(run)(*(like_aval(v.aval) for v in closed(program).jaxpr.invars))


def _run_inlined(program: Any, args: Values) -> list[Any]:
    def each(equation: Any, given: list[Any]) -> list[Any]:
        is_call = equation.primitive.name in INLINE
        return _run_inlined(body_of(equation), given) if is_call else run_equation(equation, given)

    return interpret(program, args, each)


def _opened_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    return run_forward(body_of(step.equation), args, step.wanted, step.arriving, step.rules)


def _opened_backward(step: Step, tape: Any, bars: Values) -> Values:
    return run_backward(tape, bars)


opened = Rule(_opened_forward, _opened_backward)


class Again(NamedTuple):
    """What a checkpoint leaves behind: its body, the operands, and what the policy keeps."""

    body: Any
    args: list[Any]
    variables: list[Any]
    values: list[Any]


def _checkpoint_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    policy, body = step.equation.params["policy"], body_of(step.equation)
    if policy is None:
        return run_equation(step.equation, args), Again(body, list(args), [], [])
    body = without_calls(body)
    inner = body.jaxpr
    kept = [v for equation in inner.eqns if _is_kept(policy, equation) for v in equation.outvars]
    known = dict(zip([*inner.constvars, *inner.invars], [*body.consts, *args], strict=True))
    found = evaluate(inner.eqns, known, [*inner.outvars, *kept])
    count = len(inner.outvars)
    return found[:count], Again(body, list(args), kept, found[count:])


def _is_kept(policy: Any, equation: Any) -> bool:
    """What a policy says of an equation: yes, no, or a word of JAX's for either."""
    said = policy(equation.primitive, *(v.aval for v in equation.invars), **equation.params)
    return said if isinstance(said, bool) else type(said).__name__ != RECOMPUTE


def _checkpoint_backward(step: Step, again: Again, bars: Values) -> Values:
    """Run it again, once the cotangents are there: until then nothing of it takes memory."""
    arriving = [bar for bar in bars if bar is not None]
    arriving, (args, values) = wait_for(arriving, (again.args, again.values))
    kept = dict(zip(again.variables, values, strict=True))
    _, tape = run_forward(again.body, args, step.wanted, step.arriving, step.rules, kept)
    left = iter(arriving)
    return run_backward(tape, [None if bar is None else next(left) for bar in bars])


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
    program = pulled_program(step.equation, step.wanted)
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


def _linear_call_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    """Constants and residuals have the derivatives of the body: JAX has none for them."""
    count = _fixed_in(step.equation)
    if not any(step.wanted[:count]):
        return run_equation(step.equation, args), (list(args), None)
    wanted = [k < count and use for k, use in enumerate(step.wanted)]
    outs, tape = run_forward(body_of(step.equation), args, wanted, step.arriving, step.rules)
    return outs, (list(args), tape)


def _linear_call_backward(step: Step, saved: Any, bars: Values) -> Values:
    args, tape = saved
    count = _fixed_in(step.equation)
    of_fixed = [None] * count if tape is None else run_backward(tape, bars)[:count]
    if not any(step.wanted[count:]):
        return [*of_fixed, *(None for _ in args[count:])]
    return [*of_fixed, *_turned(step.equation, args[:count], dense(step.equation, bars))]


def _turned(equation: Any, fixed: Values, bars: Values) -> list[Any]:
    """The user's transpose, as a linear call whose transpose is the user's function.

    All that either is not linear in is an operand of both: nothing that is traced is closed over.
    """
    params = equation.params
    transpose, consts = params["transpose_thunk"]()
    held, more = len(consts), len(consts) + len(fixed)

    def backward(*args: Any) -> Any:
        residuals = args[held + params["num_callee_consts"] : more]
        return jaxpr_as_fun(closed(transpose))(*args[:held], *residuals, *args[more:])

    def forward(*args: Any) -> Any:
        return jaxpr_as_fun(closed(params["callee"]))(*args[held:])

    def program(function: Any, linear: Values) -> Any:
        avals = [like_aval(jax.typeof(x)) for x in (*consts, *fixed)]
        return jax.make_jaxpr(function)(*avals, *(like_aval(v.aval) for v in linear))

    again = program(forward, equation.invars[len(fixed) :])
    return equation.primitive.bind(
        *(*consts, *fixed, *bars),
        callee=program(backward, equation.outvars),
        transpose_thunk=lambda: (again, ()),
        num_callee_consts=0,
        num_res=more,
    )


def _fixed_in(equation: Any) -> int:
    """How many operands a linear call is not linear in."""
    return equation.params["num_callee_consts"] + equation.params["num_res"]


linear_call = Rule(_linear_call_forward, _linear_call_backward)
