"""The README's examples and the docstrings' run as they stand; its commands exist."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from reference.api.pages import names, packages

README = Path(__file__).parent.parent / "README.md"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
PACKAGES = packages()
PUBLIC = {each.name for package in PACKAGES for each in names(package)}
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]\d+)?")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(purebp.__path__, "purebp.")
    if not module.name.endswith("__main__")
)


class Numbers(doctest.OutputChecker):
    """Numbers may differ in the last digits: another device adds up in another order."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        if "..." in want:
            return super().check_output(want, got, optionflags)
        found = [[float(number) for number in NUMBER.findall(text)] for text in (want, got)]
        rest = [NUMBER.sub(" # ", text) for text in (want, got)]
        same = super().check_output(*rest, optionflags) and len(found[0]) == len(found[1])
        return same and np.allclose(*found, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("got", "same"),
    [
        ("[1.0000001 -2.]\n", True),
        ("[1.001 -2.]\n", False),
        ("[1. 2.]\n", False),
        ("[1. -2. 3.]\n", False),
        ("(1. -2.)\n", False),
    ],
)
def test_an_example_may_differ_in_its_last_digits_alone(got, same):
    assert Numbers().check_output("[ 1.  -2. ]\n", got, FLAGS) == same


def test_the_examples_of_the_readme_run():
    done = doctest.testfile(str(README), module_relative=False, optionflags=FLAGS)
    assert done.attempted >= 20
    assert done.failed == 0


def test_the_readme_opens_with_make_verify_and_make_test_which_exist():
    commands = re.findall(r"^    make (\w+)", README.read_text(), re.MULTILINE)
    assert commands[:2] == ["verify", "test"]
    makefile = (README.parent / "Makefile").read_text()
    for command in commands:
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_readme_names_every_public_name(package):
    words = set(re.findall(r"`(\w+)`", README.read_text()))
    public = {*importlib.import_module(package).__all__} - {"OPS"}
    assert public <= words


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_an_example(package):
    module = importlib.import_module(package)
    public = {name: getattr(module, name) for name in module.__all__}
    described = {name: x for name, x in public.items() if not isinstance(x, dict | tuple)}
    without = [name for name, x in described.items() if ">>>" not in (inspect.getdoc(x) or "")]
    assert without == []


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_run(name):
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(Numbers(), optionflags=FLAGS)
    known = {"jax": jax, "jnp": jnp, **dict(_importable(module))}
    for test in finder.find(module, globs=known):
        runner.run(test)
    assert runner.failures == 0


def _importable(module):
    """What an example may use unsaid: public names, and what its module defines."""
    for name, value in vars(module).items():
        own = getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        if own or name in PUBLIC:
            yield name, value
