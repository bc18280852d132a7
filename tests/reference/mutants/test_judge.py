"""Which mutants are killed, and that what is right is not."""

import pytest

from reference.mutants.edits import mutants_of
from reference.mutants.judge import Subject, changed
from reference.mutants.reach import called_backward, functions


@pytest.fixture(scope="module")
def subject():
    made = Subject("mul")
    made.learn(range(len(made.variants)))
    return made


def test_what_is_right_lives(subject):
    assert subject.kills(range(len(subject.variants))) == ""


def test_every_mutant_of_a_product_is_killed_and_the_right_one_lives_again(subject):
    called = called_backward(subject.target, subject.variants)
    assert set(called) == {"gates.arithmetic.mul_x_bar", "gates.arithmetic.mul_y_bar"}
    live = functions()
    for name, where in called.items():
        mutants = list(mutants_of(live[name]))
        assert mutants
        for mutant in mutants:
            with changed(live[name], mutant.code):
                assert subject.kills(where)
    assert subject.kills(range(len(subject.variants))) == ""
