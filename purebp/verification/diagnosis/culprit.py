"""Which of several hand-written rules is wrong, and what is wrong with it.

In a function that uses several each rule is kept alone, with the others opened. Those that are
wrong so are looked at by themselves, on the values that reach them.
"""

import ast
from pathlib import Path

from purebp.signature import Parameter
from purebp.verification.cases import Case, Variant, make_args
from purebp.verification.checks import check_gradient_float32, check_gradient_float64
from purebp.verification.diagnosis.find import diagnose
from purebp.verification.diagnosis.views import Diagnosis
from purebp.verification.given import given_of
from purebp.verification.probe import Probe
from purebp.verification.rules import Call, Rule, first_call
from purebp.verification.target import Target
from purebp.verification.targets.function import from_call


def with_culprit(target: Target, probe: Probe, case: Case, found: Diagnosis) -> Diagnosis:
    """The diagnosis with the names of the rules that are wrong, if the target has any."""
    if _fails_opened(target, probe, case):
        text = f"wrong with every hand-written rule opened too, by autodiff alone: {found.text}"
        return Diagnosis("autodiff", text)
    wrong = culprits(target, probe, case)
    if not wrong:
        return found
    local = {rule: _by_itself(target, probe, case, rule) for rule in wrong}
    seen = next((diagnosis for diagnosis in local.values() if diagnosis is not None), found)
    if len(wrong) == 1:
        return Diagnosis(seen.kind, f"the rule of {wrong[0]} is wrong: {seen.text}")
    names = " and ".join(f"that of {rule}" for rule in wrong[1:])
    each = "; ".join(f"{rule.name}: {d.text}" for rule, d in local.items() if d is not None)
    return Diagnosis(
        seen.kind, f"the rule of {wrong[0]} and {names} are wrong: {each or seen.text}"
    )


def _fails_opened(target: Target, probe: Probe, case: Case) -> bool:
    """Whether the function is wrong with all rules opened, if autodiff goes through it at all."""
    if target.alone is None or target.differences:
        return False
    return _fails(target.alone(target, None), probe, case)


def culprits(target: Target, probe: Probe, case: Case) -> list[Rule]:
    """The rules that are wrong alone, with the others opened."""
    if target.alone is None or len(target.rules) < 2:
        return list(target.rules)
    return [rule for rule in target.rules if _fails(target.alone(target, rule), probe, case)]


def _fails(target: Target, probe: Probe, case: Case) -> bool:
    alone = Probe(target, probe.variant, quick=True)
    checks = (check_gradient_float64, check_gradient_float32)
    return any(check(alone, case).failure is not None for check in checks)


def _by_itself(target: Target, probe: Probe, case: Case, rule: Rule) -> Diagnosis | None:
    """What is wrong with a rule on the values that reach it; `None` if nothing is, there."""
    args = make_args(target, case)
    try:
        call = first_call(lambda *args: target.forward(probe.settings, *args), rule, *args)
        if call is None:
            return None
        local = from_call(rule.name, call, argument_names(rule, call))
        alone = Probe(local, Variant((), given_of(tuple(call.values)).shapes), quick=True)
        return diagnose(alone, alone.first)
    except Exception:  # noqa: BLE001 - that it is wrong is known; this is a closer look
        return None


def argument_names(rule: Rule, call: Call) -> tuple[Parameter, ...]:
    """The names of a rule's arguments, read in its file; none where they do not fit its call."""
    try:
        tree = ast.parse(Path(rule.file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ()
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or node.name != rule.name:
            continue
        lines = {node.lineno, *(decorator.lineno for decorator in node.decorator_list)}
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        if rule.line in lines and len(names) == len(call.values):
            return tuple(Parameter(name, (), False) for name in names)
    return ()
