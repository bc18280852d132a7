"""Docstrings as reStructuredText: paragraphs, sections, formulas, code and examples."""

import inspect
import itertools
import re
import textwrap
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from reference.api.formulas import pieces

SECTIONS = (
    "Maths", "Shapes", "Residuals", "Kinks", "Args", "Attributes", "Returns", "Raises", "Units",
    "Source", "Example",
)  # fmt: skip
FORMAL = frozenset(("", "Maths", "Shapes", "Residuals", "Kinks", "Returns"))
"""The sections whose plain formulas are drawn; the first is what comes before any of them."""
HEADING = re.compile(rf"^({'|'.join(SECTIONS)}):(?: |$)", re.MULTILINE)
ITEM = re.compile(r"^(\*?\*?\w+): ")


class Section(NamedTuple):
    """A part of a docstring; the text before the first heading has the empty title."""

    title: str
    text: str


def sections(value: Any) -> list[Section]:
    """The sections of the docstring of a public name; what is not indented ends one."""
    parts = HEADING.split(inspect.getdoc(value) or "")
    found = [Section("", parts[0].strip())]
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        first, _, rest = text.partition("\n")
        own, rest = _indented(rest)
        found.append(Section(title, f"{first}\n{own}".strip()))
        if rest:
            found.append(Section("", rest))
    return found


def _indented(text: str) -> tuple[str, str]:
    """The indented beginning of a text, without its indentation, and the rest of it."""
    lines = text.splitlines()
    own = list(itertools.takewhile(lambda line: not line or line[0] == " ", lines))
    return textwrap.dedent("\n".join(own)), "\n".join(lines[len(own) :]).strip()


def summary(value: Any) -> str:
    """The first paragraph of a docstring, as one line."""
    return (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")


def as_rst(section: Section, names: Collection[str] = ()) -> str:
    """The text of a section: blocks apart by empty lines."""
    blocks = re.split(r"\n\s*\n", section.text)
    return "\n\n".join(_block(block, section.title, names) for block in blocks if block.strip())


def _block(block: str, title: str, names: Collection[str]) -> str:
    if block.lstrip().startswith(">>>"):
        return textwrap.dedent(block)
    if block.startswith("    ") or (title == "" and re.search(r"\n    \S", block)):
        return "::\n\n" + textwrap.indent(textwrap.dedent(block), "    ")
    if title in {"Args", "Attributes", "Raises", "Returns"} and ITEM.match(block):
        return "\n".join(_items(block))
    return inline(block.replace("\n", " "), names, formulas=title in FORMAL)


def _items(block: str) -> Iterator[str]:
    """`name: text`, each with its continued lines, as a list."""
    for item in re.split(r"\n(?=\S)", block):
        name, _, text = " ".join(item.split()).partition(": ")
        yield f"* ``{name}``: {inline(text, formulas=False)}"


def inline(text: str, names: Collection[str] = (), *, formulas: bool = True) -> str:
    """A line of text, with `code` and with its formulas."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(_inline(part, names, formulas) for part in parts)


def _inline(part: str, names: Collection[str], formulas: bool) -> str:
    if part.startswith("`") and len(part) > 1:
        return rf"\ `{part}`\ "
    if not formulas:
        return escaped(part)
    found = pieces(part, names)
    return "".join(rf"\ :math:`{p.text}`\ " if p.is_formula else escaped(p.text) for p in found)


def escaped(text: str) -> str:
    """Text in which no character means anything to reStructuredText."""
    return re.sub(r"([\\*`_|<>])", r"\\\1", text)
