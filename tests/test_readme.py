"""The README's examples and the docstrings' run as they stand; its commands exist."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp

README = Path(__file__).parent.parent / "README.md"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]\d+)?")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(purebp.__path__, "purebp.")
    if not module.name.endswith("__main__")
)


class Numbers(doctest.OutputChecker):
    """Numbers may differ in the last digits: another device adds up in another order."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        found = [[float(number) for number in NUMBER.findall(text)] for text in (want, got)]
        rest = [NUMBER.sub(" # ", text) for text in (want, got)]
        same = super().check_output(*rest, optionflags) and len(found[0]) == len(found[1])
        return same and np.allclose(*found, rtol=1e-4, atol=1e-6)


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


def test_the_readme_names_every_op():
    from purebp.catalog import OPS

    words = set(re.findall(r"`(\w+)`", README.read_text()))
    shown = {name for name in OPS if name != "two_layer_net_with_svm"}
    assert shown <= words


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_run(name):
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(Numbers(), optionflags=FLAGS)
    for test in finder.find(module, extraglobs={"jax": jax, "jnp": jnp}):
        runner.run(test)
    assert runner.failures == 0
