"""Run the notebooks anew and keep their outputs: `make notebooks`."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "notebooks"
LIMIT = 600
"""Seconds for one cell."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run all, or those whose names begin with what is given."""
    parser = argparse.ArgumentParser(prog="python -m reference.notebooks", description=__doc__)
    parser.add_argument("names", nargs="*", help="as 01; all by default")
    args = parser.parse_args(argv)
    for path in notebooks(args.names):
        started = time.perf_counter()
        run_anew(path)
        sys.stdout.write(f"{path.name}: {time.perf_counter() - started:.0f} s\n")
    return 0


def notebooks(names: Sequence[str] = ()) -> list[Path]:
    """The notebooks, in order."""
    every = sorted(FOLDER.glob("*.ipynb"))
    return [path for path in every if not names or path.name.startswith(tuple(names))]


def run_anew(path: Path) -> None:
    """Run all cells in one kernel, and write them back with their outputs."""
    import nbformat  # noqa: PLC0415 - an extra that is needed for this alone
    from nbclient import NotebookClient  # noqa: PLC0415

    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=LIMIT, kernel_name="python3", resources=where).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times of day
    nbformat.write(notebook, path)


def code_cells(path: Path) -> Iterator[tuple[int, str]]:
    """The number and the source of each cell of code."""
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            yield number, "".join(cell["source"])


if __name__ == "__main__":
    sys.exit(main())
