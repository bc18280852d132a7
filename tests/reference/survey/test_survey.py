"""A fixed sample of the survey of JAX's public functions; the whole is `make survey`."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.autodiff import Rule
from reference.survey import libraries, numbers
from reference.survey.__main__ import main
from reference.survey.case import Case, look

EVERY = {case.name: case for case in itertools.chain(numbers.cases(), libraries.cases())}
SAMPLE = sorted(EVERY)[::12]


def test_the_survey_is_large_and_its_names_are_unique():
    cases = [*numbers.cases(), *libraries.cases()]
    assert len({case.name for case in cases}) == len(cases) > 400


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SAMPLE)
def test_a_gradient_agrees_with_that_of_jax_or_is_better(name):
    found = look(EVERY[name], "float64")
    assert found.verdict in {"agrees", "better", "does not run", "no derivative"}, found


def test_a_wrong_rule_and_a_missing_one_are_told(monkeypatch):
    case = Case("sin", jnp.sin, (np.asarray([0.5, 1.0]),))
    wrong = Rule(lambda _, args: ([jnp.sin(args[0])], None), lambda *given: [given[-1][0]])
    monkeypatch.setitem(purebp.autodiff.table.RULES, "sin", wrong)
    assert look(case, "float64").verdict == "wrong"
    monkeypatch.delitem(purebp.autodiff.table.RULES, "sin")
    assert look(case, "float32").verdict == "refuses"
    broken = Case("broken", lambda x: x @ jnp.ones(7), case.args)
    assert look(broken, "float32").verdict == "does not run"


def test_the_score_is_printed(capsys):
    assert main(["jnp.sinh", "special.zeta", "--dtypes", "float32"]) == 0
    assert "purebp.grad beside jax.grad" in capsys.readouterr().out
