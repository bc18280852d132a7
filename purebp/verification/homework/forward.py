"""Whether a forward pass computes what its name says: purebp's op, on ordinary numbers."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from purebp.compat import enable_x64
from purebp.errors import PurebpError, first_line
from purebp.verification.homework.call import Call
from purebp.verification.homework.calling import with_fixed

RTOL = 1e-5
SEEDS = 3
Function = Callable[..., Any]
Draw = Callable[[int], tuple[Any, ...]]
"""Arrays from a seed."""


class Forward(NamedTuple):
    """What is known of a forward: what it was held against, and what is wrong with it."""

    verdict: Literal["right", "wrong", "not known"] = "not known"
    matched: str = ""
    text: str = ""


class Trial(NamedTuple):
    """One run of a layer: its arrays, its options, its output or why there is none."""

    arrays: tuple[Any, ...]
    options: Mapping[str, Any]
    out: Any
    cache: Any
    error: str = ""
    refused: bool = False


def trials(run: Function, draw: Draw, options: Mapping[str, tuple[Any, ...]]) -> list[Trial]:
    """The layer on ordinary numbers: at its defaults, with each other option, with the last."""
    return [
        _tried(run, draw(seed), settings)
        for settings in settings_of(options)
        for seed in range(SEEDS)
    ]


def settings_of(options: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """The defaults, each other value alone, and the last of all."""
    usual = {name: values[0] for name, values in options.items()}
    yield usual
    for name, values in options.items():
        yield from ({**usual, name: value} for value in values[1:])
    if len(options) > 1:
        yield {name: values[-1] for name, values in options.items()}


def _tried(run: Function, arrays: tuple[Any, ...], settings: Mapping[str, Any]) -> Trial:
    given = tuple(np.array(array) for array in arrays)
    try:
        with np.errstate(all="ignore"):
            out, cache = run(*given, **settings)
        return Trial(arrays, settings, out, cache)
    except PurebpError as error:
        return Trial(arrays, settings, None, None, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a layer raises is what is reported
        text = f"raised {type(error).__name__}: {first_line(error)}"
        refused = isinstance(error, AssertionError | NotImplementedError)
        return Trial(arrays, settings, None, None, text, refused)


def judge_forward(call: Call, tried: list[Trial]) -> Forward:
    """The verdict on a forward, by the definition that fits best."""
    ran = [trial for trial in tried if not trial.refused]
    broken = next((trial for trial in ran if trial.error), None)
    if broken is not None:
        return Forward("wrong", call.op, f"it {broken.error}{_with(broken, tried)}")
    if call.judge is not None:
        judged = ((trial, call.judge(trial.out, trial.arrays, trial.options)) for trial in ran)
        text = next((f"{text}{_with(trial, tried)}" for trial, text in judged if text), "")
        return Forward("wrong" if text else "right", call.op, text)
    found = [_against(define, call, ran, tried) for define in call.definitions]
    if not found:
        return Forward(matched=call.op)
    best = "" if "" in found else found[0]
    return Forward("wrong" if best else "right", call.op, best)


def fitting_definition(call: Call, tried: list[Trial]) -> Function | None:
    """The definition that all trials agree with."""
    ran = [trial for trial in tried if not trial.refused and not trial.error]
    fitting = (define for define in call.definitions if not _against(define, call, ran, tried))
    return next(fitting, None)


def _against(define: Function, call: Call, ran: list[Trial], tried: list[Trial]) -> str:
    """What differs from a definition; empty if nothing does."""
    unset = {name: value for name, value in call.defaults.items() if name in _names(define)}
    for trial in ran:
        options = {**unset, **trial.options}
        with enable_x64(True):
            expected = define(*with_fixed(call, trial.arrays), **options)
        text = _difference(trial.out, expected)
        if text:
            return f"{text}{_with(trial, tried)}"
    return ""


def _names(define: Function) -> set[str]:
    parameters = inspect.signature(define).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def _difference(out: Any, expected: Any) -> str:
    """The entry that differs most, in words; empty if none does."""
    got, right = jax.tree.leaves(out), jax.tree.leaves(expected)
    if len(got) != len(right):
        return f"it has {len(got)} outputs, expected {len(right)}"
    pairs = [
        (np.asarray(a, np.float64), np.asarray(b, np.float64))
        for a, b in zip(got, right, strict=True)
    ]
    for place, (y, truth) in enumerate(pairs):
        name = "the output" if len(got) == 1 else f"output {place}"
        if y.shape != truth.shape:
            return f"{name} has shape {y.shape}, expected {truth.shape}"
        gap = np.abs(y - truth)
        gap = np.where(np.isnan(truth), 0.0, np.where(np.isnan(gap), np.inf, gap))
        allowed = RTOL * max(1.0, float(np.nanmax(np.abs(truth), initial=0.0)))
        if gap.max(initial=0.0) > allowed:
            index = np.unravel_index(int(gap.argmax()), gap.shape)
            listed = f"[{', '.join(str(int(n)) for n in index)}]" if index else ""
            return f"{name}{listed} is {y[index]:.6g}, expected {truth[index]:.6g}"
    return ""


def _with(trial: Trial, tried: list[Trial]) -> str:
    """The options that it takes, where the defaults are right."""
    usual = tried[0].options
    changed = [f"{key}={value!r}" for key, value in trial.options.items() if value != usual[key]]
    return f", with {', '.join(changed)}" if changed else ""
