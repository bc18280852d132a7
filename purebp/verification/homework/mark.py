"""The mark of one layer: is its forward right, each of its gradients, and what is wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from purebp.verification.homework.forward import Forward
from purebp.verification.report import Report


@dataclass(frozen=True)
class Mark:
    """One row of the table.

    `verdict` is that of the report, "fail" too where the forward is wrong, and "not run" where
    nothing could be checked; `problem` then says why. `gradients` has a few words for each
    argument.
    """

    name: str
    file: str = ""
    line: int = 0
    functions: tuple[str, ...] = ()
    matched: str = ""
    forward: Forward = field(default_factory=Forward)
    gradients: Mapping[str, str] = field(default_factory=dict[str, str])
    diagnosis: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()
    report: Report | None = None

    @property
    def verdict(self) -> str:
        """The verdict on the layer."""
        if self.forward.verdict == "wrong":
            return "fail"
        return self.report.verdict if self.report is not None else "not run"

    @property
    def ok(self) -> bool:
        """Whether the layer was found to be right."""
        right = self.report is not None and self.report.ok
        return right and self.forward.verdict != "wrong"

    def to_dict(self) -> dict[str, Any]:
        """The mark as plain data: its report, with what is known beyond it."""
        report = {} if self.report is None else self.report.to_dict()
        return {
            **report,
            "target": self.name,
            "file": self.file,
            "line": self.line,
            "functions": list(self.functions),
            "matched": self.matched,
            "forward": self.forward._asdict(),
            "gradients": dict(self.gradients),
            "verdict": self.verdict,
            "ok": self.ok,
            "diagnosis": report.get("diagnosis"),
            "summary": self.summary,
            "notes": list(self.notes),
        }

    @property
    def summary(self) -> str:
        """What is wrong in one line; empty if nothing is."""
        if self.problem:
            return f"not run: {self.problem}"
        forward = "" if self.forward.verdict != "wrong" else forward_text(self.forward)
        parts = [text for text in (forward, self.diagnosis) if text]
        if not parts and self.report is not None and not self.report.ok:
            parts = [_undecided(self.report)]
        return "; ".join(parts)


def forward_text(forward: Forward) -> str:
    """What to say of a forward that is wrong."""
    return f"the forward differs from the definition of {forward.matched}: {forward.text}"


def _undecided(report: Report) -> str:
    open_checks = [
        f"{name} ({check.note or check.verdict})"
        for name, check in report.checks.items()
        if check.verdict in {"inconclusive", "not run"}
    ]
    return f"not decided: {', '.join(open_checks)}"


def in_words_of_course(text: str, names: tuple[str, ...]) -> str:
    """x_bar as dx, y_bar as dout: the words of CS231n."""
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}_bar(?!\w)", f"d{name}", text)
    return re.sub(r"(?<!\w)y_bar(?!\w)", "dout", text)


def brief(kind: str, text: str) -> str:
    """A diagnosis in two or three words, for a cell of the table."""
    times = re.search(r"is (\S+ times too (?:large|small))", text)
    if kind == "factor" and times is not None:
        return times.group(1)
    words = {"sign": "wrong sign", "no gradient": "is 0", "wrong formula": "wrong"}
    return words.get(kind, kind)
