"""The fixture and the mark, in a project of somebody else."""

import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

LAYERS = """
import jax.numpy as jnp

X = jnp.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]])

def scaled_fwd(x, *, factor=2.0):
    return factor * x, ()

def scaled_bwd(residuals, y_bar, *, factor):
    return (2.0 * y_bar,)
"""


PLUGIN = "purebp.verification.pytest_plugin"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_pytest_finds_the_plugin_where_purebp_is_installed():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"purebp": PLUGIN}


def run(pytester, text, *options):
    pytester.makepyfile(layers=LAYERS, test_layers="import pytest\nfrom layers import *\n" + text)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", PLUGIN, *options)


def test_the_fixture_passes_a_right_layer_and_fails_a_wrong_one_with_the_report(pytester):
    text = """
    def test_right(purebp_verify):
        report = purebp_verify((scaled_fwd, scaled_bwd), X, static={"factor": 2.0}, budget="quick")
        assert report.ok

    def test_wrong(purebp_verify):
        purebp_verify((scaled_fwd, scaled_bwd), X, static={"factor": 3.0}, budget="quick")
    """
    result = run(pytester, text.replace("\n    ", "\n"))
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "scaled: right at the defaults, wrong with factor=3.0: x_bar is 1.5 times too small",
            "*jacobian failed: *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_the_mark_makes_one_test_for_each_setting_and_each_op(pytester):
    text = """
    @pytest.mark.purebp((scaled_fwd, scaled_bwd), X, static={"factor": [2.0, 3.0]}, budget="quick")
    @pytest.mark.purebp(ops=["neg"], max_examples=1)
    def test_gradient(purebp_case):
        purebp_case(seed=1)
    """
    result = run(pytester, text.replace("\n    ", "\n"), "-v", "--strict-markers")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_gradient?scaled-factor=2.0? PASSED*",
            "*test_gradient?scaled-factor=3.0? FAILED*",
            "*test_gradient?neg? PASSED*",
        ]
    )


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ("", "*takes purebp_case, expected above it @pytest.mark.purebp(target*"),
        ("@pytest.mark.purebp()", "*takes either a target or ops=*"),
        ('@pytest.mark.purebp(X, ops=["neg"])', "*takes either a target or ops=*"),
        ('@pytest.mark.purebp(ops=["negg"])', "*negg*neg*"),
    ],
)
def test_wrong_use_of_the_mark_is_told(pytester, mark, told):
    result = run(pytester, f"{mark}\ndef test_gradient(purebp_case):\n    purebp_case()\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([told])
