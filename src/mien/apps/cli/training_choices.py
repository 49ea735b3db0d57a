"""From the options of ``mien train`` to a training config and the source of the data."""

from __future__ import annotations

import dataclasses
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mien.apps.cli.options import say
from mien.errors import UsageError
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mien.training.config import TrainingConfig
    from mien.training.run.directory import Record, Source

DEFAULT_NETWORK = "compact"


def resumed_run(out: Path) -> Record:
    """The run to resume. Selects the backend that it began on, unless KERAS_BACKEND names another."""
    from mien.training.run.directory import read_run

    record = read_run(out)
    if find_spec(record.run_info.backend):
        os.environ.setdefault("KERAS_BACKEND", record.run_info.backend)
    return record


def choose_config(path: str | None, given: dict[str, object], begun: Record | None) -> TrainingConfig:
    """The config of a new run, or that of a resumed run with the options that are given again.

    Args:
        path: a config file, or the name of one that ships; None for the network's own.
        given: config fields that options set, as typed.
        begun: the run to resume.
    """
    from mien.training.config import config_for, config_named
    from mien.training.transfer.backbones import effective_config, fine_tuning_config

    fields = _resolved(given)
    if begun and path is None:
        return dataclasses.replace(begun.config, **fields)  # type: ignore[arg-type]  # typer checked the types
    config = config_named(path) if path else config_for(str(fields.get("network", DEFAULT_NETWORK)))
    if path is None and fields.get("fine_tune"):
        config = fine_tuning_config(config)
    return effective_config(_shortened(config, fields))


def apply_fold(config: TrainingConfig, given: Collection[str]) -> TrainingConfig:
    """The config of a run that excludes a fold: without models that may have seen the fold.

    Args:
        config: the training config.
        given: the fields that the user set, which stay.
    """
    from mien.training.transfer.backbones import BACKBONES, IMAGENET, RANDOM

    if config.soft_labels and "soft_labels" not in given:
        say(f"the soft labels {config.soft_labels} are not used: their teachers have seen the fold")
        config = dataclasses.replace(config, soft_labels="")
    if config.teacher and "teacher" not in given:
        say(f"the teacher {config.teacher} is not used: it has seen the fold")
        config = dataclasses.replace(config, teacher="")
    if config.network not in BACKBONES and config.weights not in (IMAGENET, RANDOM) and "weights" not in given:
        say(f"the weights {config.weights} are not used: they may have been trained on the fold")
        config = dataclasses.replace(config, weights=RANDOM)
    return config


def find_source(
    begun: Record | None, data: Path | None, exclude: Path | None, share: float | None, fold: str | None
) -> Source:
    """Where the data is read: as the resumed run read it, unless options say otherwise."""
    from mien.data.splits import fold_named
    from mien.training.run.directory import Source

    previous = begun.run_info.source if begun else Source()
    if data is None and not previous.data:
        raise UsageError("expected --data, the data set to train on; received none")
    return Source(
        str(data.absolute()) if data else previous.data,
        str(exclude.absolute()) if exclude else previous.exclude,
        previous.validation_share if share is None else share,
        fold=previous.fold if fold is None else str(fold_named(fold)),
    )


def check_detector(config: TrainingConfig, options: Sequence[str]) -> None:
    """Refuses options that the face detector does not have."""
    if options and config.network == FACE_DETECTOR:
        raise UsageError(
            f"expected an expression classifier with {options[0]}; received the face detector. Drop the option"
        )


def _resolved(given: dict[str, object]) -> dict[str, object]:
    """The fields as a config holds them: paths absolute, "none" as the field has it."""
    from mien.training.distillation.soft_labels import soft_labels_setting
    from mien.training.transfer.backbones import weights_setting

    resolve = {
        "teacher": _teachers, "soft_labels": soft_labels_setting, "weights": weights_setting, "copy_paste": _absolute,
    }  # fmt: skip
    return {name: resolve[name](str(value)) if name in resolve else value for name, value in given.items()}


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _teachers(names: str) -> str:
    """Names, or absolute paths of files, with commas between; "" for "none"."""
    if names == "none":
        return ""
    parts = (part.strip() for part in names.split(","))
    return ",".join(_absolute(part) if part.lower().endswith(".onnx") else part for part in parts)


def _shortened(config: TrainingConfig, fields: dict[str, object]) -> TrainingConfig:
    """The config with other fields; warm-up and fine-tune phase shrink to fit a short run."""
    epochs = fields.get("epochs", config.epochs)
    if not isinstance(epochs, int) or epochs < 1:
        raise UsageError(f"expected at least 1 epoch; received {epochs}")
    fine_tune_epochs, warmup = min(config.fine_tune_epochs, epochs // 5), min(config.warmup_epochs, epochs / 5)
    return dataclasses.replace(config, fine_tune_epochs=fine_tune_epochs, warmup_epochs=warmup, **fields)  # type: ignore[arg-type]  # typer checked the types
