"""`purebp.verify`: run every check on every variant of a target, and shrink what fails."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from purebp.errors import PurebpError, first_line
from purebp.verification.budget import Budget, BudgetName, budget_named
from purebp.verification.cases import (
    Case,
    Variant,
    drawn_cases,
    fixed_cases,
    patterns_of,
    variants,
)
from purebp.verification.checks import CHECKS, ONCE, checks_of, out_of_range
from purebp.verification.comparison import failed
from purebp.verification.costs import residual_bytes
from purebp.verification.diagnosis import Diagnosis, in_context, of_a_check
from purebp.verification.fallback import with_oracle
from purebp.verification.origin import backward_of, line_of
from purebp.verification.places import birth_in_backward, parting_in_function
from purebp.verification.power import Power
from purebp.verification.probe import Probe
from purebp.verification.progress import nobody, watching
from purebp.verification.report import Report
from purebp.verification.reproduce import script
from purebp.verification.shrink import failure_on, shrink
from purebp.verification.tally import Tally
from purebp.verification.target import Target, make_target
from purebp.verification.targets.keyed import with_key

COSTLY = 2
"""Differences of all entries take their time: more cases than these are for the first variant."""
TRANSFORMED = 1
"""Under jit, vmap and twice: for the first variant."""
NUMBERS = ("jacobian", "gradient float64", "gradient float32")
TELLING = ("buffers", "repeat", *NUMBERS)
"""Checks whose failure says most about what is wrong, in this order; then the others."""


def verify(
    target: Any,
    *example_args: Any,
    reference: Callable[..., Any] | None = None,
    static: Mapping[str, Any] | None = None,
    domain: Mapping[str, Any] | None = None,
    shapes: str | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    key: Any = None,
    budget: BudgetName = "normal",
    max_examples: int | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> Report:
    """Check a hand-written backward pass, and report.

    Args:
        target: an Op; a `(fwd, bwd)` pair with `fwd(*args) -> (y, residuals)` and
            `bwd(residuals, y_bar) -> cotangents`; a `jax.custom_vjp` or `jax.custom_jvp` function;
            a pair of NumPy functions, `layer_forward(x, ...) -> (out, cache)` and
            `layer_backward(dout, cache) -> grads`; a function or a module of flax or equinox that
            contains custom rules; a `torch.autograd.Function`; an object of NumPy code with
            methods `forward(x)` and `backward(dout)`, whose parameters are found by their
            gradients (`layer.dW` beside `layer.W`, `layer.grads["W"]`, `layer.W.grad`).
        example_args: ordinary arguments, from which others are made: shapes, values, options.
            Not needed where annotations or `shapes` say enough.
        reference: the plain function that autodiff differentiates. By default the definition of
            the Op, the undecorated body of the rule, or the primal output of fwd; finite
            differences where autodiff cannot go through it.
        static: keyword-only options: a value, a list of values to try, or a Hypothesis strategy.
        domain: for some arguments where their numbers lie: "positive", "nonzero", or two bounds,
            as in `{"p": (0, 1)}`. By default like the example's.
        shapes: axis names for each argument, as in `"b d, d k"`; sizes are varied.
        rtol: allowed relative error of each entry, instead of 8 roundings of (|J|^T |y_bar|).
        atol: allowed absolute error of each entry, added to that.
        key: for a layer that draws random numbers, its argument named `key`.
        budget: how much is tried: "quick", "normal" or "thorough".
        max_examples: inputs drawn for each variant (options and shapes), on top of one for each
            kind of values, instead of the budget's.
        seed: makes a run repeatable; 0 by default.
        progress: shows a bar on stderr where that is a terminal.

    A complex array counts as two real ones, its parts. As in JAX a cotangent pairs with a change
    without a conjugate, Re(x_bar dx): the gradient by the parts is (Re x_bar, -Im x_bar), and a
    real argument has a real cotangent.

    Raises:
        TargetError: if the target cannot be run at all. A wrong gradient is reported, not raised;
            `report.raise_if_failed()` raises.

    >>> import jax.numpy as jnp
    >>> from purebp.gates import mul
    >>> report = verify(mul)
    >>> report.verdict
    'pass'
    """
    if key is not None:
        target, example_args = with_key(target, example_args, key)
    made = with_oracle(make_target(target, reference, static, shapes, example_args, domain))
    if rtol is not None or atol is not None:
        tolerance = made.tolerance._replace(rtol=rtol, atol=atol or 0.0)
        made = dataclasses.replace(made, tolerance=tolerance)
    amount = budget_named(budget)
    if max_examples is not None:
        amount = amount._replace(examples=max_examples)
    with watching(made.name, shown=progress) as tell:
        return verify_target(made, amount, 0 if seed is None else seed, tell=tell)


def verify_target(
    made: Target,
    amount: Budget,
    seed: int,
    probes: dict[Variant, Probe] | None = None,
    tell: Callable[[int, int, str], None] = nobody,
) -> Report:
    """Run every check; `probes` keeps what was compiled for another seed.

    `tell(done, total, what)` hears of each variant of options and shapes that is tried.
    """
    started = time.perf_counter()
    probes = {} if probes is None else probes
    with np.errstate(all="ignore"):  # nan and infinity are among the inputs
        power = Power()
        runs = _run(made, amount, seed, power, probes, tell)
        lead = _lead(runs)
        diagnosis, reproduction, born, parted = None, "", "", ""
        if lead is not None:
            tell(0, 0, "looking for what is wrong")
            diagnosis = _diagnose(made, lead, runs[lead])
            tell(0, 0, "looking for a smaller example")
            _shrink(lead, runs, amount)
            reproduction = _script(runs[lead], f"{made.name}: {diagnosis.text}")
            if diagnosis.kind == "not finite":
                born = _place(birth_in_backward, runs[lead])
            elif lead in NUMBERS:
                parted = _place(parting_in_function, runs[lead])
    kept, kept_by_autodiff = residual_bytes(made)
    return Report(
        target=made.name,
        reference=made.reference_name,
        checks={name: run.summary() for name, run in runs.items()},
        failures=tuple(run.failure for run in runs.values() if run.failure is not None),
        diagnosis=diagnosis,
        source=line_of(backward_of(made)),
        reproduction=reproduction,
        born=born,
        parted=parted,
        unexplored=made.unexplored,
        without_gradient=made.without_gradient,
        planted=len(power.planted),
        unseen=power.unseen,
        seed=seed,
        residual_bytes=kept,
        autodiff_bytes=kept_by_autodiff,
        seconds=time.perf_counter() - started,
    )


def _run(
    target: Target,
    budget: Budget,
    seed: int,
    power: Power,
    probes: dict[Variant, Probe],
    tell: Callable[[int, int, str], None],
) -> dict[str, Tally]:
    runs = {name: Tally() for name in checks_of(target)}
    every = variants(target, budget)
    for index, variant in enumerate(every):
        tell(index, len(every), "options and shapes")
        probe = probes.setdefault(variant, Probe(target, variant))
        if not _contract_holds(probe, runs["contract"]):
            break
        cases = _cases(probe, budget.examples, seed)
        if target.differences and index:
            cases = cases[:COSTLY]
        _run_variant(probe, runs, power, cases, transform=index < TRANSFORMED)
        if target.given is not None and any(
            run.found for name, run in runs.items() if _tells(name)
        ):
            break
    return runs


def _tells(name: str) -> bool:
    """Whether the failure of a check says enough; others may go with wrong numbers elsewhere."""
    return name not in ONCE or name in TELLING


def _lead(runs: Mapping[str, Tally]) -> str | None:
    """The failed check that says most; wrong numbers say more than a wrong dtype."""
    failing = [name for name, run in runs.items() if run.found is not None]
    contract = runs["contract"].failure
    if contract is not None and of_a_check("contract", contract).kind != "dtype":
        return "contract"
    return next((name for name in (*TELLING, *failing) if name in failing), None)


def _diagnose(target: Target, lead: str, run: Tally) -> Diagnosis:
    """What is most likely wrong, on the first case that failed."""
    if lead in NUMBERS and run.found is not None:
        return in_context(target, *run.found)
    return of_a_check(lead, run.failure)


def _shrink(lead: str, runs: Mapping[str, Tally], budget: Budget) -> None:
    """Put the smallest failing case in the place of the first, for all checks that fail on it."""
    found = runs[lead].found
    smallest = None if lead in ONCE or found is None else shrink(lead, *found, budget)
    if smallest is None:
        return
    for name, run in runs.items():
        failure = None if run.found is None or name in ONCE else failure_on(name, *smallest)
        if failure is not None:
            run.failure, run.found = failure, smallest


def _place(find: Callable[[Probe, Case], str], run: Tally) -> str:
    """Where it goes wrong; a program that does not run node by node tells nothing."""
    try:
        return find(*run.found) if run.found is not None else ""
    except Exception:  # noqa: BLE001 - it is an addition to what was found
        return ""


def _script(run: Tally, headline: str) -> str:
    if run.found is None or run.failure is None:
        return ""
    return script(*run.found, run.failure, headline)


def _contract_holds(probe: Probe, run: Tally) -> bool:
    try:
        outcome = CHECKS["contract"](probe, probe.first)
    except Exception as error:  # noqa: BLE001 - whatever a custom backward pass raises is a finding
        kind = "" if isinstance(error, PurebpError) else f"bwd raised {type(error).__name__}: "
        run.add(probe, probe.first, failed("contract", probe.first, kind + first_line(error)))
        return False
    run.add(probe, probe.first, outcome)
    return True


def _run_variant(
    probe: Probe, runs: dict[str, Tally], power: Power, cases: Sequence[Case], *, transform: bool
) -> None:
    once = [name for name in runs if name in ONCE and name != "contract"]
    for name in once if transform else ():
        _run_check(name, probe, probe.first, runs[name])

    for case in cases:
        for name, run in runs.items():
            if name not in ONCE:
                _run_check(name, probe, case, run)
        power.look(probe, case)


def _cases(probe: Probe, examples: int, seed: int) -> tuple[Case, ...]:
    """The fixed cases of a variant, and some drawn ones."""
    patterns = patterns_of(probe.target)
    fixed = fixed_cases(probe.variant, patterns, seed)
    return (*fixed, *drawn_cases(probe.variant, patterns, examples, seed))


def _run_check(name: str, probe: Probe, case: Case, run: Tally) -> None:
    if run.failure is not None and probe.target.given is not None:
        return
    try:
        outcome = out_of_range(name, probe, case) or CHECKS[name](probe, case)
    except PurebpError:
        raise
    except Exception as error:  # noqa: BLE001 - a check that cannot run is a finding, not a crash
        outcome = failed(name, case, f"raised {type(error).__name__}: {first_line(error)}")
    run.add(probe, case, outcome)
