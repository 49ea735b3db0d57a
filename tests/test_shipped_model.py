"""The shipped model keeps its promises, on FER2013's PublicTest and on real photos through the whole chain."""

from __future__ import annotations

import pytest

from mien import datasets
from mien.datasets import photos
from mien.datasets.photos import LabelledPhotos
from mien.evaluation.judging import judge_chips, judge_photos
from mien.model_manifest import read_entries
from mien.model_store import SHIPPED, ModelStore
from mien.onnx_guard import card_of
from mien.recognizer import DEFAULT_MODEL, Recognizer, find_detector

pytestmark = pytest.mark.shared


@pytest.fixture(scope="session")
def public_test(shared):
    return datasets.load(shared / "data" / "fer2013").split("PublicTest")


@pytest.mark.parametrize(
    ("labels", "accuracy", "macro_f1", "ece"),
    [("fer2013", 0.69, 0.67, 0.03), ("ferplus", 0.85, 0.0, 0.03), ("answer", 0.85, 0.0, 0.03)],
)
def test_it_reads_public_test(classifier, public_test, labels, accuracy, macro_f1, ece):
    metrics = judge_chips(classifier, public_test, labels).metrics
    assert metrics.accuracy >= accuracy
    assert metrics.macro_f1 >= macro_f1
    assert metrics.ece <= ece


def test_its_card_tells_the_scores_that_it_has(classifier, public_test):
    told = {(score.head, score.metric): score.value for score in classifier.card.scores}
    for labels in ("fer2013", "ferplus", "answer"):
        metrics = judge_chips(classifier, public_test, labels).metrics
        assert told[labels, "accuracy"] == pytest.approx(metrics.accuracy, abs=1e-3)
        assert told[labels, "macro_f1"] == pytest.approx(metrics.macro_f1, abs=1e-3)


@pytest.mark.parametrize(("name", "missed"), [("auto", 0.025), ("haar", 0.06), ("yunet", 0.02)])
def test_it_reads_photos_through_the_whole_chain(classifier, shared, tmp_path, name, missed):
    """Disgust is left out: the labels of those photos are not to be trusted."""
    store = ModelStore(cache=tmp_path / "cache")
    store.add(shared / "models" / "yunet_n_dynamic.onnx")
    found = photos.read(shared / "data" / "photos")
    every = 3 if name == "haar" else 1  # it takes seven times as long
    some = LabelledPhotos(found.paths[::every], found.answers[::every])
    report = judge_photos(Recognizer(find_detector(name, store), classifier), some, ["disgust"]).report
    assert report.missed <= missed * report.metrics.n
    assert report.metrics.accuracy >= 0.62


def test_its_card_is_complete():
    store_entry = next(entry for entry in read_entries(SHIPPED / "manifest.json") if entry.name == DEFAULT_MODEL)
    card = card_of((SHIPPED / store_entry.file).read_bytes())
    assert card.origin.licence
    assert card.origin.notes
    assert card.origin.recipe
    assert card.answer.unsure_below > 0
