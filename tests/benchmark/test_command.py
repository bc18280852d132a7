"""`purebp bench` as a user runs it."""

import json

import pytest

from purebp.cli import main


def test_one_op_prints_a_table_and_writes_the_files(tmp_path, capsys) -> None:
    folder = tmp_path / "results"
    status = main(["bench", "relu", "--size", "small", "--pairs", "2", "-o", str(folder)])
    printed = capsys.readouterr().out
    assert status == 0
    assert "relu" in printed
    assert "of the time of jax.grad" in printed
    assert sorted(file.suffix for file in folder.iterdir()) == [".json", ".md", ".png", ".svg"]
    data = json.loads((folder / "cpu.json").read_text())
    assert {"device", "jax", "date"} <= set(data["environment"])
    (row,) = data["rows"]
    assert row["time"]["pairs"] == 2
    assert row["hand"]["residuals"] <= row["autodiff"]["residuals"]
    assert "jax.nn.relu" in (folder / "cpu.md").read_text()
    assert "<svg" in (folder / "cpu.svg").read_text()


def test_json_alone_and_without_the_clock(capsys) -> None:
    assert main(["bench", "relu", "--size", "small", "--pairs", "0", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["time"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["max_poll"], "did you mean 'max_pool'"), (["relu", "--pairs", "-1"], "expected 0")],
)
def test_wrong_usage_is_answered_in_one_line(arguments, message, capsys) -> None:
    assert main(["bench", *arguments]) == 3
    assert message in capsys.readouterr().err
