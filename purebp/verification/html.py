"""A report as a notebook shows it."""

from collections.abc import Iterable, Sequence
from html import escape

COLOURS = {"pass": "#1a7f37", "convention": "#1a7f37", "fail": "#cf222e", "vacuous": "#6e7781"}
UNSURE = "#9a6700"
CELL = 'style="text-align:left; padding:1px 12px 1px 0"'


def page(
    headline: str,
    verdict: str,
    facts: Sequence[str],
    checks: Iterable[tuple[str, str, int, str]],
    details: Iterable[tuple[str, str]],
) -> str:
    """The verdict, the facts, a table of `(check, verdict, cases, note)`, and texts to open."""
    lines = "<br>".join(map(escape, facts))
    rows = "".join(
        f"<tr><td {CELL}>{escape(name)}</td><td {CELL}>{_coloured(found)}</td>"
        f"<td {CELL}>{cases}</td><td {CELL}>{escape(note)}</td></tr>"
        for name, found, cases, note in checks
    )
    opened = "".join(
        f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"
        for title, text in details
    )
    heads = "".join(f"<th {CELL}>{name}</th>" for name in ("check", "verdict", "cases", ""))
    table = f"<table><tr>{heads}</tr>{rows}</table>"
    title = f"<b>{escape(headline)}</b> {_coloured(verdict)}"
    return f"<div><p>{title}<br>{lines}</p>{table}{opened}</div>"


def _coloured(verdict: str) -> str:
    return f'<span style="color:{COLOURS.get(verdict, UNSURE)}">{escape(verdict)}</span>'
