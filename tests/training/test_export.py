from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import keras
from tasks_drawn import PATTERNS

from mien.classification.classifier import Classifier
from mien.data import load as load_data
from mien.emotions import FER2013, FERPLUS
from mien.errors import MissingExtraError, ModelError, TrainingError
from mien.evaluation.evaluate import evaluate_crops
from mien.models.card import FUSED
from mien.training import architectures
from mien.training.config import TrainingConfig, from_toml
from mien.training.export.card import calibrated, calibrated_card, sealed
from mien.training.export.classifier import TOLERANCE, check_agreement, export_classifier
from mien.training.export.conversion import _exported_in_child, to_onnx
from mien.training.tasks.classification.compilation import shape_of
from mien.training.tasks.classification.task import Logits, predict_logits

if TYPE_CHECKING:
    from pathlib import Path

    from tasks_drawn import TrainedRun

    from mien.models.card import ModelCard

pytestmark = pytest.mark.train


@dataclass(frozen=True)
class Exported:
    """A run, its model file's bytes, and the card that ``export`` gave back."""

    trained: TrainedRun
    content: bytes
    card: ModelCard


def exported(done: TrainedRun, folder: Path) -> Exported:
    path = folder / "new" / "model.onnx"
    card = export_classifier(done.run.model, done.training, done.validation, done.config, path)
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    return Exported(done, path.read_bytes(), card)


@pytest.fixture(scope="session")
def one_head(single: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(single, tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="session")
def two_heads(double: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(double, tmp_path_factory.mktemp("two"))


@pytest.fixture(params=["one_head", pytest.param("two_heads", marks=pytest.mark.slow_on_jax)])
def file(request: pytest.FixtureRequest) -> Exported:
    made: Exported = request.getfixturevalue(request.param)
    return made


@pytest.mark.backend
def test_the_file_holds_the_card_that_export_gives(file: Exported) -> None:
    assert Classifier(file.content, threads=1).card == file.card


def test_the_card_says_how_the_model_is_used(file: Exported) -> None:
    card, done = file.card, file.trained
    assert (card.name, card.size, card.channels) == (done.config.network, 24, 1)
    assert card.crop.factor == done.config.crop_factor
    assert card.mirrored == (done.config.augmentation.flip > 0)
    for head in card.heads:
        assert head.labels == done.training.truth(head.name).labels
        assert head.temperature > 0
        assert len(head.offsets) == len(head.scales)
        assert len(head.offsets) in {0, len(head.labels)}
        assert 0 <= head.unsure_below <= 1


@pytest.mark.backend
def test_the_card_says_where_the_model_came_from(file: Exported) -> None:
    origin, done = file.card.origin, file.trained
    assert from_toml(origin.config) == done.config
    assert origin.network == done.config.network
    assert origin.data == f"drawn sha256:{'d' * 64}, {len(done.training)} images"
    assert origin.licence == done.config.licence
    for word in ("mien ", f"keras {keras.__version__}", "onnx ", f"backend {keras.backend.backend()}"):
        assert word in origin.made_with


def test_one_head_is_its_own_fused_prediction(one_head: Exported) -> None:
    assert [head.name for head in one_head.card.heads] == ["classes"]
    assert one_head.card.fused.labels == PATTERNS
    assert one_head.card.fused.weights == (("classes", 1.0),)


def test_two_heads_are_fused_on_the_seven_labels_they_share(two_heads: Exported) -> None:
    card = two_heads.card
    assert {head.name: head.labels for head in card.heads} == {"fer2013": FER2013, "ferplus": FERPLUS}
    assert card.fused.labels == FER2013
    assert dict(card.fused.weights) == pytest.approx({"fer2013": 0.2, "ferplus": 0.8})


def test_the_card_s_scores_are_those_of_the_file_on_the_validation_split(file: Exported) -> None:
    classifier, data = Classifier(file.content, threads=1), file.trained.validation
    scores = {(score.head, score.metric): score for score in file.card.scores}
    heads = [truth.head for truth in data.truths]
    assert set(scores) == {
        (head, metric) for head in (*heads, FUSED) for metric in ("accuracy", "macro_f1", "ece", "nll")
    }
    for (head, metric), score in scores.items():
        metrics = evaluate_crops(classifier, data, head).metrics
        assert (score.split, score.count) == ("PublicTest", metrics.n)
        assert score.value == pytest.approx(getattr(metrics, metric), abs=2e-5)


def test_a_card_calibrated_again_on_the_same_logits_is_the_same(file: Exported) -> None:
    validation = file.trained.validation
    logits = predict_logits(file.trained.run.model, validation.crops)
    again = calibrated(file.card, logits, validation)
    assert again.scores == file.card.scores
    for one, other in zip((*again.heads, again.fused), (*file.card.heads, file.card.fused), strict=True):
        assert one.temperature == pytest.approx(other.temperature, rel=1e-3)
        assert one.offsets == pytest.approx(other.offsets, abs=1e-2)
        assert one.unsure_below == pytest.approx(other.unsure_below, rel=1e-3)


@pytest.mark.backend
def test_keras_and_the_file_agree_on_every_crop(file: Exported) -> None:
    classifier = Classifier(file.content, threads=1)
    for data in (file.trained.training, file.trained.validation):
        expected = predict_logits(file.trained.run.model, data.crops)
        for head, logits in classifier.logits(data.crops).items():
            np.testing.assert_allclose(logits, expected[head], rtol=0, atol=TOLERANCE)
            np.testing.assert_array_equal(logits.argmax(axis=1), expected[head].argmax(axis=1))


def test_a_changed_byte_is_refused(one_head: Exported) -> None:
    size = len(one_head.content)
    for at in (size // 5, size // 2, size - 200, size - 1):
        changed = bytearray(one_head.content)
        changed[at] ^= 1
        with pytest.raises(ModelError):
            Classifier(bytes(changed))


@pytest.mark.backend
@pytest.mark.slow_on_jax
def test_another_process_exports_the_same_graph(double: TrainedRun) -> None:
    """The way from JAX; the other process has a backend that exports, which may be this one's."""
    model, data = double.run.model, double.validation
    card = calibrated_card(predict_logits(model, data.crops), double.training, data, double.config, "jax")
    check_agreement(Classifier(sealed(_exported_in_child(model), card)), data.crops, predict_logits(model, data.crops))


@pytest.mark.backend
def test_where_no_backend_exports_the_message_says_what_to_do(double: TrainedRun) -> None:
    with pytest.raises(MissingExtraError, match=r"mien export RUN.*pip install .*'torch>="):
        _exported_in_child(double.run.model, installed=lambda _: False)


@pytest.mark.backend
@pytest.mark.slow_on_jax
def test_errors_of_the_child_process_are_reported(double: TrainedRun) -> None:
    stranger = keras.Model(double.run.model.input, double.run.model.output, name="stranger")
    with pytest.raises(TrainingError, match=r"expected (torch|tensorflow) to export the network; .*'stranger'"):
        _exported_in_child(stranger)


class Fake:
    """Stands for the exported graph and returns given logits."""

    def __init__(self, logits: Logits) -> None:
        self._logits = logits

    def logits(self, _crops: object) -> Logits:
        return self._logits


CROPS = np.zeros((2, 8, 8, 1), np.uint8)
LOGITS = np.array([[1.0, 0.99999, 0.0], [0.0, 2.0, 3.0]], np.float32)


@pytest.mark.parametrize("off", [0.0, 5e-5])
def test_a_graph_that_agrees_passes(off: float) -> None:
    check_agreement(Fake({"own": LOGITS + np.float32(off)}), CROPS, {"own": LOGITS})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param((1, 2, 2e-3), id="too far off"),
        pytest.param((0, 1, 5e-5), id="another best label"),
        pytest.param((1, 0, np.nan), id="no number"),
    ],
)
def test_a_graph_that_does_not_agree_is_refused(change: tuple[int, int, float]) -> None:
    row, column, by = change
    other = LOGITS.copy()
    other[row, column] += by
    good = LOGITS.copy()
    with pytest.raises(TrainingError, match="the head 'votes'"):
        check_agreement(
            Fake({"own": good, "votes": other}),
            CROPS,
            {"own": LOGITS, "votes": LOGITS},  # type: ignore[arg-type]
        )


def test_a_network_that_is_not_float32_leaves_no_file(single: TrainedRun, tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    coarse = architectures.build("two-conv", shape_of(single.training, single.config))
    with pytest.raises(TrainingError, match="float32 precision"):
        export_classifier(coarse, single.training, single.validation, single.config, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shared
def test_keras_and_the_file_agree_on_every_face_of_public_test(shared: Path) -> None:
    public_test = load_data(shared / "data" / "fer2013").split("PublicTest")
    heads = tuple((truth.head, len(truth.labels)) for truth in public_test.truths)
    keras.utils.set_random_seed(0)
    model = architectures.build("nano", architectures.NetworkShape(48, 1, heads))
    logits = predict_logits(model, public_test.crops)
    card = calibrated_card(logits, public_test, public_test, TrainingConfig(network="nano"), keras.backend.backend())
    check_agreement(Classifier(sealed(to_onnx(model), card)), public_test.crops, logits)


def test_prior_correction_removes_the_label_frequencies(double: TrainedRun) -> None:
    model, data = double.run.model, double.validation
    logits = predict_logits(model, data.crops)
    plain, corrected = (
        calibrated_card(logits, double.training, data, replace(double.config, prior_correction=part), "torch").fused
        for part in (0.0, 0.5)
    )
    assert plain.offsets == ()
    votes = double.training.truths[-1]
    targets = votes.class_ids[votes.evaluated]
    shares = [np.mean(targets == list(votes.labels).index(label)) for label in corrected.labels]
    logs = np.log(np.maximum(shares, 1e-9))
    seen = np.array(shares) > 0
    steps = np.array(corrected.offsets)[seen] + 0.5 * logs[seen]
    np.testing.assert_allclose(steps, steps[0], atol=0.2)  # the same for all but for labels left out
