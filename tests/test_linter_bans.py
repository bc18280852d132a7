"""Hand-derived, proved by the linter: it bans what differentiates, aliases too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ALIASED = {
    "from jax import grad as g": "g(abs)",
    "from jax import value_and_grad as g": "g(abs)",
    "from jax import vjp as pull": "pull(abs, 1.0)",
    "from jax import jacobian, jacrev, jacfwd": "jacobian, jacrev, jacfwd",
    "import jax as j": "j.grad(abs)",
    "import jax": "jax.vjp(abs, 1.0)",
    "import jax ": "jax.jvp, jax.hessian, jax.linearize, jax.linear_transpose",
    "from jax.interpreters import ad": "ad.jvp",
    "from jax.custom_derivatives import linear_call as call": "call",
    "from jax.experimental.jet import jet as taylor": "taylor",
    "from jax.experimental import jet": "jet",
    "import jax.test_util as check": "check.check_grads",
    "from hypothesis import given as g": "g",
    "import hypothesis.strategies as st": "st.floats",
}


def banned(source: str, path: str) -> list[str]:
    """The messages of ruff's ban on `source`, were it the file at `path` of this repository."""
    ruff = [sys.executable, "-m", "ruff", "check", "--select=TID251", "--output-format=json"]
    done = subprocess.run(
        [*ruff, f"--stdin-filename={path}", "-"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        input=source,
    )
    assert done.returncode in {0, 1}, done.stderr
    return [found["message"] for found in json.loads(done.stdout)]


@pytest.mark.parametrize("line", ALIASED)
def test_the_linter_bans_differentiation_where_rules_are_derived(line: str) -> None:
    source = f"{line}\n{ALIASED[line]}\n"
    for path in ("purebp/layers/x.py", "purebp/gates/x.py", "purebp/op.py", "purebp/cli.py"):
        assert banned(source, path), path


@pytest.mark.parametrize("line", ALIASED)
def test_the_linter_allows_it_where_rules_are_checked(line: str) -> None:
    source = f"{line}\n{ALIASED[line]}\n"
    for path in ("purebp/verification/x.py", "purebp/verification/a/b.py", "tests/layers/x.py"):
        assert banned(source, path) == [], path


def test_the_linter_allows_plain_jax() -> None:
    source = (
        "import jax.numpy as jnp\nfrom jax import custom_vjp, jit, lax\njnp, custom_vjp, jit, lax\n"
    )
    assert banned(source, "purebp/layers/x.py") == []


def test_the_linter_bans_private_jax() -> None:
    assert banned("from jax._src import core", "purebp/layers/x.py")
