"""Where it goes wrong: always, under an option only, at some sizes only, or in another check."""

import re

import numpy as np

from purebp.verification.cases import Case, patterns_of, variants
from purebp.verification.checks import check_jacobian, out_of_range
from purebp.verification.comparison import Failure
from purebp.verification.diagnosis.culprit import with_culprit
from purebp.verification.diagnosis.find import by_argument, diagnose
from purebp.verification.diagnosis.hypotheses import as_if
from purebp.verification.diagnosis.views import Diagnosis
from purebp.verification.kinks import beyond_conventions
from purebp.verification.probe import Probe
from purebp.verification.target import Target

OTHERS = {
    "linearity": ("upstream ignored", "the backward pass is not linear in y_bar"),
    "finite differences": ("wrong formula", "the cotangents are not the slopes of the function"),
    "16 bits": ("dtype", "wrong in 16 bits, right in 32: sum in float32"),
    "jit": ("not repeatable", "another gradient without jax.jit than with it"),
    "vmap": ("batching", "another gradient under jax.vmap than one by one"),
    "unused": ("term missing", "another gradient where not all of it is asked for"),
    "second order": ("second order", "right once, wrong when it is differentiated again"),
    "repeat": ("not repeatable", "the second call gives another gradient than the first"),
    "forward": ("wrong formula", "fwd computes something else than the function"),
}
VAGUE = {"wrong formula", "overwritten", "term missing", "mask missing", "eps"}
"""Kinds that say less than that it happens at some sizes only."""


PLAIN = ("normal", "wide", "tails")
"""Where numbers are compared best: without zeros, of both signs."""
FAINT = 1e-3
POINTS = {"ties", "zeros", "zero rows", "equal", "nothing", "constants"}
BROAD = VAGUE | {"scale missing", "transposed", "no gradient", "factor", "sign"}
"""Kinds that a few special points can look like."""


def in_context(target: Target, probe: Probe, case: Case) -> Diagnosis:
    """The diagnosis of a failing case, with the option, the sizes or the rule that it takes.

    If plainer values fail too, they say more.
    """
    plainer = [case._replace(pattern=pattern, seed=1) for pattern in PLAIN]
    plain = next((other for other in plainer if _fails(probe, other)), None)
    case = case if plain is None else plain
    shows = _fails(probe, case) or not probe.has_jacobian
    found = _diagnosed(probe, case) if shows else None
    found = found or _where_it_shows(probe, case) or _in_low_precision(probe, case)
    if plain is None and case.pattern in POINTS and found.kind in BROAD:
        text = _of_ties(probe, case) or f"wrong at special values only: {found.text}"
        found = Diagnosis("isolated point", text)
    first = variants(target)[0]
    usual = dict(first.settings)
    changed = [
        f"{key}={value!r}"
        for key, value in case.variant.settings
        if key not in usual or value != usual[key]
    ]
    if changed or found.kind in VAGUE:
        found = as_if(probe, case) or found
    if changed:
        text = f"right at the defaults, wrong with {', '.join(changed)}: {found.text}"
        found = Diagnosis("not finite" if found.kind == "not finite" else "option", text)
    elif case.variant.shapes != first.shapes and found.kind in VAGUE:
        where = f"wrong at the shapes {list(case.variant.shapes or ())} only"
        found = Diagnosis("size", f"{where}: {found.text}")
    return with_culprit(target, probe, case, found)


def diagnose_each(probe: Probe) -> dict[str, Diagnosis]:
    """What is most likely wrong with each cotangent, on the first plain case that fails."""
    plain = (probe.first._replace(pattern=pattern, seed=1) for pattern in PLAIN)
    case = next((case for case in plain if _fails(probe, case)), None)
    return {} if case is None else by_argument(probe, case)


def _where_it_shows(probe: Probe, case: Case) -> Diagnosis | None:
    """The diagnosis on other values, where the error is too faint on these to be told."""
    patterns = sorted(patterns_of(probe.target), key=lambda pattern: pattern in POINTS)
    others = (case._replace(pattern=pattern, seed=1) for pattern in patterns)
    found = (_diagnosed(probe, other) for other in others if _fails(probe, other))
    return next((each for each in found if each is not None), None)


def _diagnosed(probe: Probe, case: Case) -> Diagnosis | None:
    """The diagnosis; a gradient that is 0 where there is next to none is not dropped."""
    found = diagnose(probe, case)
    faint = found is not None and found.kind == "no gradient" and _is_faint(probe, case)
    return None if faint else found


def _is_faint(probe: Probe, case: Case) -> bool:
    """Whether the slopes of a case are next to nothing beside the usual ones."""
    here, usual = (probe.evidence(each).truth.jacobian for each in (case, probe.first))
    if here is None or usual is None:
        return False
    sizes = [np.nan_to_num(np.abs(each), posinf=0.0).max(initial=0.0) for each in (here, usual)]
    return bool(sizes[0] < FAINT * sizes[1])


def _of_ties(probe: Probe, case: Case) -> str:
    """What to say if entries that tie have each the slope that they should share."""
    found = probe.evidence(case)
    exact, hand = found.truth.jacobian, found.hand64.jacobian
    if exact is None or hand is None:
        return ""
    beyond = beyond_conventions(probe, case)
    exact = exact if beyond is None else np.where(np.isnan(exact), beyond[1], exact)
    counts, whole = (hand != 0).sum(axis=1), np.abs(hand).max(axis=1, initial=0.0)
    totals = [np.abs(each.sum(axis=1)) for each in (hand, exact)]
    with np.errstate(invalid="ignore"):
        all_of_it = np.isclose(totals[0], counts * whole) & np.isclose(totals[1], whole)
    tied = np.flatnonzero(all_of_it & (counts > 1) & (whole > 0))
    if not tied.size:
        return ""
    return (
        f"where {counts[tied[0]]} entries tie, each gets all of the cotangent: they may share it, "
        "or one of them may have it"
    )


def _in_low_precision(probe: Probe, case: Case) -> Diagnosis:
    if not probe.has_jacobian:
        return Diagnosis("wrong formula", "the cotangents are wrong")
    if case.pattern in PLAIN[1:]:
        text = f"digits are lost on {case.pattern} values: all of them, in float32 or float64"
        return Diagnosis("cancellation", text)
    return Diagnosis("dtype", "right in float64, wrong in float32: something loses its digits")


def _kind_of_contract(message: str) -> str:
    shapes = re.search(r"has shape \(([\d, ]*)\), expected \(([\d, ]*)\)", message)
    if shapes is not None:
        got, expected = (tuple(map(int, re.findall(r"\d+", text))) for text in shapes.groups())
        return "sum missing" if _is_broadcast(got, expected) else "shape"
    return "dtype" if "has dtype" in message else "shape" if "shape" in message else "contract"


def _is_broadcast(got: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether a cotangent kept axes over which its argument was broadcast."""
    try:
        return got != expected and np.broadcast_shapes(got, expected) == got
    except ValueError:
        return False


def _fails(probe: Probe, case: Case) -> bool:
    if out_of_range("jacobian", probe, case) is not None:
        return False
    return check_jacobian(probe, case).failure is not None


def of_a_check(name: str, failure: Failure | None) -> Diagnosis:
    """The diagnosis where a check failed that is not about numbers of one case."""
    message = failure.message if failure is not None else ""
    if name == "contract":
        return Diagnosis(_kind_of_contract(message), message)
    if name == "buffers":
        return Diagnosis("layout" if "contiguous" in message else "not repeatable", message)
    kind, text = OTHERS[name]
    if "not finite" in message:
        kind = "not finite"
    return Diagnosis(kind, f"{text} ({message})" if message else text)
