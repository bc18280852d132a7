"""For pytest: a fixture that verifies, and a mark that makes one test for each op or option.

    def test_my_layer(purebp_verify):
        purebp_verify(my_layer, x, w)

    @pytest.mark.purebp((conv_fwd, conv_bwd), x, w, static={"stride": [1, 2]})
    @pytest.mark.purebp(ops=["gelu", "softmax"], budget="quick")
    def test_gradients(purebp_case):
        purebp_case()

A gradient that was not found right fails the test with the text of the report.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from purebp.catalog import find
from purebp.errors import PurebpError
from purebp.op import Op
from purebp.verification.options import listed
from purebp.verification.report import Report
from purebp.verification.run import verify

MARK = (
    "purebp(target, *example_args, static={...}, ops=[...], **options): one case for each setting "
    "of static, or for each op; the test takes purebp_case and calls it. The options are verify's."
)


class PurebpCase(NamedTuple):
    """One verification; call it."""

    target: Any
    example_args: tuple[Any, ...]
    options: Mapping[str, Any]
    name: str

    def __call__(self, **more: Any) -> Report:
        """Verify, and fail the test unless the gradient was found right."""
        __tracebackhide__ = True
        return _verify_or_fail(self.target, *self.example_args, **{**self.options, **more})


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", MARK)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case of the marks."""
    if "purebp_case" not in metafunc.fixturenames:
        return
    marks = list(metafunc.definition.iter_markers("purebp"))
    cases = [case for mark in reversed(marks) for case in _cases(mark)]
    if not cases:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: takes purebp_case, expected above it "
            "@pytest.mark.purebp(target, *example_args) or @pytest.mark.purebp(ops=[...])"
        )
    metafunc.parametrize("purebp_case", cases, ids=[case.name for case in cases])


@pytest.fixture
def purebp_verify() -> Callable[..., Report]:
    """`purebp.verify` that fails the test, with the text of the report, where it is not right."""
    return _verify_or_fail


def _verify_or_fail(target: Any, *example_args: Any, **options: Any) -> Report:
    __tracebackhide__ = True
    report = verify(target, *example_args, **options)
    if not report.ok:
        pytest.fail(str(report), pytrace=False)
    return report


def _cases(mark: pytest.Mark) -> Iterator[PurebpCase]:
    options = dict(mark.kwargs)
    names = options.pop("ops", ())
    if bool(names) == bool(mark.args):
        raise pytest.UsageError("the mark purebp takes either a target or ops=[...]")
    if names:
        for name in (names,) if isinstance(names, str) else names:
            yield PurebpCase(_op(name), (), options, name)
        return
    target, *example_args = mark.args
    for setting in _settings(options.pop("static", {})):
        label = "-".join([_name(target), *(f"{key}={value}" for key, value in setting.items())])
        given = {**options, "static": setting} if setting else options
        yield PurebpCase(target, tuple(example_args), given, label)


def _op(name: str) -> Op:
    try:
        return find(name)
    except PurebpError as error:
        raise pytest.UsageError(str(error)) from None


def _settings(static: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of the values of the options."""
    for combination in itertools.product(*map(listed, static.values())):
        yield dict(zip(static, combination, strict=True))


def _name(target: Any) -> str:
    first = target[0] if isinstance(target, tuple) else target
    name = getattr(first, "__name__", None) or getattr(first, "name", None) or "target"
    return name.removesuffix("_fwd").removesuffix("_forward")
