"""``mien models``, ``mien doctor`` and ``mien demo``."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mien.apps.cli.demo import PORTRAIT
from mien.emotions import FER2013
from mien.images import read
from mien.model_card import CARD_KEY, SEAL_KEY, UNSEALED, ModelCard, seal


@pytest.fixture
def own_model(shipped_model, classifier, tmp_path):
    """The shipped model under a card of its own, in a file: a model that a user taught."""
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


def test_list_takes_the_words_of_a_card_literally(mien, own_model):
    assert mien("models", "add", own_model(licence="[red]MIT[/x] :smile: \x1b[2J")).code == 0
    assert "[red]MIT[/x] :smile: \\x1b[2J" in rows_of(mien("models", "list").out)["mine"]


def test_a_model_of_one_s_own_comes_works_and_goes(mien, own_model, cache_folder, paint):
    assert mien("models", "add", own_model(), "--name", "theirs") == (0, "added: theirs (classifier)\n", "")
    assert "classifier  ok" in rows_of(mien("models", "list").out)["theirs"]
    assert mien("predict", paint("a.png"), "-d", "whole", "--model", "theirs").code == 0
    assert mien("models", "remove", "theirs").code == 0
    assert cached(cache_folder) == []
    assert mien("predict", paint("a.png"), "-d", "whole", "--model", "theirs").code == 2


def test_show_prints_the_card(mien, own_model, classifier):
    code, out, _ = mien("models", "show", "compact")
    assert code == 0
    assert ModelCard.from_json(out) == classifier.card
    assert json.loads(mien("models", "show", own_model("héron")).out)["name"] == "héron"


def test_pull_of_what_is_here_prints_where(mien):
    code, out, _ = mien("models", "pull", "compact")
    assert (code, out.endswith("compact.onnx\n"), out.count("\n")) == (0, True, 1)


def test_pull_without_a_network_says_how_to_bring_the_file(ran):
    done = ran("models", "pull", "yunet", https_proxy="http://127.0.0.1:9", no_proxy="")
    assert (done.code, done.out) == (2, "")
    for words in ("could not be fetched", "SHA-256 104ee26c", "mien models add yunet_n_dynamic.onnx"):
        assert words in done.err


@pytest.mark.shared
def test_a_published_model_brought_by_hand_is_used(mien, shared, paint, portrait):
    code, out, _ = mien("models", "add", shared / "models" / "yunet_n_dynamic.onnx")
    assert (code, out) == (0, "added: yunet (detector)\n")
    code, out, _ = mien("predict", paint("a.png", portrait), "--detector", "yunet", "--json")
    assert (code, len(json.loads(out)["faces"])) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pull", "nope"], "'nope'"),
        (["remove", "nope"], "'nope'"),
        (["remove", "compact"], "part of mien"),
        (["remove", "yunet"], "nothing to remove"),
        (["show", "nope"], "'nope'"),
        (["show", "yunet"], "mien models pull yunet"),
        (["add", "gone.onnx"], "none at gone.onnx"),
        (["add", PORTRAIT], "expected an .onnx model"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_what_can_t_be_done_is_said(mien, arguments, words):
    code, out, err = mien("models", *arguments)
    assert (code, out) == (2, "")
    assert words in err


@pytest.mark.parametrize(("name", "words"), [("compact", "belongs to a model of mien's own"), ("No Name", "'No Name'")])
def test_names_that_can_t_be_given(mien, own_model, name, words):
    code, _, err = mien("models", "add", own_model(), "--name", name)
    assert (code, words in err) == (2, True)


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
    for topic in ("Python", "OpenCV", "ONNX Runtime", "model compact", "ms a chip"):
        assert topic in out


def test_demo_prints_the_portrait_and_writes_it_drawn(mien, tmp_path):
    code, out, _ = mien("demo", "--out", tmp_path / "new" / "demo")
    drawn = tmp_path / "new" / "demo" / "portrait.jpg"
    assert code == 0
    assert any(label in out for label in FER2013)
    assert out.endswith(f"drawn: {drawn}\n")
    assert read(drawn).shape == read(PORTRAIT).shape
    assert np.abs(read(drawn).astype(int) - read(PORTRAIT)).max() > 50
