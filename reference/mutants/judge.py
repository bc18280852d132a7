"""Whether `purebp verify` kills a mutant: first by the numbers alone, then by everything it has."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType

import jax
import numpy as np

from purebp.catalog import OPS
from purebp.verification.budget import NORMAL, Budget
from purebp.verification.cases import Case, Variant, fixed_cases, patterns_of, variants
from purebp.verification.checks import CHECKS
from purebp.verification.comparison import EPS64
from purebp.verification.probe import Evidence, Hand, Probe
from purebp.verification.run import verify_target
from purebp.verification.target import Target, make_target
from purebp.verification.truth import Truth

FAR = 1e3
NUMBERS = ("jacobian", "gradient float64")


class Subject:
    """An op, and what is true about it: computed once, before anything is changed."""

    def __init__(self, name: str) -> None:
        self.target: Target = make_target(OPS[name])
        self.variants: tuple[Variant, ...] = variants(self.target)
        self._truth: dict[Case, Evidence] = {}

    def cases(self, variant: Variant) -> tuple[Case, ...]:
        """The fixed cases of a variant."""
        return fixed_cases(variant, patterns_of(self.target))

    def learn(self, where: Sequence[int]) -> None:
        """Compute the truth for some variants."""
        for variant in (self.variants[index] for index in where):
            probe = Probe(self.target, variant, quick=True)
            for case in self.cases(variant):
                if case not in self._truth:
                    self._truth[case] = probe.evidence(case)

    def kills(self, where: Sequence[int]) -> str:
        """The check that fails as things are; empty if none does."""
        try:
            found = next(self._failures(where), "")
            return found or self._by_everything()
        except Exception as error:  # noqa: BLE001 - a backward pass that raises is found out
            return f"raised {type(error).__name__}"

    def _failures(self, where: Sequence[int]) -> Iterator[str]:
        for variant in (self.variants[index] for index in where):
            probe = Probe(self.target, variant, quick=True)
            for case in self.cases(variant):
                known = self._truth[case]
                found = probe.retake(known)
                if case == probe.first and _is_far(found.hand64, known.hand64, known.truth):
                    yield NUMBERS[0]
                failing = (name for name in NUMBERS if CHECKS[name](probe, case).failure)
                yield from failing

    def _by_everything(self, budget: Budget = NORMAL) -> str:
        report = verify_target(self.target, budget, 0)
        failing = (name for name, check in report.checks.items() if check.verdict == "fail")
        return next(failing, "")


def _is_far(found: Hand, right: Hand, truth: Truth) -> bool:
    """Whether numbers are off by much where the right ones are what autodiff has: no kink there."""
    scale = truth.scale + np.abs(truth.scale).max(initial=0.0)
    close = np.abs(right.bars - truth.bars) <= FAR * EPS64 * scale
    return bool(close.all() and (np.abs(found.bars - truth.bars) > 1e-3 * scale).any())


@contextmanager
def changed(function: FunctionType, code: CodeType) -> Generator[None]:
    """A function with other code, for everybody who calls it."""
    kept = function.__code__
    jax.clear_caches()
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = kept
        jax.clear_caches()
