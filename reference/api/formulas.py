"""Formulas of docstrings, `x_bar = y_bar / (2 sqrt(x))`, to LaTeX, token by token.

Nothing is reordered: what stands on a line in the docstring stands on a line on the page. A formula
is the longest run of mathematical tokens that holds an operator, or a single letter.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

GREEK = frozenset((
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "lambda", "mu", "nu",
    "xi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Lambda",
    "Sigma", "Phi", "Omega",
))  # fmt: skip
FUNCTIONS = frozenset((
    "sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "ln", "log", "det", "max", "min",
))  # fmt: skip
OTHERS = frozenset((
    "sqrt", "sum", "prod", "softmax", "sigmoid", "relu", "erf", "atan2", "arcsin", "arccos",
    "arctan", "arcsinh", "arccosh", "arctanh", "digamma", "trigamma", "lse", "var", "diag",
    "tril", "triu", "sign", "round", "floor", "conj", "vec", "expm1", "log1p", "softplus",
    "gelu", "Re", "Im", "tr", "inf", "pi", "eps",
))  # fmt: skip
SYMBOLS = {
    "<=": r"\le ", ">=": r"\ge ", "!=": r"\ne ", "->": r"\to ", "...": r"\dots ", "*": r"\cdot ",
    "<": "<", ">": ">", "%": r"\bmod ", "{": r"\{", "}": r"\}", "~": r"\sim ",
}  # fmt: skip
WORDS = {"sum": r"\sum", "prod": r"\prod", "inf": r"\infty", "pi": r"\pi", "Re": r"\mathrm{Re}\,"}
TOKEN = re.compile(
    r"(?P<code>`[^`]*`)|(?P<word>[A-Za-z]{2,}'[a-z]+)|(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9]*'*(?:_[A-Za-z0-9]+)*)"
    r"|(?P<symbol>\.\.\.|<=|>=|!=|->|[-+*/=^_()\[\]{}|<>,'%~])|(?P<other>\S)"
)
SHORT = re.compile(r"[A-Za-z]\d*'*|d[A-Za-z]|i[a-z]")
"""Names that are no words: x, l1, h', dx, iy."""
CALLED = frozenset("([^'_=")
OPERATORS = frozenset(("=", "+", "-", "*", "/", "^", "<=", ">=", "<", ">", "->", "|"))
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
ARTICLES = frozenset("aAI")
PROSE = frozenset(("do", "is", "it", "if", "in"))


class Token(NamedTuple):
    """A piece of text: its kind, and where it is."""

    kind: str
    text: str
    start: int
    end: int


class Piece(NamedTuple):
    """Words, or a formula in LaTeX."""

    is_formula: bool
    text: str


def pieces(text: str, names: Collection[str] = ()) -> Iterator[Piece]:
    """A text cut into words and formulas; `names` are those of the arguments."""
    tokens = [Token(str(m.lastgroup), m.group(), m.start(), m.end()) for m in TOKEN.finditer(text)]
    done, first = 0, 0
    while first < len(tokens):
        run = _trimmed(text, _run(text, tokens, first, names))
        if _is_formula(run, names):
            if text[done : run[0].start]:
                yield Piece(False, text[done : run[0].start])
            yield Piece(True, latex(text, run))
            done = run[-1].end
            first = tokens.index(run[-1]) + 1
        else:
            first += max(len(run), 1)
    if text[done:]:
        yield Piece(False, text[done:])


def _run(text: str, tokens: list[Token], first: int, names: Collection[str]) -> list[Token]:
    """The mathematical tokens from here on, with all brackets closed."""
    depth, run, closed = list[str](), list[Token](), 0
    for place, token in enumerate(tokens[first:], start=first):
        after = tokens[place + 1] if place + 1 < len(tokens) else None
        called = after is not None and after.text in CALLED and after.start - token.end < 1
        defined = after is not None and after.text == "="
        before = run[-1].text if run else ""
        beside = bool(depth) and bool({before, after.text if after else ""} & OPERATORS)
        known = called or defined or beside or _is_mathematical(token, names, inside=bool(depth))
        if not known or token.kind in {"code", "word", "other"}:
            break
        if token.text in OPEN:
            depth.append(OPEN[token.text])
        elif _opens(text, token):
            depth.append(">")
        elif token.text == ">" and depth[-1:] == [">"]:
            depth.pop()
        elif token.text in CLOSE and (not depth or depth.pop() != token.text):
            break
        run.append(token)
        if not depth:
            closed = len(run)
    return run[:closed]


def _is_mathematical(token: Token, names: Collection[str], *, inside: bool) -> bool:
    if token.kind == "name":
        base, *rest = token.text.split("_")
        short = SHORT.fullmatch(base) is not None and base not in PROSE
        known = base in GREEK | FUNCTIONS | OTHERS or base in names
        return short or known or bool({"bar", "hat"} & {*rest})
    if token.text in {",", "'"}:
        return inside or token.text == "'"
    return token.kind in {"number", "symbol"}


def _trimmed(text: str, run: list[Token]) -> list[Token]:
    """Without operators that stand at an end."""
    ends = OPERATORS - {"|"} | {",", "'", "_"}
    while run and run[-1].text in ends | {"sum", "prod"} and not _closes(text, run[-1]):
        run = run[:-1]
    while run and run[0].text in ends - {"-"} and not _opens(text, run[0]):
        run = run[1:]
    return run


def _opens(text: str, token: Token) -> bool:
    return token.text == "<" and _touches(text, token.end)


def _closes(text: str, token: Token) -> bool:
    return token.text == ">" and _touches(text, token.start - 1)


def _is_formula(run: list[Token], names: Collection[str]) -> bool:
    texts = [token.text for token in run]
    named = [token for token in run if token.kind == "name"]
    if len(run) == 1:
        return (
            bool(named)
            and texts[0] not in ARTICLES
            and (SHORT.fullmatch(texts[0]) is not None or "_" in texts[0])
        )
    if texts[:1] == ["a"] and texts[1:2] != ["="] and not OPERATORS & {*texts[1:2]}:
        return False
    return bool(named) and bool(OPERATORS & {*texts} or any("_" in text for text in texts))


def latex(text: str, run: list[Token]) -> str:
    """A run of tokens as LaTeX."""
    parts, index = list[str](), 0
    while index < len(run):
        part, index = _atom(text, run, index)
        parts.append(part)
    return " ".join(" ".join(parts).split())


def _atom(text: str, run: list[Token], index: int) -> tuple[str, int]:
    """One token, with its exponent or index, as LaTeX; and where the next one is."""
    token = run[index]
    following = run[index + 1].text if index + 1 < len(run) else ""
    if token.text in {"^", "_"}:
        inner, after = _script(text, run, index + 1)
        return f"{token.text}{{{inner}}}", after
    if token.text == "sqrt" and following == "(":
        end = _closing(run, index + 1)
        return rf"\sqrt{{{latex(text, run[index + 2 : end])}}}", end + 1
    if token.kind == "name":
        return name_in_latex(token.text), index + 1
    if _opens(text, token):
        return r"\langle ", index + 1
    if _closes(text, token):
        return r"\rangle ", index + 1
    if token.text == "*" and _touches(text, token.end) and not text[: token.start][-1:].isalnum():
        return "{*}", index + 1
    return SYMBOLS.get(token.text, token.text), index + 1


def _touches(text: str, place: int) -> bool:
    return 0 <= place < len(text) and not text[place].isspace()


def _script(text: str, run: list[Token], index: int) -> tuple[str, int]:
    """An exponent: a group in brackets, or what follows without a space."""
    if index < len(run) and run[index].text in OPEN:
        end = _closing(run, index)
        return latex(text, run[index + 1 : end]), end + 1
    end = min(index + 1, len(run))
    stops = {"/", "*", "=", "^", ",", "+", "-", "<", ">", *OPEN, *CLOSE}
    if run[index:end] and run[index].text == "-":
        end = min(end + 1, len(run))
    while end < len(run) and run[end].start == run[end - 1].end and run[end].text not in stops:
        end += 1
    return latex(text, run[index:end]), end


def _closing(run: list[Token], index: int) -> int:
    depth = 0
    for place in range(index, len(run)):
        depth += (run[place].text in OPEN) - (run[place].text in CLOSE)
        if depth == 0:
            return place
    raise ValueError(f"brackets do not close in {[token.text for token in run]}")


def name_in_latex(name: str) -> str:
    r"""A name with its marks and indices: `x_bar_i` is \bar{x}_{i}."""
    base, *rest = name.split("_")
    known = SHORT.fullmatch(base) or base in GREEK | FUNCTIONS | OTHERS
    indexed = known and (len(rest[:1]) == 0 or len(rest[0]) == 1 or base not in {"log", "ln"})
    while not indexed and rest and rest[0] not in {"bar", "hat"}:
        base = f"{base}_{rest.pop(0)}"
    found = _base(base)
    indices = list[str]()
    for mark in rest:
        if mark in {"bar", "hat"}:
            wide = bool(indices) or (len(base) > 1 and base not in GREEK)
            inner = f"{found}_{{{','.join(indices)}}}" if indices else found
            command = {"bar": "overline" if wide else "bar", "hat": "hat"}[mark]
            found, indices = rf"\{command}{{{inner}}}", []
        else:
            indices.append(mark if mark not in GREEK else f"\\{mark}")
    return f"{found}_{{{','.join(indices)}}}" if indices else found


def _base(base: str) -> str:
    if base.endswith("'"):
        plain = base.rstrip("'")
        primes = r"\prime" * (len(base) - len(plain))
        return f"{_base(plain)}^{{{primes}}}"
    if base in WORDS:
        return WORDS[base]
    if base in GREEK | FUNCTIONS:
        return f"\\{base}"
    if SHORT.fullmatch(base):
        return base if len(base) == 1 or base[0] in "di" else f"{base[0]}_{{{base[1:]}}}"
    escaped = base.replace("_", r"\_")
    return rf"\operatorname{{{escaped}}}" if base in OTHERS else rf"\mathrm{{{escaped}}}"
