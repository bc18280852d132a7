"""The command line: `purebp verify`, `ops`, `graph`, `train`, `bench`.

Exit status: 0 all is right, 1 a gradient is wrong, 2 not decided or not run, 3 wrong usage.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from purebp import __version__
from purebp.benchmark.command import add_bench_command
from purebp.catalog import families
from purebp.errors import OptionError, PurebpError, TargetError, UnknownOpError
from purebp.graph.command import add_graph_command
from purebp.training import add_train_command
from purebp.verification.command import add_verify_command

OK, UNDECIDED, USAGE = 0, 2, 3


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}\n(try `{self.prog} --help`)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (UnknownOpError, OptionError) as error:
        return _complain(error, USAGE)
    except TargetError as error:
        return _complain(error, USAGE if args.command == "train" else UNDECIDED)
    except PurebpError as error:
        return _complain(error, USAGE)
    except BrokenPipeError:
        return OK
    except KeyboardInterrupt:
        return _complain("stopped", UNDECIDED)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="purebp", description="Hand-derived backpropagation in JAX, verified.")
    parser.add_argument("--version", action="version", version=f"purebp {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    add_verify_command(commands)
    listing = commands.add_parser("ops", help="list the ops")
    listing.set_defaults(run=_list_ops)
    add_graph_command(commands)
    add_train_command(commands)
    add_bench_command(commands)
    return parser


def _list_ops(args: argparse.Namespace) -> int:
    console = Console()
    for family, ops in families().items():
        console.print(f"[bold]{family}[/bold]")
        for op in ops:
            summary = (op.__doc__ or "").strip().splitlines()[0]
            console.print(f"  {op.name:<24} {escape(summary)}", soft_wrap=True)
    return OK


def _complain(message: object, status: int) -> int:
    print(f"purebp: {message}", file=sys.stderr)
    return status
