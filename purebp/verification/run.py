"""`purebp.verify`: run every check on every variant of a target, and shrink what fails."""

import dataclasses
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import jax
import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import NoSuchExample

from purebp.errors import PurebpError
from purebp.verification.budget import Budget, BudgetName, budget_named
from purebp.verification.cases import (
    Case,
    cases_of,
    first_line,
    fixed_cases,
    make_args,
    patterns_of,
    variants,
)
from purebp.verification.checks import CHECKS, ONCE, checks_of, out_of_range
from purebp.verification.compare import Failure, Outcome, failed
from purebp.verification.diagnosis import Diagnosis, in_context, of_a_check
from purebp.verification.probe import Probe
from purebp.verification.report import CheckReport, Report, Verdict
from purebp.verification.target import Target, make_target

NOTHING = "no floating output: there is no derivative to check"
TRANSFORMED = 1
"""Under jit, vmap and twice: for the first variant."""
QUIET = settings(
    deadline=None,
    database=None,
    suppress_health_check=tuple(HealthCheck),  # type: ignore[reportArgumentType]  # a metaclass
    phases=[Phase.explicit, Phase.generate],
)


def verify(
    target: Any,
    *example_args: Any,
    reference: Callable[..., Any] | None = None,
    static: Mapping[str, Any] | None = None,
    shapes: str | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    budget: BudgetName = "normal",
    max_examples: int | None = None,
    seed: int | None = None,
) -> Report:
    """Check a hand-written backward pass, and report.

    Args:
        target: an Op; a `(fwd, bwd)` pair with `fwd(*args) -> (y, residuals)` and
            `bwd(residuals, y_bar) -> cotangents`; a `jax.custom_vjp` or `jax.custom_jvp` function;
            a pair of NumPy functions, `layer_forward(x, ...) -> (out, cache)` and
            `layer_backward(dout, cache) -> grads`.
        example_args: ordinary arguments, from which others are made: shapes, values, options.
            Not needed where annotations or `shapes` say enough.
        reference: the plain function that autodiff differentiates. By default the definition of
            the Op, the undecorated body of the rule, or the primal output of fwd.
        static: keyword-only options: a value, or a list of values to try.
        shapes: axis names for each argument, as in `"b d, d k"`; sizes are varied.
        rtol: allowed relative error of each entry, instead of 8 roundings of (|J|^T |y_bar|).
        atol: allowed absolute error of each entry, added to that.
        budget: how much is tried: "quick", "normal" or "thorough".
        max_examples: inputs drawn for each variant (options and shapes), on top of one for each
            kind of values, instead of the budget's.
        seed: makes a run repeatable; 0 by default.

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
    started = time.perf_counter()
    made = make_target(target, reference, static, shapes, example_args)
    if rtol is not None or atol is not None:
        tolerance = made.tolerance._replace(rtol=rtol, atol=atol or 0.0)
        made = dataclasses.replace(made, tolerance=tolerance)
    seed = 0 if seed is None else seed
    amount = budget_named(budget)
    if max_examples is not None:
        amount = amount._replace(examples=max_examples)
    with np.errstate(all="ignore"):  # nan and infinity are among the inputs
        runs = _run(made, amount, seed)
    diagnosis = _diagnose(made, runs)
    residual, autodiff = _residual_bytes(made)
    return Report(
        target=made.name,
        reference=made.reference_name,
        checks={name: run.summary() for name, run in runs.items()},
        failures=tuple(run.failure for run in runs.values() if run.failure is not None),
        diagnosis=diagnosis,
        seed=seed,
        residual_bytes=residual,
        autodiff_bytes=autodiff,
        seconds=time.perf_counter() - started,
    )


@dataclass
class _Run:
    """What one check found over the cases."""

    cases: int = 0
    worst: float = 0.0
    undecided: int = 0
    conventions: int = 0
    vacuous: int = 0
    autodiff_wrong: int = 0
    note: str = ""
    failure: Failure | None = None
    found: tuple[Probe, Case] | None = field(default=None, repr=False)

    def add(self, probe: Probe, case: Case, outcome: Outcome) -> None:
        self.cases += 1
        if outcome.inconclusive:
            self.undecided += 1
            self.note = outcome.inconclusive
        self.conventions += outcome.convention
        self.vacuous += outcome.vacuous
        self.autodiff_wrong += outcome.autodiff_wrong
        self.worst = max(self.worst, outcome.worst)
        if outcome.failure is not None and self.failure is None:
            self.failure, self.found = outcome.failure, (probe, case)

    def summary(self) -> CheckReport:
        verdict: Verdict = "pass"
        if self.failure is not None:
            verdict = "fail"
        elif not self.cases:
            verdict = "not run"
        elif self.vacuous == self.cases:
            return CheckReport("vacuous", self.cases, self.worst, NOTHING)
        elif self.undecided == self.cases:
            verdict = "inconclusive"
        elif self.conventions:
            verdict = "convention"
        note = self.note
        if self.autodiff_wrong:
            note = f"autodiff is wrong on {self.autodiff_wrong}; yours is the function's own slope"
        elif self.conventions:
            note = f"{self.conventions} at a kink, inside the hull of the nearby gradients"
        elif self.undecided and self.undecided < self.cases:
            note = f"{self.undecided} undecided: {note}"
        return CheckReport(verdict, self.cases, self.worst, note)


def _run(target: Target, budget: Budget, seed: int) -> dict[str, _Run]:
    runs = {name: _Run() for name in checks_of(target)}
    for index, variant in enumerate(variants(target, budget)):
        probe = Probe(target, variant)
        if not _contract_holds(probe, runs["contract"]):
            break
        _run_variant(probe, runs, budget.examples, seed, transform=index < TRANSFORMED)
        if target.given is not None and any(run.found for run in runs.values()):
            break
    for name, run in runs.items():
        if run.found is not None and name not in ONCE:
            run.failure = _shrink(name, *run.found, budget, seed) or run.failure
    return runs


def _diagnose(target: Target, runs: Mapping[str, _Run]) -> Diagnosis | None:
    """What is most likely wrong, on the first case that failed."""
    found = {name: run.found for name, run in runs.items() if run.found is not None}
    if not found:
        return None
    for name in ("contract", "buffers", "repeat"):
        if name in found:
            return of_a_check(name, runs[name].failure)
    for name in ("jacobian", "gradient float64", "gradient float32"):
        if name in found:
            return in_context(target, *found[name])
    name = next(iter(found))
    return of_a_check(name, runs[name].failure)


def _contract_holds(probe: Probe, run: _Run) -> bool:
    try:
        outcome = CHECKS["contract"](probe, probe.first)
    except Exception as error:  # noqa: BLE001 - whatever a custom backward pass raises is a finding
        kind = "" if isinstance(error, PurebpError) else f"bwd raised {type(error).__name__}: "
        run.add(probe, probe.first, failed("contract", probe.first, kind + first_line(error)))
        return False
    run.add(probe, probe.first, outcome)
    return True


def _run_variant(
    probe: Probe, runs: dict[str, _Run], examples: int, seed: int, *, transform: bool
) -> None:
    once = [name for name in runs if name in ONCE and name != "contract"]
    for name in once if transform else ():
        _run_check(name, probe, probe.first, runs[name])

    def every_check(case: Case) -> None:
        for name, run in runs.items():
            if name not in ONCE:
                _run_check(name, probe, case, run)

    patterns = patterns_of(probe.target)
    for case in fixed_cases(probe.variant, patterns):
        every_check(case)
    drawn = hypothesis.given(case=cases_of(probe.variant, patterns))(every_check)
    hypothesis.seed(seed)(settings(QUIET, max_examples=examples)(drawn))()


def _run_check(name: str, probe: Probe, case: Case, run: _Run) -> None:
    if run.failure is not None and probe.target.given is not None:
        return
    try:
        outcome = out_of_range(name, probe, case) or CHECKS[name](probe, case)
    except PurebpError:
        raise
    except Exception as error:  # noqa: BLE001 - a check that cannot run is a finding, not a crash
        outcome = failed(name, case, f"raised {type(error).__name__}: {first_line(error)}")
    run.add(probe, case, outcome)


def _shrink(name: str, probe: Probe, case: Case, budget: Budget, seed: int) -> Failure | None:
    """The failure on the simplest case of the variant that still fails the same check."""

    def fails(candidate: Case) -> bool:
        if out_of_range(name, probe, candidate) is not None:
            return False
        try:
            return CHECKS[name](probe, candidate).failure is not None
        except Exception:  # noqa: BLE001 - another finding than the one that is shrunk
            return False

    try:
        smallest = hypothesis.find(
            cases_of(probe.variant, patterns_of(probe.target)),
            fails,
            settings=settings(
                QUIET, max_examples=budget.shrink, phases=[Phase.generate, Phase.shrink]
            ),
            random=random.Random(seed),
        )
    except NoSuchExample:
        return None
    return CHECKS[name](probe, smallest).failure


def _residual_bytes(target: Target) -> tuple[int | None, int | None]:
    """Bytes that the hand-written pair and autodiff save between forward and backward."""
    largest: tuple[int, int] | None = None
    if target.numpy is not None:
        return None, None
    for variant in variants(target)[:2]:
        probe = Probe(target, variant)
        args = make_args(target, probe.first)
        chosen, rest = probe.layout.split(args)
        autodiff = jax.eval_shape(
            lambda c, p=probe, r=rest: jax.vjp(lambda c: p.reference_leaves(c, r), c)[1], chosen
        )
        hand = jax.eval_shape(lambda c, p=probe, r=rest: _saved(p, c, r), chosen)
        pair = (_bytes(hand), _bytes(autodiff))
        largest = pair if largest is None else max(largest, pair, key=sum)
    return largest if largest is not None else (None, None)


def _saved(probe: Probe, chosen: Any, rest: Any) -> Any:
    target = probe.target
    if target.save is not None:
        return target.save(probe.settings, *probe.layout.join(chosen, rest))
    return jax.vjp(lambda c: probe.forward_leaves(c, rest), chosen)[1]


def _bytes(tree: Any) -> int:
    return sum(
        int(np.prod(leaf.shape, dtype=int)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)
    )

    return str(jax.tree.map(np.shape, arg))
