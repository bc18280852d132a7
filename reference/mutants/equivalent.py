"""Mutants that no check can kill, because their gradient is right; each with its reason."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Equivalent(NamedTuple):
    """Mutants of a function: those of one expression, and why they are right."""

    name: str
    before: str
    reason: str


EQUIVALENT: tuple[Equivalent, ...] = ()


def reason_of(line: Mapping[str, Any]) -> str:
    """Why a mutant is right; empty if there is no reason to think so."""
    matching = (e for e in EQUIVALENT if (e.name, e.before) == (line["name"], line["before"]))
    return next((e.reason for e in matching), "")
