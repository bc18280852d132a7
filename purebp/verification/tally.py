"""What one check found over all cases."""

from dataclasses import dataclass, field

from purebp.verification.cases import Case
from purebp.verification.comparison import Failure, Outcome
from purebp.verification.probe import Probe
from purebp.verification.report import CheckReport, Verdict

NOTHING = "no floating output: there is no derivative to check"


@dataclass
class Tally:
    """Outcomes added up; the first failure, and the case it was found on."""

    cases: int = 0
    worst: float = 0.0
    undecided: int = 0
    conventions: int = 0
    vacuous: int = 0
    autodiff_wrong: int = 0
    refused: str = ""
    note: str = ""
    failure: Failure | None = None
    found: tuple[Probe, Case] | None = field(default=None, repr=False)

    def add(self, probe: Probe, case: Case, outcome: Outcome) -> None:
        """Add the outcome of one case."""
        self.cases += 1
        if outcome.inconclusive:
            self.undecided += 1
            self.note = outcome.inconclusive
        self.refused = self.refused or outcome.refused
        self.conventions += outcome.convention
        self.vacuous += outcome.vacuous
        self.autodiff_wrong += outcome.autodiff_wrong
        self.worst = max(self.worst, outcome.worst)
        if outcome.failure is not None and self.failure is None:
            self.failure, self.found = outcome.failure, (probe, case)

    def summary(self) -> CheckReport:
        """The verdict over all cases, and a note."""
        verdict: Verdict = "pass"
        if self.failure is not None:
            verdict = "fail"
        elif not self.cases:
            verdict = "not run"
        elif self.refused:
            return CheckReport("refused", self.cases, self.worst, self.refused)
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
