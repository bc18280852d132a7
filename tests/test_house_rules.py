"""The rules of the house that no linter holds."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = sorted((ROOT / "constraints").glob("*.txt"))

SOFT_LIMIT, HARD_LIMIT = 300, 400

# A path that is continued from something else, as in `$(VENV)/bin` or `{root}/opt`, is not one.
MACHINE_PATH = re.compile(
    r"(?<![\w.$})/])/(?:home|root|Users|work\w*|opt|mnt|srv|tmp|private|var)/\w|\b[A-Z]:\\\w"
)
INDEX_ADDRESS = re.compile(
    r"pythonhosted[.]org|pypi[.]org/simple|\bfile://|"
    r"(?<!\S)--(?:(?:extra-)?index-url|find-links|trusted-host)\b"
)
MARKER = r"[a-z_]+ [!=<>]=? '[\w.]+'"
LOCK_LINE = re.compile(
    rf"[a-z0-9-]+==[0-9a-z.]+( ; {MARKER}( and {MARKER})*)? \\"
    r"|    --hash=sha256:[0-9a-f]{64}( \\)?"
)


def repository_files(pattern: str = "*") -> list[Path]:
    """The files git knows or would take, so that builds and caches are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", pattern],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def machine_paths(text: str) -> Iterator[str]:
    """The lines that name an absolute path of some machine."""
    return (line for line in text.splitlines() if MACHINE_PATH.search(line))


def index_addresses(text: str) -> Iterator[str]:
    """The lines that say where packages come from."""
    return (line for line in text.splitlines() if INDEX_ADDRESS.search(line))


def private_jax(source: str) -> Iterator[str]:
    """The imports and attributes that reach into JAX's private modules."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        yield from (name for name in names if f"{name}.".startswith("jax._src."))


def violations(rule: Callable[[str], Iterator[str]], files: list[Path]) -> list[str]:
    """What a rule finds, each as `file: text`; files that are not text are left out."""
    found: list[str] = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {what}" for what in rule(text)]
    return found


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (machine_paths, 'p = "{}home/me"'),
        (machine_paths, "see {}opt/x/bin for more"),
        (machine_paths, "{}tmp/out.txt"),
        (index_addresses, "pip install --{}index-url x"),
        (index_addresses, "pip install --{}find-links x"),
        (index_addresses, "https://pypi.{}org/simple"),
    ],
)
def test_a_planted_line_is_found(rule: Callable[[str], Iterator[str]], text: str) -> None:
    gap = "/" if rule is machine_paths else ""
    assert list(rule("fine\n" + text.format(gap) + "\nfine")) == [text.format(gap)]


@pytest.mark.parametrize(
    "source",
    ["import jax._src.core", "from jax import _src", "from jax._src import core", "jax._src.core"],
)
def test_planted_private_jax_is_found(source: str) -> None:
    assert list(private_jax(source))


def test_public_jax_is_not_taken_for_private() -> None:
    assert list(private_jax("import jax.numpy as jnp\nfrom jax import lax\njax.lax.add")) == []


def test_no_file_uses_private_jax() -> None:
    assert violations(private_jax, repository_files("*.py")) == []


def test_no_file_names_a_path_of_a_machine() -> None:
    assert violations(machine_paths, repository_files()) == []


def test_no_file_names_an_index() -> None:
    assert violations(index_addresses, repository_files()) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_names_versions_and_hashes_only(lock: Path) -> None:
    strange = [line for line in lock.read_text().splitlines() if not LOCK_LINE.fullmatch(line)]
    assert strange == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_fits_pyproject(lock: Path) -> None:
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), flags=re.MULTILINE))
    extras = PYPROJECT["project"]["optional-dependencies"]
    wanted = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"]["build"]]
    for extra in ("test", "examples", "graph", "notebooks", "peers"):
        wanted += extras[extra]
    missing = [
        line
        for line in wanted
        for requirement in [Requirement(line)]
        if (name := canonicalize_name(requirement.name)) not in pins
        or not requirement.specifier.contains(pins[name], prereleases=True)
    ]
    assert missing == []
    assert "torch" not in pins


def test_there_is_a_lock_for_each_python_that_is_promised() -> None:
    promised = re.findall(r"Python :: (3)[.](\d+)", "\n".join(PYPROJECT["project"]["classifiers"]))
    assert [lock.stem for lock in LOCKS] == [f"py{major}{minor}" for major, minor in promised]


def test_modules_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in repository_files("purebp/*.py")
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > HARD_LIMIT} == {}
    long = [name for name, length in lengths.items() if length > SOFT_LIMIT]
    assert len(long) <= len(lengths) // 10, f"over {SOFT_LIMIT} lines: {long}"


def test_the_wheel_holds_purebp_alone(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "purebp/py.typed" in names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"purebp"}
