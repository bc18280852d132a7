"""Formulas of docstrings as LaTeX, and words that are none."""

import pytest
from latex2mathml.converter import convert

from purebp.catalog import OPS
from reference.api.docstrings import sections
from reference.api.formulas import pieces


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("x_bar = y_bar / (2 sqrt(x)).", [r"\bar{x} = \bar{y} / ( 2 \sqrt{x} )"]),
        ("sqrt(width + eps)", [r"\sqrt{\mathrm{width} + \operatorname{eps}}"]),
        ("y = e^-x, and so on", ["y = e ^{- x}"]),
        ("z_bar = h'_bar / cosh^2 z", [r"\bar{z} = \overline{h^{\prime}} / \cosh ^{2} z"]),
        ("S_{k+1} x_hat_i", [r"S _{k + 1} \hat{x}_{i}"]),
        ("x_bar_i = sum of y_bar over all i", [r"\bar{x}_{i}", r"\bar{y}", "i"]),
        ("the mean <g x_hat> of both", [r"\langle g \hat{x} \rangle"]),
        ("x (*batch, d)", ["x ( {*} \\mathrm{batch} , d )"]),
        ("y = x where x > 0", ["y = x", "x > 0"]),
        ("m / (1 - rate), m a mask", [r"m / ( 1 - \mathrm{rate} )"]),
        ("loss = -ln p", [r"\mathrm{loss} = - \ln p"]),
        ("Newton's method, row-major, a sum (or none)", []),
        ("`x + 1` is code", []),
    ],
)
def test_formulas_are_found_among_words(text, formulas):
    found = list(pieces(text))
    assert [piece.text for piece in found if piece.is_formula] == formulas
    words = "".join(piece.text for piece in found if not piece.is_formula)
    assert all(word in text for word in words.split())


def test_nothing_but_formulas_is_lost():
    text = "with the mask m: x_bar = y_bar m, else 0 (as in JAX)."
    assert "".join(piece.text for piece in pieces(text) if not piece.is_formula) == (
        "with the mask : , else 0 (as in JAX)."
    )


@pytest.mark.parametrize("name", OPS)
def test_the_maths_of_every_op_can_be_drawn(name):
    op = OPS[name]
    maths = next(section.text for section in sections(op) if section.title == "Maths")
    arguments = [parameter.name for parameter in op.signature.parameters]
    formulas = [piece.text for piece in pieces(maths, arguments) if piece.is_formula]
    assert formulas or not {"=", "^", "_bar"} & {*maths.split()}
    for formula in formulas:
        assert convert(formula).startswith("<math")
