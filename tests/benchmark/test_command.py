"""`purebp bench` as a user runs it."""

import json

import pytest

from purebp.benchmark import command
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


def run(folder, *arguments: str) -> list[str]:
    assert main(["bench", *arguments, "--size", "small", "--pairs", "0", "-o", str(folder)]) == 0
    return [row["name"] for row in json.loads((folder / "cpu.json").read_text())["rows"]]


def test_the_rows_of_an_earlier_run_are_kept(tmp_path, capsys, monkeypatch) -> None:
    run(tmp_path, "softmax")
    assert run(tmp_path, "relu") == ["relu", "softmax"]
    measured: list[str] = []
    real = command.measure
    monkeypatch.setattr(
        command, "measure", lambda case, *a, **k: measured.append(case.name) or real(case, *a, **k)
    )
    assert run(tmp_path, "relu", "selu", "--resume") == ["relu", "softmax", "selu"]
    assert measured == ["selu"]
    data = json.loads((tmp_path / "cpu.json").read_text())
    data["environment"]["jax"] = "0.0"
    (tmp_path / "cpu.json").write_text(json.dumps(data))
    assert run(tmp_path, "relu") == ["relu"]


def test_a_run_that_is_broken_off_keeps_its_rows(tmp_path, capsys, monkeypatch) -> None:
    real = command.measure

    def stop_at_selu(case, *args, **kwargs):
        if case.name == "selu":
            raise KeyboardInterrupt
        return real(case, *args, **kwargs)

    monkeypatch.setattr(command, "measure", stop_at_selu)
    arguments = ["relu", "selu", "--size", "small", "--pairs", "0", "-o", str(tmp_path)]
    assert main(["bench", *arguments]) == 1
    assert "stopped after 1 of 2 rows; --resume goes on" in capsys.readouterr().err
    rows = json.loads((tmp_path / "cpu.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["relu"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["max_poll"], "did you mean 'max_pool'"),
        (["relu", "--pairs", "-1"], "expected 0"),
        (["relu", "--resume"], "name its --output"),
    ],
)
def test_wrong_usage_is_answered_in_one_line(arguments, message, capsys) -> None:
    assert main(["bench", *arguments]) == 3
    assert message in capsys.readouterr().err
