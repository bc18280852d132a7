"""Each notebook runs, at a small size, and holds the outputs of a whole run."""

import json

import matplotlib as mpl
import numpy as np
import pytest

from reference.notebooks import code_cells, notebooks

NOTEBOOKS = notebooks()


@pytest.fixture(autouse=True)
def small_and_unseen(monkeypatch, tmp_path):
    monkeypatch.setenv("PUREBP_SMOKE", "1")
    monkeypatch.chdir(tmp_path)
    backend = mpl.get_backend()
    mpl.use("agg")
    yield
    mpl.use(backend)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path):
    names, shown = {"__name__": "__main__"}, np.get_printoptions()
    with np.printoptions():
        for number, source in code_cells(path):
            exec(compile(source, f"{path.name}:cell {number}", "exec"), names)
    assert np.get_printoptions() == shown, "a notebook is not to change what other tests print"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_outputs_are_kept_and_tell_nothing_of_the_machine(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in cells]
    assert counts == list(range(1, len(cells) + 1)), "run it anew, from top to bottom"
    assert any(cell["outputs"] for cell in cells)
    outputs = json.dumps([cell["outputs"] for cell in cells])
    assert '"output_type": "error"' not in outputs
    for path_of_a_machine in ("/home/", "/root/", "/tmp/", "/work/", "site-packages"):
        assert path_of_a_machine not in outputs


def test_they_are_numbered_from_one_on():
    assert [path.name[:2] for path in NOTEBOOKS] == [
        f"{n:02}" for n in range(1, len(NOTEBOOKS) + 1)
    ]
