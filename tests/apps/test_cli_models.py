"""``mien models``, ``mien doctor`` and ``mien demo``."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from mien.apps.cli.first_steps import PORTRAIT
from mien.emotions import FER2013
from mien.media.image import read
from mien.models.card import CARD_KEY, ModelCard
from mien.models.onnx_file import SEAL_KEY, UNSEALED, seal

needs_keras = pytest.mark.skipif(find_spec("keras") is None, reason="needs keras: pip install 'mien[train]'")


@pytest.fixture
def own_model(shipped_model, classifier, tmp_path):
    """The shipped model under a card of its own, in a file: a model that a user trained."""
    onnx = pytest.importorskip("onnx", reason="onnx makes the models of these tests: pip install 'mien[train]'")

    def make(name="mine", **origin):
        card = replace(classifier.card, name=name, origin=replace(classifier.card.origin, **origin))
        model = onnx.load_from_string(shipped_model)
        onnx.helper.set_model_props(model, {CARD_KEY: card.to_json(), SEAL_KEY: UNSEALED})
        path = tmp_path / "own.onnx"
        path.write_bytes(seal(model.SerializeToString()))
        return path

    return make


def rows_of(out):
    """The rows of a list, by their first word."""
    return {line.split()[0]: line for line in out.splitlines()}


def cached(cache_folder):
    return sorted(path.name for path in cache_folder.rglob("*.onnx"))


def test_list_names_each_model_and_its_state(mien):
    code, out, _ = mien("models", "list")
    rows = rows_of(out)
    assert code == 0
    assert "classifier  ok" in rows["compact"]
    assert "detector    missing" in rows["yunet"]


def test_list_takes_the_text_of_a_card_literally(mien, own_model):
    assert mien("models", "add", own_model(licence="[red]MIT[/x] :smile: \x1b[2J")).code == 0
    assert "[red]MIT[/x] :smile: \\x1b[2J" in rows_of(mien("models", "list").out)["mine"]


def test_a_model_of_one_s_own_comes_works_and_goes(mien, own_model, cache_folder, paint):
    assert mien("models", "add", own_model(), "--name", "theirs") == (
        0,
        "added: theirs (classifier)\n",
        "next: mien predict photo.jpg --model theirs\n",
    )
    assert "classifier  ok" in rows_of(mien("models", "list").out)["theirs"]
    assert mien("predict", paint("a.png"), "-d", "whole", "--model", "theirs").code == 0
    assert mien("models", "remove", "theirs").code == 0
    assert cached(cache_folder) == []
    assert mien("predict", paint("a.png"), "-d", "whole", "--model", "theirs").code == 2


def test_show_prints_what_a_model_file_is(mien, own_model, classifier, own_scores):
    code, out, _ = mien("models", "show", own_model("héron"))
    assert code == 0
    card = classifier.card
    for parts in ("héron", "48x48x1", ", ".join(card.fused.labels), card.origin.network, card.origin.licence):
        assert parts in " ".join(out.split())
    assert f"PublicTest, fer2013: accuracy {own_scores['accuracy']:.4f} (n =" in out
    assert "input  chips: tensor(uint8) ['batch', 48, 48, 1]" in out
    assert "Conv " in out
    assert "59,630,304 multiply-adds per image" in out


def test_show_as_json_holds_the_whole_card_and_the_layers(mien, classifier):
    pytest.importorskip("onnx", reason="needs onnx: pip install 'mien[train]'")
    shown = json.loads(mien("models", "show", "compact", "--json").out)
    assert ModelCard.from_json(json.dumps(shown["card"])) == classifier.card
    assert shown["inputs"] == [{"name": "chips", "type": "tensor(uint8)", "shape": ["batch", 48, 48, 1]}]
    assert [output["shape"][1] for output in shown["outputs"]] == [7, 8]
    assert shown["parameters"] == sum(layer["parameters"] for layer in shown["layers"])
    assert {"name": "/Conv", "kind": "Conv", "output": [48, 48, 16]}.items() <= shown["layers"][9].items()


def test_show_describes_the_detector(mien):
    pytest.importorskip("onnx", reason="needs onnx: pip install 'mien[train]'")
    code, out, _ = mien("models", "show", "faces")
    assert code == 0
    for parts in (
        "thresholds",
        "score 0.47",
        "recall",
        "false positives per image",
        "landmark error",
        "tensor(uint8)",
        "Conv",
    ):
        assert parts in out
    shown = json.loads(mien("models", "show", "faces", "--json").out)
    assert shown["card"]["name"] == "faces"
    assert 85_000 < sum(layer["parameters"] for layer in shown["layers"]) < 100_000


def test_show_without_onnx_prints_what_onnxruntime_knows(process):
    with process("models", "show", "compact", before="import sys; sys.modules['onnx'] = None") as started:
        out, err = started.communicate(timeout=120)
    assert started.returncode == 0
    assert b"tensor(uint8)" in out
    assert b"Conv" not in out
    assert b"'onnx>=" in err.partition(b"pip install ")[2]


@needs_keras
@pytest.mark.train
def test_show_prints_a_network_of_the_architectures_layer_by_layer(ran):
    code, out, _ = ran("models", "show", "two-conv")
    assert code == 0
    rows = [line.split() for line in out.splitlines() if line.strip()]
    assert rows[0] == ["layer", "kind", "output", "parameters", "multiply-adds"]
    assert ["conv2d_1", "Conv2D", "24", "x", "24", "x", "64", "18,496", "10,616,832"] in rows
    assert out.endswith("1,199,495 parameters, 12,460,928 multiply-adds per image\n")


@needs_keras
@pytest.mark.train
@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        (["--network"], ([48, 48, 1], [7])),
        (["--size", 32, "--channels", 3, "--labels", 5], ([32, 32, 3], [5])),
    ],
    ids=["by option", "by its shape"],
)
def test_options_show_the_architecture_of_a_model_s_name(mien, options, shapes):
    shown = json.loads(mien("models", "show", "compact", "--json", *options).out)
    assert "card" not in shown
    assert (shown["layers"][0]["output"], shown["layers"][-1]["output"]) == shapes
    assert shown["parameters"] - shown["trainable"] > 0
    assert "BatchNormalization" in {layer["kind"] for layer in shown["layers"]}


@needs_keras
@pytest.mark.train
def test_networks_lists_the_architectures(mien):
    from mien.training.architectures import ARCHITECTURES

    code, out, _ = mien("models", "networks")
    assert code == 0
    assert set(ARCHITECTURES) | {"face-detector"} <= set(rows_of(out))


@needs_keras
@pytest.mark.train
def test_the_network_that_finds_faces_is_shown_at_a_size(mien):
    shown = json.loads(mien("models", "show", "face-detector", "--size", 64, "--json").out)
    assert shown["layers"][0]["output"] == [64, 64, 3]
    code, _, err = mien("models", "show", "face-detector", "--size", 48)
    assert (code, "a multiple of 32" in err) == (2, True)


def test_a_network_without_keras_names_the_pip_line(process):
    with process("models", "show", "two-conv", before="import sys; sys.modules['keras'] = None") as started:
        out, err = started.communicate(timeout=120)
    assert (started.returncode, out) == (2, b"")
    assert b"received 'two-conv'" in err
    assert b"'keras>=" in err.partition(b"pip install ")[2]


def test_pull_of_what_is_here_prints_where(mien):
    code, out, _ = mien("models", "pull", "compact")
    assert (code, out.endswith("compact.onnx\n"), out.count("\n")) == (0, True, 1)


def test_pull_without_a_network_says_how_to_bring_the_file(ran):
    done = ran("models", "pull", "yunet", https_proxy="http://127.0.0.1:9", no_proxy="")
    assert (done.code, done.out) == (2, "")
    for parts in ("could not be fetched", "SHA-256 104ee26c", "mien models add yunet_n_dynamic.onnx"):
        assert parts in done.err


@pytest.mark.shared
def test_a_published_model_brought_by_hand_is_used(mien, shared, paint, portrait):
    code, out, _ = mien("models", "add", shared / "models" / "yunet_n_dynamic.onnx")
    assert (code, out) == (0, "added: yunet (detector)\n")
    code, out, _ = mien("predict", paint("a.png", portrait), "--detector", "yunet", "--json")
    assert (code, len(json.loads(out)["faces"])) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["pull", "nope"], "'nope'"),
        (["remove", "nope"], "'nope'"),
        (["remove", "compact"], "part of mien"),
        (["remove", "yunet"], "nothing to remove"),
        (["show", "nope"], "'nope'"),
        (["show", "nope.onnx"], "received 'nope.onnx'"),
        (["show", "yunet"], "mien models pull yunet"),
        (["add", "gone.onnx"], "none at gone.onnx"),
        (["add", PORTRAIT], "expected an .onnx model"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_what_can_t_be_done_is_refused(mien, arguments, parts):
    code, out, err = mien("models", *arguments)
    assert (code, out) == (2, "")
    assert parts in err


@pytest.mark.parametrize(("name", "parts"), [("compact", "belongs to a model of mien's own"), ("No Name", "'No Name'")])
def test_names_that_can_t_be_given(mien, own_model, name, parts):
    code, _, err = mien("models", "add", own_model(), "--name", name)
    assert (code, parts in err) == (2, True)


def test_verify_and_doctor_find_a_changed_model(mien, own_model, cache_folder):
    mien("models", "add", own_model())
    assert mien("models", "verify").code == 0
    (file,) = cache_folder.rglob("mine*.onnx")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    code, out, _ = mien("models", "verify")
    assert (code, "changed  mine" in out, "ok       compact" in out) == (1, True, True)
    code, out, _ = mien("doctor")
    (row,) = (line for line in out.splitlines() if "model mine" in line)
    assert (code, row.startswith("FAIL"), "mien models add FILE --name mine" in row) == (1, True, True)


def test_doctor_of_a_sound_installation(mien):
    code, out, err = mien("doctor")
    assert code == 0, out
    assert err == ""
    for topic in ("Python", "OpenCV", "ONNX Runtime", "model compact", "ms per face crop"):
        assert topic in out


def test_demo_prints_the_portrait_and_writes_it_drawn(mien, tmp_path):
    code, out, err = mien("demo", "--out", tmp_path / "new" / "demo")
    drawn = tmp_path / "new" / "demo" / "portrait.jpg"
    assert code == 0
    assert any(label in out for label in FER2013)
    assert f"written: {drawn};" in err
    assert read(drawn).shape == read(PORTRAIT).shape
    assert np.abs(read(drawn).astype(int) - read(PORTRAIT)).max() > 50
