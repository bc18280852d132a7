"""What verification found, for people (text) and for programs (JSON)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from purebp.errors import VerificationError
from purebp.verification.comparison import Failure
from purebp.verification.diagnosis import Diagnosis
from purebp.verification.html import page

Verdict = Literal["pass", "fail", "inconclusive", "convention", "vacuous", "refused", "not run"]

AGAIN = "to see it again"


@dataclass(frozen=True)
class CheckReport:
    """One check over all cases: its verdict, and its worst error in units of the tolerance.

    Example:
        >>> import purebp
        >>> from purebp.gates import sin
        >>> purebp.verify(sin, budget="quick").checks["jacobian"].verdict
        'pass'
    """

    verdict: Verdict
    cases: int = 0
    worst: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Report:
    """The result of `purebp.verify`.

    `ok` is true when every check ran and passed. `verdict` is "fail" as soon as one check fails,
    else "inconclusive" when one could not decide or did not run, else "pass". It is "vacuous" where
    the output has no floating numbers: the cotangents are 0, and no derivative was checked. A check
    that is "refused" (the layer does not take 16 bits) decides nothing.

    `source`: the backward pass and its line. `reproduction`: a script that shows the failure again.
    `born`: where the backward pass makes the first nan or infinity out of numbers. `parted`: which
    call of a rule, in a function that contains some, gets the right cotangents and gives others.
    `unexplored`: options of which only the default was tried. `without_gradient`: arrays that
    the backward pass has no gradient of, which is not checked. `planted`: how many mistakes were
    planted to see whether the inputs show them; `unseen`: those that they did not show.

    Example:
        >>> import purebp
        >>> from purebp.gates import sin
        >>> report = purebp.verify(sin, budget="quick")
        >>> report.ok, report.verdict
        (True, 'pass')
    """

    target: str
    reference: str
    checks: Mapping[str, CheckReport]
    failures: tuple[Failure, ...]
    seed: int | None
    diagnosis: Diagnosis | None = None
    source: str = ""
    reproduction: str = ""
    born: str = ""
    parted: str = ""
    unexplored: tuple[str, ...] = ()
    without_gradient: tuple[str, ...] = ()
    planted: int = 0
    unseen: tuple[str, ...] = ()
    residual_bytes: int | None = None
    autodiff_bytes: int | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def verdict(self) -> Verdict:
        """The verdict over all checks."""
        found = {check.verdict for check in self.checks.values()}
        if "fail" in found:
            return "fail"
        if found & {"inconclusive", "not run"} or not found:
            return "inconclusive"
        if "vacuous" in found:
            return "vacuous"
        return "convention" if "convention" in found else "pass"

    @property
    def ok(self) -> bool:
        """Whether the gradient was found to be right."""
        return self.verdict in {"pass", "convention", "vacuous"}

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(check.verdict in {"pass", "convention"} for check in self.checks.values())

    @property
    def worst(self) -> float:
        """The worst error over all checks, in units of the tolerance."""
        return max((check.worst for check in self.checks.values()), default=0.0)

    @property
    def headline(self) -> str:
        """The target, and what is most likely wrong with it."""
        return self.target if self.diagnosis is None else f"{self.target}: {self.diagnosis.text}"

    def __str__(self) -> str:
        count = f"{self.passed} of {len(self.checks)} checks passed"
        lines = [] if self.diagnosis is None else [self.headline]
        lines += [f"{self.target}: {self.verdict}, {count}", *self._facts()]
        width = max((len(name) for name in self.checks), default=0)
        for name, check in self.checks.items():
            lines.append(
                f"  {name:<{width}}  {check.verdict:<12}  {check.cases:>4} cases  {_note(check)}"
            )
        lines += self._power()
        for title, text in self._details():
            lines += ["", f"{title}:", "", *_indented(text)] if title == AGAIN else ["", text]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        checks = [(name, c.verdict, c.cases, _note(c)) for name, c in self.checks.items()]
        facts = [*self._facts(), *self._power()]
        return page(self.headline, self.verdict, facts, checks, self._details())

    def _facts(self) -> list[str]:
        facts = [f"reference: {self.reference}"]
        if self.source and not self.ok:
            facts.insert(0, f"backward pass: {self.source}")
        if self.unexplored:
            names = ", ".join(self.unexplored)
            facts.append(f"only the default was tried of: {names} (others: static={{...}})")
        if self.without_gradient:
            facts.append(f"no gradient was found of: {', '.join(self.without_gradient)}")
        return facts

    def _power(self) -> list[str]:
        if not self.ok or not self.planted:
            return []
        if not self.unseen:
            return [f"these inputs would show each of {self.planted} planted mistakes"]
        return [f"these inputs would not show a backward pass that {text}" for text in self.unseen]

    def _details(self) -> list[tuple[str, str]]:
        details = [(failure.check, describe(failure)) for failure in self.failures]
        details += [("where it is born", self.born)] if self.born else []
        details += [("where it parts", self.parted)] if self.parted else []
        return [*details, (AGAIN, self.reproduction)] if self.reproduction else details

    def to_json(self) -> str:
        """The report as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "target": self.target,
            "verdict": self.verdict,
            "ok": self.ok,
            "reference": self.reference,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "source": self.source,
            "reproduction": self.reproduction,
            "born": self.born,
            "parted": self.parted,
            "unexplored": list(self.unexplored),
            "without_gradient": list(self.without_gradient),
            "planted": self.planted,
            "unseen": list(self.unseen),
            "diagnosis": self.diagnosis._asdict() if self.diagnosis is not None else None,
            "residual_bytes": self.residual_bytes,
            "autodiff_bytes": self.autodiff_bytes,
            "checks": {name: _finite(asdict(check)) for name, check in self.checks.items()},
            "failures": [_finite(failure._asdict()) for failure in self.failures],
        }

    def raise_if_failed(self) -> None:
        """Raise VerificationError with the whole text unless the gradient was found right."""
        if not self.ok:
            raise VerificationError(str(self))


def describe(failure: Failure) -> str:
    """A failure in a few lines."""
    if not failure.argument:
        return f"{failure.check} failed: {failure.message}\n  on {failure.case}"
    element = f"[{', '.join(map(str, failure.element))}]" if failure.element else ""
    what = failure.argument if failure.argument == "output" else f"cotangent of {failure.argument}"
    lines = [f"{failure.check} failed: {what}, element {element or '()'}"]
    if failure.message:
        lines.append(f"  where     {failure.message}")
    lines += [
        f"  expected  {failure.expected:.9g}   ({failure.oracle})",
        f"  got       {failure.got:.9g}",
        f"  error     {abs(failure.got - failure.expected):.3g}, allowed {failure.tolerance:.3g}",
        f"  on        {failure.case}",
    ]
    return "\n".join(lines)


def _note(check: CheckReport) -> str:
    worst = f"worst error {check.worst:.2g} of the tolerance" if check.cases else ""
    return ", ".join(part for part in (worst, check.note) if part)


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.rstrip().splitlines()]


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no nan and no inf: say them as text."""
    return {
        key: str(value) if isinstance(value, float) and not abs(value) < float("inf") else value
        for key, value in values.items()
    }
