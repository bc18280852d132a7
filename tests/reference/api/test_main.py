"""The pages: built without a warning, every link leads somewhere."""

import re
from pathlib import Path

import pytest

from purebp.catalog import OPS
from purebp.layers import layer_norm
from purebp.op import Op
from reference.api.__main__ import main
from reference.api.pages import Public, names, packages, places
from reference.api.sources import ROOT, written_again


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    assert main(["--output", str(folder)]) == 0
    return folder / "html"


def test_every_public_name_has_a_page(html):
    public = [each for package in packages() for each in names(package)]
    assert len(public) > len(OPS)
    for each in public:
        assert (html / f"{each.page}.html").exists()


def test_every_link_within_the_pages_leads_somewhere(html):
    broken = []
    for page in html.rglob("*.html"):
        if "source" in page.relative_to(html).parts:
            continue
        for link in re.findall(r'href="([^"#:?]+)[^"#]*(?:#([^"]*))?"', page.read_text()):
            target = page.parent / link[0]
            if not target.exists() or (
                link[1].startswith("line-") and f'id="{link[1]}"' not in target.read_text()
            ):
                broken.append((page.name, link))
    assert broken == []


def test_a_page_shows_formulas_and_an_example(html):
    text = (html / "purebp.layers" / "layer_norm.html").read_text()
    assert text.count("<math") > 10
    assert "&gt;&gt;&gt; " in text
    assert "mathjax" not in text.lower()
    assert "http" not in re.sub(r'xmlns="[^"]*"|href="https?://[^"]*"', "", text)


def test_an_op_is_linked_to_its_code_its_reference_and_its_tests():
    found = places(Public("purebp.layers", "layer_norm", layer_norm))
    assert [place.path for place in found["code"]] == ["purebp/layers/norm.py"]
    again = [place.path for place in found["written again, in plain loops"]]
    assert {*again} >= {"reference/norms.py", "reference/backward_norms.py"}
    assert "tests/layers/test_norm.py" in [place.path for place in found["tests"]]
    line = (ROOT / "purebp/layers/norm.py").read_text().splitlines()[found["code"][0].line - 1]
    assert line.startswith("def layer_norm_definition")


def test_every_op_is_written_again_in_plain_loops():
    public = [each for package in packages() for each in names(package)]
    ops = [each for each in public if isinstance(each.value, Op)]
    without = [each.name for each in ops if "written again, in plain loops" not in places(each)]
    assert without == []


def test_a_line_that_only_bears_the_name_of_an_op_is_not_where_it_is_written_again():
    """relu is the key of a layer's table of nonlinearities; sum a function inside another."""
    assert [place.path for place in written_again("relu")] == [
        "reference/activations.py",
        "reference/backward_activations.py",
    ]
    assert "reference/worked_examples.py" not in [place.path for place in written_again("exp")]


def test_a_warning_of_the_builder_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("reference.api.pages.INTRODUCTION", "purebp\n===\n\n:nosuch:`role`\n")
    assert main(["--output", str(tmp_path / "api")]) == 1
    assert Path(tmp_path / "api").exists()
