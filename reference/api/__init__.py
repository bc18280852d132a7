"""The API reference as HTML pages, made from the docstrings: `python -m reference.api`.

formulas      plain formulas, as docstrings have them, to LaTeX
docstrings    the sections of a docstring, as reStructuredText
sources       pages of code, and which lines define, test and write an op again
pages         a page for each package, each op and each public name
mathml        formulas as MathML, which browsers draw themselves
"""
