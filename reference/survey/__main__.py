"""How far purebp.grad and jax.grad agree on the public functions of JAX: `make survey`."""

import argparse
import itertools
import sys
import warnings
from collections import Counter
from collections.abc import Sequence

import jax
from rich.console import Console
from rich.progress import track
from rich.table import Table

from reference.survey import libraries, numbers
from reference.survey.case import NEAR, Found, look

VERDICTS = ("agrees", "better", "refuses", "no derivative", "does not run", "wrong")


def main(argv: Sequence[str] | None = None) -> int:
    """Look at all cases, or at those with a word in their name; print the score."""
    parser = argparse.ArgumentParser(prog="python -m reference.survey", description=__doc__)
    parser.add_argument("words", nargs="*", help="only cases with one of these in their name")
    parser.add_argument("--dtypes", nargs="+", default=list(NEAR), choices=list(NEAR))
    args = parser.parse_args(argv)
    every = [
        case
        for case in itertools.chain(numbers.cases(), libraries.cases())
        if not args.words or any(word in case.name for word in args.words)
    ]
    jobs = [(case, dtype) for dtype in args.dtypes for case in every]
    console = Console(stderr=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of experimental modules, and of nan among the numbers
        found = [look(*job) for job in track(jobs, "differentiating", console=console)]
    print_score(found)
    return int(any(each.verdict == "wrong" for each in found))


def print_score(found: Sequence[Found]) -> None:
    """A line for each dtype, and every case that does not simply agree."""
    table = Table(title=f"purebp.grad beside jax.grad, JAX {jax.__version__}")
    table.add_column("dtype")
    table.add_column("cases", justify="right")
    for verdict in VERDICTS:
        table.add_column(verdict, justify="right")
    for dtype in dict.fromkeys(each.dtype for each in found):
        counts = Counter(each.verdict for each in found if each.dtype == dtype)
        table.add_row(dtype, str(counts.total()), *(str(counts[v]) for v in VERDICTS))
    console = Console()
    console.print(table)
    for each in found:
        if each.verdict != "agrees":
            line = f"{each.verdict}: {each.name} ({each.dtype}) {each.note}"
            console.print(line, highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main())
