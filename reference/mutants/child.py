"""The mutants of some functions, one after the other, in a process of their own.

Takes a job on its standard input. Says on its standard output which mutant comes next, then what
became of it: who starts it sees at which one it hung or crashed.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any

from reference.mutants.edits import Mutant, mutants_of
from reference.mutants.judge import Subject, changed
from reference.mutants.reach import functions, name_of

Named = tuple[str, Mutant]


def main(job: Mapping[str, Any]) -> None:
    """Run every mutant that is not known yet."""
    live, known = functions(), {*job["known"]}
    subjects: dict[str, Subject] = {}
    for name, where in job["functions"].items():
        mutants = [(f"{name}#{k}", mutant) for k, mutant in enumerate(mutants_of(live[name]))]
        left = [(key, mutant) for key, mutant in mutants if key not in known]
        if not left:
            continue
        for op, variants in where.items():
            # The truth is learned before anything is changed.
            subject = subjects.setdefault(op, Subject(op))
            subject.learn(variants)
            left = list(survivors(subject, variants, live[name], left))
        for key, mutant in left:
            tell({**told(key, mutant, name), "op": next(iter(where)), "by": ""})


def survivors(
    subject: Subject, variants: Sequence[int], function: FunctionType, mutants: Sequence[Named]
) -> Iterator[Named]:
    """The mutants that an op lets live; the others are told of."""
    name = name_of(function.__code__)
    for key, mutant in mutants:
        line = told(key, mutant, name)
        tell(line)
        with changed(function, mutant.code):
            check = subject.kills(variants)
        if check:
            tell({**line, "op": subject.target.name, "by": check})
        else:
            yield key, mutant


def told(key: str, mutant: Mutant, name: str) -> dict[str, Any]:
    """What is told of a mutant."""
    return {"key": key, "name": name, **mutant._asdict(), "code": ""}


def tell(line: Mapping[str, Any]) -> None:
    """Print a line at once."""
    print(json.dumps(line), flush=True)  # noqa: T201 - the parent process reads it


if __name__ == "__main__":
    main(json.load(sys.stdin))
