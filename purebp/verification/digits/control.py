"""Loops and branches."""

from collections.abc import Callable
from typing import Any

import numpy as np

from purebp.compat import scan_counts
from purebp.verification.digits.values import is_floating

Run = Callable[[Any, list[Any]], list[Any]]
CALLING = {
    *("jit", "pjit", "closed_call", "core_call", "call", "checkpoint", "remat", "remat2"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "core_closed_call"),
}
CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def apply(name: str, run: Run, params: dict[str, Any], arrays: list[Any]) -> list[Any] | None:
    """The primitive of a name; None if it calls no other program."""
    if name == "scan":
        return _scan(run, params, arrays)
    if name == "while":
        return _while(run, params, arrays)
    if name == "cond":
        which = int(np.clip(np.asarray(arrays[0]).astype(int), 0, len(params["branches"]) - 1))
        return run(params["branches"][which], arrays[1:])
    if name not in CALLING:
        return None
    called = [params[key] for key in CALLS if key in params]
    return run(called[0], arrays) if called else None


def _scan(run: Run, params: dict[str, Any], arrays: list[Any]) -> list[Any]:
    consts, carries = scan_counts(params)
    fixed = arrays[:consts]
    carry, xs = arrays[consts : consts + carries], arrays[consts + carries :]
    steps = range(params["length"])
    rows = list[list[Any]]()
    for step in reversed(steps) if params["reverse"] else steps:
        out = run(params["jaxpr"], [*fixed, *carry, *(np.asarray(x)[step, ...] for x in xs)])
        carry = out[:carries]
        rows.append(out[carries:])
    if params["reverse"]:
        rows.reverse()
    if rows:
        return [*carry, *(np.stack(row) for row in zip(*rows, strict=True))]
    empty = params["jaxpr"].out_avals[carries:]
    return [*carry, *(_nothing(aval) for aval in empty)]


def _nothing(aval: Any) -> Any:
    return np.empty((0, *aval.shape), object if is_floating(aval.dtype) else aval.dtype)


def _while(run: Run, params: dict[str, Any], arrays: list[Any]) -> list[Any]:
    first, second = params["cond_nconsts"], params["body_nconsts"]
    of_cond, of_body = arrays[:first], arrays[first : first + second]
    carry = arrays[first + second :]
    while True:
        on = np.asarray(run(params["cond_jaxpr"], [*of_cond, *carry])[0])
        if not on.any():
            return carry
        new = run(params["body_jaxpr"], [*of_body, *carry])
        carry = [_where(on, after, before) for after, before in zip(new, carry, strict=True)]


def _where(on: Any, after: Any, before: Any) -> Any:
    """In a batch of loops those that have ended stay."""
    if not on.ndim:
        return after
    return np.where(on.reshape(*on.shape, *[1] * (np.ndim(after) - on.ndim)), after, before)
