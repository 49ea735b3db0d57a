"""``mien train`` and ``mien export``: from drawn images to a model file that the other commands take."""

from __future__ import annotations

import csv
import json
import signal
import tomllib
from importlib.util import find_spec

import numpy as np
import pytest

from mien.emotions import FER2013
from mien.models.onnx_file import card_of
from mien.models.store import ModelStore

trained = pytest.mark.skipif(find_spec("keras") is None, reason="needs keras: pip install 'mien[train]'")
SIDE = 16


def shades(count, side, seed=0):
    """Images of one of seven shades each, uint8 (count, side, side), the shades in turn."""
    dice = np.random.default_rng(seed)
    shade = 30 * (np.arange(count) % 7) + 30
    return np.clip(dice.normal(shade[:, None, None], 5, (count, side, side)), 0, 255).astype(np.uint8)


@pytest.fixture
def fer2013(tmp_path):
    """A folder with a FER2013 csv of 16x16 pixels, in which the shade tells the label; its last row can't be read."""
    splits = ("Training", "Training", "Training", "PublicTest")
    lines = [
        f"{row % 7},{' '.join(map(str, crop.ravel()))},{splits[row // 7 % 4]}"
        for row, crop in enumerate(shades(168, SIDE))
    ]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines, "9,1,Training"]) + "\n")
    return tmp_path / "data"


@trained
@pytest.mark.train
def test_a_run_and_all_that_takes_it(ran, here, paint, fer2013, tmp_path):
    run = tmp_path / "run"
    options = ["--arch", "two-conv", "--epochs", 2, "--batch", 32, "--seed", 7, "--precision", "float32"]
    done = ran("train", "--data", fer2013, "--out", "run", *options)
    assert (done.code, done.out) == (0, ""), done.err
    assert "1 rows can't be read and are skipped; the first: 170: " in done.err
    assert "epoch 2/2: loss " in done.err
    assert "PublicTest fused: accuracy " in done.err
    assert "written: run/model.onnx" in done.err.replace("\\", "/")

    assert {path.name for path in run.iterdir()} >= {
        "augmentation.png", "best.weights.h5", "checkpoints", "history.csv", "history.jsonl", "lock", "model.onnx",
        "config.toml", "run.json",
    }  # fmt: skip
    assert (run / "curves.png").is_file() == (find_spec("matplotlib") is not None)
    config = tomllib.loads((run / "config.toml").read_text())
    assert [config[name] for name in ("network", "epochs", "batch", "seed", "precision")] == options[1::2]
    with (run / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    card = card_of(ModelStore().load(str(run / "model.onnx")))
    assert (card.name, card.size, tuple(card.fused.labels)) == ("two-conv", SIDE, FER2013)

    code, out, _ = here("predict", paint("a.png"), "--model", run, "--json", "-d", "whole")
    assert code == 0
    assert list(json.loads(out)["faces"][0]["probabilities"]) == list(FER2013)
    report = json.loads(here("evaluate", "--data", fer2013, "--model", run, "--json").out)
    accuracy = next(score for score in card.scores if (score.head, score.metric) == ("fer2013", "accuracy"))
    assert (report["n"], report["model"]) == (42, "two-conv")
    assert report["accuracy"] == pytest.approx(accuracy.value, abs=1e-5)

    again = here("train", "--data", fer2013, "--out", "run", "--epochs", 1)
    assert again.code == 2
    assert "holds one: continue it with --resume" in again.err.replace(str(run), "run")
    (run / "model.onnx").unlink()
    assert here("export", "run", "--data", fer2013).code == 0
    exported = card_of(ModelStore().load(str(run / "model.onnx")))
    assert (exported.heads, exported.fused, exported.scores) == (card.heads, card.fused, card.scores)


LONG = ["--arch", "dense-64-32-relu", "--epochs", 40, "--batch", 16, "--seed", 3]


def timeless(run):
    with (run / "history.csv").open(newline="") as file:
        return [
            [value for name, value in row.items() if name not in ("seconds", "images_per_second", "waiting")]
            for row in csv.DictReader(file)
        ]


@trained
@pytest.mark.train
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long),
        pytest.param(1, 129, marks=pytest.mark.long, id="SIGHUP"),
    ],
)
def test_a_stopped_run_says_how_to_resume_and_resumes(process, here, fer2013, tmp_path, number, code):
    with process("train", "--data", fer2013, "--out", "a run", *LONG) as started:
        lines = iter(started.stderr.readline, b"")
        assert any(line.startswith(b"epoch 2/40: ") for line in lines)
        started.send_signal(number)
        err = b"".join(lines).decode()
    assert started.returncode == code
    assert "continue with: mien train --out 'a run' --resume" in err
    assert "Traceback" not in err
    assert not (tmp_path / "a run" / "model.onnx").exists()

    done = here("train", "--out", "a run", "--resume")
    assert (done.code, done.out) == (0, ""), done.err
    assert "resuming after " in done.err
    assert (tmp_path / "a run" / "model.onnx").is_file()
    assert here("train", "--data", fer2013, "--out", "whole", *LONG).code == 0
    assert timeless(tmp_path / "a run") == timeless(tmp_path / "whole")
    exported = [card_of(ModelStore().load(str(tmp_path / name / "model.onnx"))) for name in ("a run", "whole")]
    assert exported[0].scores == exported[1].scores

    (tmp_path / "a run" / "model.onnx").unlink()
    again = here("train", "--out", "a run", "--resume", "--seed", 3)
    assert (again.code, "nothing is left to train" in again.err) == (0, True)
    assert (tmp_path / "a run" / "model.onnx").is_file()
    refused = here("train", "--out", "a run", "--resume", "--learning-rate", 0.3)
    assert refused.code == 2
    assert "expected learning_rate = 0.05" in refused.err


@trained
@pytest.mark.train
def test_two_runs_in_one_directory(process, here, fer2013):
    with process("train", "--data", fer2013, "--out", "run", *LONG, "--epochs", 4000) as started:
        assert any(line.startswith(b"epoch 1/4000: ") for line in iter(started.stderr.readline, b""))
        second = here("train", "--out", "run", "--resume")
        started.kill()
    assert second.code == 2
    assert f"in which the process {started.pid} is training" in second.err


@trained
@pytest.mark.train
def test_choices_of_a_run(here, fer2013, tmp_path):
    (tmp_path / "out.txt").write_text("2\n3\treason\n")
    choices = {"optimizer": "adamw", "learning_rate": 0.002, "schedule": "plateau", "patience": 3, "balance": "logits"}
    options = [part for name, value in choices.items() for part in (f"--{name.replace('_', '-')}", value)]
    done = here(
        "train", "--data", fer2013, "--out", "run", "--arch", "dense-64-tanh", "--epochs", 2, *options,
        "--exclude", "out.txt", "--checkpoint-minutes", 0,
    )  # fmt: skip
    assert done.code == 0, done.err
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert {name: config[name] for name in choices} == choices
    run_info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (run_info["training_rows"], run_info["validation_rows"]) == (124, 42)
    assert run_info["source"]["exclude"] == str(tmp_path / "out.txt")


@trained
@pytest.mark.train
def test_a_folder_of_class_images(here, paint, tmp_path):
    for number, image in enumerate(shades(42, 48)):
        paint(f"pets/{('cat', 'dog')[number % 7 > 3]}/{number}.png", np.repeat(image[..., None], 3, axis=2))
    done = here("train", "--data", "pets", "--out", "run", "--arch", "two-conv", "--epochs", 1, "--batch", 8)
    assert done.code == 0, done.err
    code, out, _ = here("predict", tmp_path / "pets", "--model", tmp_path / "run", "--json", "-d", "whole")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, len(lines)) == (0, 42)
    assert {tuple(line["faces"][0]["probabilities"]) for line in lines} == {("cat", "dog")}
    report = json.loads(here("evaluate", "--data", tmp_path / "pets", "--model", tmp_path / "run", "--json").out)
    assert (report["head"], report["split"], report["n"]) == ("classes", "held out", 4)


@trained
@pytest.mark.train
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "run"], "expected weights of 'two-conv'"),
        (["train", "--out", "new", "--resume"], "expected a run directory"),
        (["train", "--out", "new", "--arch", "nope"], "expected one of the architectures"),
    ],
    ids=["weights missing", "nothing to resume", "network unknown"],
)
def test_a_run_that_can_make_no_model_is_refused(here, fer2013, tmp_path, arguments, words):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text('network = "two-conv"\n')
    done = here(*arguments, "--data", fer2013)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert "Traceback" not in done.err


def test_without_keras_the_pip_line_is_named(process, fer2013):
    with process(
        "train", "--data", fer2013, "--out", "run", before="import sys; sys.modules['keras'] = None"
    ) as started:
        out, err = started.communicate(timeout=120)
    assert (started.returncode, out) == (2, b"")
    assert b"pip install 'mien[train" in err
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epochs", "0"], "expected at least 1 epoch; received 0"),
        (["--precision", "half"], "'half'"),
        (["--batch", "0"], "batch"),
        (["--seed", "-1"], "seed"),
        (["--config", "gone.toml"], "gone.toml"),
        (["--epochs", "many"], "--epochs"),
        (["--schedule", "steps"], "expected schedule as one of"),
        (["--optimizer", "lion"], "expected optimizer as one of"),
        (["--balance", "yes"], "expected balance as one of"),
        (["--patience", "-1"], "patience"),
        (["--learning-rate", "0"], "learning_rate"),
        (["--checkpoint-minutes", "-1"], "checkpoint-minutes"),
        (["--fold", "5/5"], "expected a fold as K/N"),
        (["--fold", "five"], "expected a fold as K/N"),
        (["--fold", "0/5", "--arch", "face-detector"], "with --fold; received the face detector"),
        (["--soft-labels", "a.npz", "--arch", "face-detector"], "expected soft labels"),
        (["--distillation-weight", "1.5"], "distillation_weight"),
        (["--teacher", "large", "--soft-labels", "fer2013"], "expected a teacher or soft labels; received both"),
        (["--teacher", "yunet,own.onnx", "--arch", "face-detector"], "one for the face detector"),
        (["--on-device", "--arch", "face-detector"], "with --on-device; received the face detector"),
        (["--weights", "compact", "--arch", "face-detector"], "with --weights; received the face detector"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_leaves_no_run(mien, fer2013, tmp_path, options, words):
    code, out, err = mien("train", "--data", fer2013, "--out", tmp_path / "run", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert not (tmp_path / "run").exists()


def test_export_of_no_run(mien, fer2013, tmp_path):
    code, _, err = mien("export", tmp_path, "--data", fer2013)
    assert (code, "config.toml" in err) == (2, True)


def test_a_new_run_needs_data(mien, tmp_path):
    code, _, err = mien("train", "--out", tmp_path / "run")
    assert (code, "expected --data" in err) == (2, True)
    assert not (tmp_path / "run").exists()


@trained
@pytest.mark.train
def test_options_of_the_first_edition_work_and_say_their_new_names(here, fer2013, tmp_path):
    (tmp_path / "out.txt").write_text("2\n")
    done = here(
        "train", "--data", fer2013, "--out", "run", "-m", "dense-64-tanh", "--epochs", 1, "--rate", 0.01,
        "--without", "out.txt",
    )  # fmt: skip
    assert done.code == 0, done.err
    for note in ("-m is now --arch", "--rate is now --learning-rate", "--without is now --exclude"):
        assert note in done.err
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert (config["network"], config["learning_rate"]) == ("dense-64-tanh", 0.01)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["source"]["exclude"] == str(tmp_path / "out.txt")


def test_the_help_page_is_grouped_and_short(mien, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = mien("train", "--help")
    assert code == 0
    for group in ("Data", "Model", "Optimization", "Distillation", "Run", "Hardware"):
        assert group in out
    assert out.count("mien train --") >= 3
