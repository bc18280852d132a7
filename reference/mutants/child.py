"""The mutants of some functions, one after the other, in a process of their own.

Takes a job on its standard input. Says on its standard output which mutant comes next, then what
became of it: who starts it sees at which one it hung or crashed.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from reference.mutants.edits import mutants_of
from reference.mutants.judge import Subject, changed
from reference.mutants.reach import functions

Where = Mapping[str, Sequence[int]]
"""The ops whose backward pass calls a function, and in which of their variants."""


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
            subjects.setdefault(op, Subject(op)).learn(variants)
        for key, mutant in left:
            line = {"key": key, "name": name, **mutant._asdict(), "code": ""}
            tell(line)
            with changed(live[name], mutant.code):
                tell({**line, **killed(subjects, where)})


def killed(subjects: Mapping[str, Subject], where: Where) -> dict[str, str]:
    """The op and the check that kill what is changed now."""
    for op, variants in where.items():
        check = subjects[op].kills(variants)
        if check:
            return {"op": op, "by": check}
    return {"op": next(iter(where)), "by": ""}


def tell(line: Mapping[str, Any]) -> None:
    """Print a line at once."""
    print(json.dumps(line), flush=True)  # noqa: T201 - the parent process reads it


if __name__ == "__main__":
    main(json.load(sys.stdin))
