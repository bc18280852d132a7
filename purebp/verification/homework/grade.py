"""Mark one layer of a file; this runs in a process of its own."""

from dataclasses import replace
from types import ModuleType

from purebp.errors import PurebpError, TargetError
from purebp.verification.cases import variants
from purebp.verification.diagnosis import diagnose_each
from purebp.verification.homework.again import runnable
from purebp.verification.homework.find import Found
from purebp.verification.homework.mark import Mark, brief, in_words_of_course
from purebp.verification.homework.plan import Plan, Settings, how, make_plan
from purebp.verification.probe import Probe
from purebp.verification.report import Report
from purebp.verification.run import verify
from purebp.verification.target import Target, make_target

FAINT = 1e-9
"""What a layer of a course may be off by, where ordinary numbers are near 1."""


def grade(module: ModuleType, found: Found, settings: Settings) -> Mark:
    """The mark of one row."""
    mark = Mark(found.name, str(module.__file__ or ""), found.line, found.functions)
    try:
        if found.kind == "half":
            raise TargetError(_half(found))
        plan = make_plan(module, found, settings)
        return _verified(mark, plan, settings)
    except PurebpError as error:
        return replace(mark, problem=str(error))


def _half(found: Found) -> str:
    (name,) = found.functions
    words = set(name.lower().split("_"))
    missing = "backward" if words & {"forward", "fwd"} else "forward"
    return f"no {missing} found for {name}"


def _verified(mark: Mark, plan: Plan, settings: Settings) -> Mark:
    """The mark by what the verifier says."""
    mark = replace(mark, forward=plan.forward, matched=plan.forward.matched, notes=plan.notes)
    try:
        report = _verify(plan, settings)
    except TargetError as error:
        if "are not known" in str(error):
            raise TargetError(
                f"the shapes of its arguments are not known; {how(mark.name)}, or jaxtyping "
                'annotations, or --shapes "b d, d k"'
            ) from error
        raise
    if plan.reference is not None and _only_forward_failed(report):
        plan = plan._replace(reference=None)
        note = "the forward loses its digits at extreme values"
        mark, report = replace(mark, notes=(*mark.notes, note)), _verify(plan, settings)
    return _marked(mark, plan, report, settings)


def _verify(plan: Plan, settings: Settings) -> Report:
    return verify(
        plan.target,
        *plan.examples,
        reference=plan.reference,
        atol=None if plan.reference is None else FAINT,
        static=plan.static,
        domain=settings.domain,
        shapes=None if plan.examples else settings.shapes,
        budget=settings.budget,
        max_examples=settings.max_examples,
        seed=settings.seed,
    )


def _only_forward_failed(report: Report) -> bool:
    return [name for name, c in report.checks.items() if c.verdict == "fail"] == ["forward"]


def _marked(mark: Mark, plan: Plan, report: Report, settings: Settings) -> Mark:
    shapes = None if plan.examples else settings.shapes
    made = make_target(
        plan.target, plan.reference, plan.static, shapes, plan.examples, settings.domain
    )
    names = tuple(parameter.name for parameter in made.parameters)
    gradients = _gradients(made, report)
    diagnosis = "" if report.diagnosis is None else report.diagnosis.text
    if plan.course:
        gradients = {f"d{name}": words for name, words in gradients.items()}
        diagnosis = in_words_of_course(diagnosis, names)
    else:
        gradients = {f"{name}_bar": words for name, words in gradients.items()}
    again = runnable(report.reproduction, plan, mark.file, mark.functions)
    report = replace(report, reproduction=again)
    return replace(mark, gradients=gradients, diagnosis=diagnosis, report=report)


def _gradients(target: Target, report: Report) -> dict[str, str]:
    """A few words for each argument that has a gradient."""
    probe = Probe(target, variants(target)[0])
    names = probe.layout.chosen(probe.layout.names)
    if report.ok:
        return dict.fromkeys(names, "right")
    if report.verdict != "fail":
        return dict.fromkeys(names, "?")
    contract = report.checks.get("contract")
    if contract is not None and contract.verdict == "fail":
        failed = {failure.argument for failure in report.failures}
        text = " ".join(failure.message for failure in report.failures)
        return {
            name: "wrong" if name in failed or f"gradient of {name} " in text else "?"
            for name in names
        }
    wrong = {name: brief(found.kind, found.text) for name, found in diagnose_each(probe).items()}
    failed = {failure.argument for failure in report.failures}
    return {name: wrong.get(name, "wrong" if name in failed else "right") for name in names}
