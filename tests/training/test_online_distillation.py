"""Online distillation: the mean of the teachers, on augmented images, and which models can be teachers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tasks_drawn import drawn, drawn_with_votes

from mien.classification.classifier import Classifier
from mien.errors import ModelError, TrainingError
from mien.models.store import ModelStore
from mien.training.config import PLAIN, Augmentation, TrainingConfig
from mien.training.distillation.online import Teachers, teachers_for
from mien.training.distillation.soft_labels import blend_soft_labels, soft_labels_from
from mien.training.tasks.classification.batches import Batches

if TYPE_CHECKING:
    from mien.data.dataset import Dataset
    from mien.structures import Crops, Probabilities


@dataclass(frozen=True)
class ConstantTeacher:
    """A teacher with constant predictions that records its inputs."""

    seen: list[Crops]
    weight: float = 0.5

    def predict(self, crops: Crops) -> dict[str, Probabilities]:
        self.seen.append(crops)
        return {"classes": np.tile(np.float32([0.3, 0.7, 0, 0, 0, 0, 0, 0]), (len(crops), 1))}


def faces(each: int = 4) -> Dataset:
    """Face crops of 48 px under FER2013's labels and FER+ votes, as the shipped models read them."""
    return drawn_with_votes(each, size=48)


def test_teachers_predict_the_mean_of_their_calibrated_probabilities() -> None:
    crops, models = faces().crops, [Classifier(ModelStore().load(name)) for name in ("nano", "compact-int8")]
    probabilities = Teachers(models, 0.5).predict(crops)
    for head in ("fer2013", "ferplus"):
        each = [replace_mirrored(model).predict(crops, head) for model in models]
        np.testing.assert_allclose(probabilities[head], (each[0] + each[1]) / 2, atol=1e-6)
        assert np.abs(each[0] - each[1]).max() > 0.05
        assert probabilities[head].dtype == np.float32


def replace_mirrored(model: Classifier) -> Classifier:
    """The model, reading each face crop as it is alone."""
    model.card = replace(model.card, mirrored=False)
    return model


def test_a_teacher_predicts_the_augmented_and_mixed_images_of_each_batch() -> None:
    data, config = drawn(each=4), TrainingConfig(batch=16, augmentation=Augmentation(mixup_share=1.0))
    teacher = ConstantTeacher([])
    distilled = list(Batches(data, config, teacher).epoch(1))  # type: ignore[arg-type]  # a fake
    alone = list(Batches(data, config).epoch(1))
    for seen, batch, other in zip(teacher.seen, distilled, alone, strict=True):
        assert (seen == batch.crops).all()
        assert (batch.crops == other.crops).all()
        expected = 0.5 * other.targets["classes"] + 0.5 * np.float32([0.3, 0.7, 0, 0, 0, 0, 0, 0])
        np.testing.assert_allclose(batch.targets["classes"], expected, atol=1e-6)
        np.testing.assert_allclose(batch.weights["classes"], 1, atol=1e-6)


def test_on_plain_images_teachers_equal_their_soft_labels() -> None:
    data, config = faces(), TrainingConfig(batch=32, augmentation=PLAIN)
    teachers = Teachers([Classifier(ModelStore().load("nano"))], 0.7)
    probabilities = teachers.predict(data.crops)
    by_head = {truth.head: (tuple(map(str, truth.labels)), probabilities[truth.head]) for truth in data.truths}
    soft = soft_labels_from(data.crops, by_head, provenance="")
    online = next(Batches(data, config, teachers).epoch(0))
    kept = next(Batches(blend_soft_labels(data, soft, 0.7), config).epoch(0))
    for head in probabilities:
        np.testing.assert_allclose(online.targets[head], kept.targets[head], atol=1e-3)  # the file keeps float16
        np.testing.assert_allclose(online.weights[head], kept.weights[head], atol=1e-6)


def test_a_config_names_its_teachers() -> None:
    config = TrainingConfig(teacher="nano, compact-int8", distillation_weight=0.7)
    teachers = teachers_for(config, faces())
    assert teachers is not None
    assert teachers.weight == 0.7
    sums = [ModelStore().entry(name).sha256 for name in ("nano", "compact-int8")]
    assert teachers.origin == f"nano sha256:{sums[0]}, compact-int8 sha256:{sums[1]}"


def test_without_teachers_there_are_none() -> None:
    assert teachers_for(TrainingConfig(), faces()) is None


def other_labels(data: Dataset) -> Dataset:
    own, votes = data.truths
    return replace(data, truths=(replace(own, labels=own.labels[::-1]), votes))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            drawn(each=4),
            "expected teachers of face crops of 24 px, 1 channels; received nano, which takes 48 px",
        ),
        (drawn(each=4, size=48), "expected teachers with the head 'classes'"),
        (other_labels(faces()), "expected teachers with the head 'fer2013' for .*'neutral', .*; received nano, which"),
    ],
    ids=["size", "heads", "order of labels"],
)
def test_a_teacher_of_other_images_or_labels_is_refused(data: Dataset, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        teachers_for(TrainingConfig(teacher="nano"), data)


@pytest.mark.parametrize("name", ["nobody", "gone.onnx"])
def test_a_missing_teacher_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=name):
        teachers_for(TrainingConfig(teacher=name), faces())
