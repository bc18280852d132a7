"""The sections of a docstring, as reStructuredText."""

from purebp.layers import layer_norm
from reference.api.docstrings import Section, as_rst, inline, sections, summary


def test_the_sections_of_an_op_are_all_there():
    titles = [section.title for section in sections(layer_norm)]
    assert titles == ["", "Maths", "Shapes", "Residuals", "Kinks", "Raises", "Source", "Example"]
    assert summary(layer_norm).startswith("y = gamma x_hat + beta")


def test_what_is_not_indented_ends_a_section():
    def function():
        """Words.

        Args:
            x: a number
                or two.
            y: another.

        More words.
        """

    assert sections(function) == [
        ("", "Words."),
        ("Args", "x: a number\n    or two.\ny: another."),
        ("", "More words."),
    ]


def test_words_mean_nothing_to_the_markup():
    assert inline("*args, x_ and |y|", formulas=False) == r"\*args, x\_ and \|y\|"


def test_code_and_formulas_are_marked():
    assert inline("`axis`: y = 2 x") == r"\ ``axis``\ : \ :math:`y = 2 x`\ "


def test_arguments_are_a_list():
    section = Section("Args", "size: how many, of\n    each kind.\naxis: along which.")
    assert as_rst(section) == "* ``size``: how many, of each kind.\n* ``axis``: along which."


def test_examples_and_tables_stay_as_they_are():
    section = Section("", "Words.\n\n>>> 1 + 1\n2\n\n    a  b\n    c  d")
    assert as_rst(section) == "Words.\n\n>>> 1 + 1\n2\n\n::\n\n    a  b\n    c  d"
