"""The rule of `while`: a loop whose number of turns is known runs back as a scan does.

It is known where what the condition looks at starts from numbers and goes on by numbers: these
alone are run once, and the turns counted. A loop whose length depends on what is traced keeps
nothing to run back over, and is refused, unless it is given a bound.
"""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer
from jax.extend.core import Literal

from purebp.autodiff.flow import is_inexact, refused
from purebp.autodiff.rule import Rule, Step, Values
from purebp.autodiff.split import evaluate, needed_for, variables_of
from purebp.autodiff.tape import run_backward, run_forward
from purebp.compat import closed, interpret, like_aval, run_equation
from purebp.errors import OptionError

NOT_KNOWN = (
    "a loop whose length is not known beforehand keeps nothing to run back over; use scan, or "
    "fori_loop with bounds that are plain numbers, or rules=purebp.autodiff.bounded(most turns)"
)


def _forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    turns = _turns_of(step.equation, args)
    if turns is None:
        raise refused(step.equation, NOT_KNOWN)
    params = step.equation.params
    skipped, held, body = params["cond_nconsts"], params["body_nconsts"], params["body_jaxpr"]

    def loop(consts: list[Any], init: list[Any]) -> list[Any]:
        def turn(carry: list[Any], _: None) -> tuple[list[Any], None]:
            return interpret(body, [*consts, *carry], run_equation), None

        return lax.scan(turn, init, None, length=turns)[0]

    shapes = [like_aval(v.aval) for v in step.equation.invars[skipped:]]
    program = jax.make_jaxpr(loop)(shapes[:held], shapes[held:])
    wanted = step.wanted[skipped:]
    outs, tape = run_forward(program, args[skipped:], wanted, step.arriving, step.rules)
    return outs, (tape, skipped)


def _backward(step: Step, saved: Any, bars: Values) -> Values:
    """The operands before those of the tape, which only count turns, have no cotangent."""
    tape, skipped = saved
    return [*(None for _ in range(skipped)), *run_backward(tape, bars)]


while_loop = Rule(_forward, _backward)


@cache
def bounded(limit: int) -> Mapping[str, Rule | None]:
    """A row for `rules=`: `while` loops of any length, as loops of `limit` turns that stop early.

    They take the memory of `limit` turns. What needs more of them is nan, and so is its gradient.

    Raises:
        OptionError: if `limit` is not a number of turns.

    >>> import jax, purebp
    >>> def doubled(x):
    ...     return jax.lax.while_loop(lambda y: y < 9.0, lambda y: 2 * y, x)
    >>> float(purebp.grad(doubled, rules=purebp.autodiff.bounded(10))(jax.numpy.float32(3.0)))
    4.0
    """
    if not isinstance(limit, int) or limit < 1:
        raise OptionError(f"limit is {limit!r}, expected the most turns that a loop may take")
    return {"while": Rule(partial(_bounded_forward, limit), _backward)}


def _bounded_forward(limit: int, step: Step, args: Values) -> tuple[list[Any], Any]:
    params = step.equation.params
    skipped, held = params["cond_nconsts"], params["body_nconsts"]
    if _turns_of(step.equation, args) is not None:
        return _forward(step, args)

    def loop(*operands: Any) -> list[Any]:
        of_cond, of_body = operands[:skipped], operands[skipped:][:held]

        def goes_on(carry: Values) -> Any:
            return interpret(params["cond_jaxpr"], [*of_cond, *carry], run_equation)[0]

        def body(carry: Values) -> list[Any]:
            return interpret(params["body_jaxpr"], [*of_body, *carry], run_equation)

        def turn(carry: list[Any], _: None) -> tuple[list[Any], None]:
            return lax.cond(goes_on(carry), body, list, carry), None

        last, _ = lax.scan(turn, list(operands[skipped + held :]), None, length=limit)
        done = jnp.where(goes_on(last), jnp.nan, 1)
        return [y * done.astype(y.dtype) if is_inexact(y) else y for y in last]

    shapes = [like_aval(v.aval) for v in step.equation.invars]
    program = jax.make_jaxpr(loop)(*shapes)
    outs, tape = run_forward(program, args, step.wanted, step.arriving, step.rules)
    return outs, (tape, 0)


def _turns_of(equation: Any, args: Values) -> int | None:
    """How often the body runs; `None` where that hangs on something that is traced."""
    params, operands = equation.params, list(zip(equation.invars, args, strict=True))
    skipped, held = params["cond_nconsts"], params["body_nconsts"]
    values = [v.val if isinstance(v, Literal) else x for v, x in operands]
    consts, start = (values[:skipped], values[skipped:][:held]), values[skipped + held :]
    cond, body = closed(params["cond_jaxpr"]), closed(params["body_jaxpr"])
    carried, more = list[int](), _places(cond.jaxpr, cond.jaxpr.outvars)
    of_cond, looked_at = [k for k in more if k < skipped], [k - skipped for k in more]
    of_body = list[int]()
    while any(k >= 0 and k not in carried for k in looked_at):
        carried = sorted({*carried, *(k for k in looked_at if k >= 0)})
        more = _places(body.jaxpr, [body.jaxpr.outvars[k] for k in carried])
        of_body, looked_at = [k for k in more if k < held], [k - held for k in more]
    first = [start[k] for k in carried]
    known = [*first, *(consts[0][k] for k in of_cond), *(consts[1][k] for k in of_body)]
    if any(isinstance(x, Tracer) for x in known):
        return None

    def run(program: Any, given: Sequence[Any], carry: Sequence[Any], wanted: Sequence[Any]) -> Any:
        every = [
            *given,
            *(dict(zip(carried, carry, strict=True)).get(k) for k in range(len(start))),
        ]
        known = dict(zip(program.jaxpr.invars, every, strict=True))
        known |= dict(zip(program.jaxpr.constvars, program.consts, strict=True))
        return evaluate(_alone(wanted, program.jaxpr), known, wanted)

    def goes_on(state: Any) -> Any:
        return run(cond, consts[0], state[1], cond.jaxpr.outvars)[0]

    def turn(state: Any) -> Any:
        wanted = [body.jaxpr.outvars[k] for k in carried]
        return state[0] + 1, run(body, consts[1], state[1], wanted)

    with jax.ensure_compile_time_eval():
        return int(lax.while_loop(goes_on, turn, (0, first))[0])


def _alone(wanted: Sequence[Any], jaxpr: Any) -> list[Any]:
    """The equations that some variables hang on: to count turns nothing is printed."""
    return needed_for(wanted, jaxpr.eqns, with_effects=False)


def _places(jaxpr: Any, wanted: Sequence[Any]) -> list[int]:
    """The inputs that some variables hang on."""
    used = {v for equation in _alone(wanted, jaxpr) for v in variables_of(equation)}
    used.update(v for v in wanted if not isinstance(v, Literal))
    return [k for k, v in enumerate(jaxpr.invars) if v in used]
