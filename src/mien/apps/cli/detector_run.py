"""What ``mien train`` and ``mien export`` do for the network that finds faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.apps.cli.options import say
from mien.errors import TrainingError, UsageError

if TYPE_CHECKING:
    from mien.data import Dataset
    from mien.data.scenes import Scenes
    from mien.detection.grid import GridDetector
    from mien.models.card import DetectorCard
    from mien.training.config import TrainingConfig
    from mien.training.run.directory import Source


def read_halves(source: Source) -> tuple[Scenes, Scenes]:
    """The scenes that are learnt from, and the tenth that choices are made on."""
    from mien.data import scenes

    if source.without:
        raise UsageError("expected no --without for the face detector: take the images out of labels.jsonl")
    return scenes.read(Path(source.data)).halves()


def chosen_teacher(words: str) -> str:
    """Teachers as a config names them: a name or a file's absolute path, commas between; or "" for none."""
    if words == "none":
        return ""
    return ",".join(_whole(part.strip()) for part in words.split(","))


def _whole(words: str) -> str:
    return str(Path(words).expanduser().absolute()) if words.lower().endswith(".onnx") else words


def find_teacher(config: TrainingConfig) -> GridDetector | None:
    """The detector that a config names to learn from."""
    from mien.detection.grid import GridDetector
    from mien.models.store import ModelStore
    from mien.recognizer import find_detector

    if not config.teacher:
        return None
    teacher = find_detector(config.teacher, ModelStore())
    if not isinstance(teacher, GridDetector):
        raise UsageError(f"expected yunet, or a detector's .onnx file, to learn from; received {config.teacher!r}")
    return teacher


def find_crops(config: TrainingConfig) -> Dataset | None:
    """The data set of face crops that a config pastes from."""
    from mien.data import load

    return load(Path(config.copy_paste)) if config.copy_paste else None


def write_detector(run: Path, model: Any, halves: tuple[Scenes, Scenes], config: TrainingConfig) -> None:
    """Writes the model file of a detector into its run directory, and tells of it."""
    from mien.training.run.directory import MODEL
    from mien.training.tasks.detection.export import export_detector

    tell(export_detector(model, *halves, config, run / MODEL), run / MODEL)


def load_detector_run(run: Path) -> Any:
    """The detector with the run's best weights."""
    from mien.training import prepare_backend

    prepare_backend()
    from mien.training.architectures.detector import face_detector
    from mien.training.run.directory import BEST

    model = face_detector()
    try:
        model.load_weights(run / BEST)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"expected weights of the face detector at {run / BEST}; received others ({error})"
        ) from error
    return model


def tell(card: DetectorCard, path: Path) -> None:
    """Tells on stderr what the detector came to."""
    for score in card.scores:
        say(f"{score.split} {score.head}: {score.metric} {score.value:.4f} of {score.count}")
    say(f"a face from a score of {card.score}; written: {path}")
