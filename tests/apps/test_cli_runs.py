"""``mien runs``, and the summary at the end of ``mien train``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from histories import write_run
from mien.apps.cli.runs import _short
from mien.apps.cli.training_output import show_summary
from mien.evaluation.metrics import wilson_interval


@pytest.fixture
def folder(tmp_path, shipped_model):
    """Three runs: a finished one with a model, an interrupted one, a damaged one; and a folder that is none."""
    write_run(tmp_path / "runs" / "done", (0.3, 0.5), planned=2, model=shipped_model)
    write_run(tmp_path / "runs" / "stopped", (0.6,), planned=2)
    (write_run(tmp_path / "runs" / "torn", (), planned=2) / "run.json").write_text("{")
    (tmp_path / "runs" / "notes").mkdir()
    return tmp_path / "runs"


@pytest.fixture
def told(own_scores):
    """The shipped model's scores as runs tell them."""
    return f"{own_scores['accuracy']:.4f}", f"{own_scores['macro_f1']:.4f}", f"{own_scores['ece']:.3f}"


def rows_of(out):
    return [line.split() for line in out.splitlines() if line.strip().startswith("runs")]


def test_runs_are_listed_by_accuracy_with_notes_below(ran, folder, told):
    code, out, err = ran("runs", "runs")
    assert code == 0
    done, stopped, torn = rows_of(out)
    assert [Path(row[0]).name for row in (done, stopped, torn)] == ["done", "stopped", "torn"]
    assert done[1:10] == ["compact", "fer2013", "2/2", "2", *told, "1.20", "M"]
    assert stopped[1:7] == ["two-conv", "fer2013", "1/2", "1", "0.6000", "0.5000"]
    assert [row[-1] for row in (done, stopped, torn)] == ["finished", "interrupted", "unreadable"]
    wrong = err.splitlines()
    assert len(wrong) == 2
    assert "interrupted; continue with: mien train --out" in wrong[0]
    assert "expected the files of a run in" in wrong[1]


def test_json_is_an_object_a_run(mien, folder):
    code, out, err = mien("runs", folder / "stopped", folder / "done", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [row["run"] for row in rows] == [str(folder / "done"), str(folder / "stopped")]
    assert 0.01 < rows[0]["milliseconds"] < 10_000
    assert rows[1]["milliseconds"] is None


def test_csv_has_the_same_columns(mien, folder, tmp_path):
    mien("runs", folder, "--csv", tmp_path / "out" / "runs.csv")
    told = [json.loads(line) for line in mien("runs", folder, "--json").out.splitlines()]
    with (tmp_path / "out" / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(told[0])
    assert [(row["run"], row["state"], row["bytes"]) for row in rows] == [
        (one["run"], one["state"], str(one["bytes"] or "")) for one in told
    ]


@pytest.mark.parametrize("name", ["gone", "notes"])
def test_a_folder_without_runs_is_wrong_usage(mien, folder, name):
    code, out, err = mien("runs", folder / name)
    assert (code, out) == (2, "")
    assert "'mien train --out RUN' makes one" in err


def test_the_default_folder_is_runs(ran, folder):
    done = ran("runs", "--json")
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 3


def test_keras_is_not_needed(process, folder):
    blocked = "import sys; sys.modules.update(keras=None, onnx=None, torch=None, tensorflow=None, matplotlib=None)"
    with process("runs", before=blocked) as started:
        out, err = started.communicate(timeout=120)
    assert (started.returncode, b"finished" in out) == (0, True), err.decode()


def test_names_can_t_steer_the_terminal(mien, tmp_path, monkeypatch):
    write_run(tmp_path / "runs" / "[red]\x1b[2J", (0.5,), planned=1)
    monkeypatch.chdir(tmp_path)  # a long path would be cut to the terminal's width
    out, err = mien("runs", "runs")[1:]
    assert "\x1b" not in out + err
    assert "[red]\\x1b[2J" in out


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "-"),
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (85_455, "85.5 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (1_151_877, "1.15 M"),
        (59_628_256, "59.6 M"),
        (1_250_000_000, "1.25 G"),
        (123_456_789_012, "123 G"),
    ],
)
def test_counts_have_three_digits(count, words):
    assert _short(count) == words


def test_the_summary_has_scores_and_next_steps(folder, capsys, told, own_scores):
    show_summary(folder / "done")
    out, err = capsys.readouterr()
    assert out == ""
    assert "two-conv on fer2013, 2 of 2 epochs in 1.0 minutes; best epoch: 2" in err
    (row,) = (line.split() for line in err.splitlines() if line.strip().startswith("fer2013"))
    accuracy, macro_f1, ece = told
    low, high = wilson_interval(round(own_scores["accuracy"] * 3589), 3589)
    assert row == ["fer2013", "PublicTest", "3,589", accuracy, f"{low:.3f}", "to", f"{high:.3f}", macro_f1, ece]
    assert f"mien evaluate --data faces.csv --model {folder / 'done'}" in err
    assert f"mien predict PHOTO --model {folder / 'done'}" in err
    assert f"mien runs {folder}" in err


def test_the_end_of_a_run_without_a_model_names_the_export(folder, capsys):
    show_summary(folder / "stopped")
    assert f"mien export {folder / 'stopped'}" in capsys.readouterr().err
