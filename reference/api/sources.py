"""Where things are written: the lines of an op, of its reference and of its tests, as pages."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from purebp.op import Op

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("DEFINITIONS", "BACKWARD", "SOURCES", "PRECISE", "PRECISE_GATES")
STYLE = """
body { margin: 0; padding: 1rem 2rem; background: #fff; color: #222; }
h1 { font: 600 1.1rem ui-monospace, monospace; }
.highlight { font-size: 0.85rem; line-height: 1.4; }
.linenos a { color: #999; text-decoration: none; }
span[id^=line-]:target { background: #fff3bf; display: inline-block; }
"""


class Place(NamedTuple):
    """A line of a file of the repository."""

    path: str
    line: int

    @property
    def page(self) -> str:
        """Its address, seen from the root of the pages."""
        return f"source/{self.path}.html#line-{self.line}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def defined(value: Any) -> Place | None:
    """Where a public name is written; an op where its definition is."""
    function = _plain(value)
    try:
        path = Path(inspect.getsourcefile(function) or "").resolve()
        return Place(path.relative_to(ROOT).as_posix(), inspect.getsourcelines(function)[1])
    except (TypeError, OSError, ValueError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, Op):
        value = value.definition if hasattr(value.definition, "__code__") else value.forward
    return inspect.unwrap(value)


def written_again(name: str) -> list[Place]:
    """The lines of reference/ that define an op again, and its backward pass."""
    return list(_reference_lines().get(name, ()))


@cache
def _reference_lines() -> dict[str, list[Place]]:
    """What the tables of reference/ name: the function of that name, else the row of the table."""
    found = dict[str, list[Place]]()
    for path in sorted((ROOT / "reference").glob("*.py")):
        statements = ast.parse(path.read_text()).body
        functions = {node.name: node for node in statements if isinstance(node, ast.FunctionDef)}
        lines = dict[str, int]()
        for key in _keys_of_tables(statements):
            op = str(key.value)
            row = functions.get(op) or functions.get(f"{op}_backward") or key
            lines.setdefault(op, row.lineno)
        for name, line in lines.items():
            place = Place(path.relative_to(ROOT).as_posix(), line)
            found.setdefault(name, []).append(place)
    return found


def _keys_of_tables(statements: list[ast.stmt]) -> Iterator[ast.Constant]:
    for node in statements:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) in TABLES:
            tables = [part for part in ast.walk(node) if isinstance(part, ast.Dict)]
            keys = [key for table in tables for key in table.keys]
            yield from (key for key in keys if isinstance(key, ast.Constant))


def tested(place: Place) -> list[Place]:
    """The tests that mirror a file."""
    inside = Path(place.path).relative_to("purebp")
    mirror = Path("tests") / inside.parent / f"test_{inside.name}"
    return [Place(mirror.as_posix(), 1)] if (ROOT / mirror).exists() else []


def write_page(place: Place, folder: Path) -> None:
    """The file of a place as a page, its lines numbered."""
    target = folder / "source" / f"{place.path}.html"
    if target.exists():
        return
    formatter = HtmlFormatter(
        full=True, title=place.path, linenos="table", lineanchors="line", anchorlinenos=True,
        cssstyles="", style="friendly",
    )  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    page = highlight((ROOT / place.path).read_text(), PythonLexer(), formatter)
    target.write_text(page.replace("</style>", f"{STYLE}</style>", 1))
