"""Training of any classifier architecture, with transfer learning in two stages for pretrained backbones.

Stage 1, head training, computes the features of the frozen backbone once, caches them on disk, and fits the new layers
on them in seconds. Stage 2, with ``config.fine_tune``, unfreezes the last blocks and continues at a lower learning
rate.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import keras
import numpy as np

from mien.errors import TrainingError, UsageError
from mien.media.files import atomic_write, sha256_of
from mien.training.architectures.pretrained import FEATURES, backbone_of, blocks
from mien.training.engine.loop import Options, Run
from mien.training.engine.optimization import is_finished
from mien.training.run.checkpoint import Checkpoints
from mien.training.run.directory import BEST, CHECKPOINTS, LOCK, read_run_info
from mien.training.run.guards import deferred_signals, run_lock
from mien.training.run.history import best_epoch, read_history, write_history
from mien.training.run.plots import write_samples
from mien.training.run.resume import check_resumable, run_info_of, start_run
from mien.training.tasks.classification.compilation import build_float32, heads_of, load, shape_of
from mien.training.tasks.classification.task import fit
from mien.training.transfer.backbones import (
    BACKBONES,
    FINE_TUNE_LR_RATIO,
    IMAGENET,
    RANDOM,
    Backbone,
    effective_config,
)
from mien.training.transfer.head_training import FeatureSet, extract_features, feature_cache, train_head
from mien.training.transfer.imagenet_weights import load_backbone, weights_file
from mien.training.transfer.warm_start import load_source, warm_start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.data.dataset import Dataset
    from mien.structures import Crops
    from mien.training.config import TrainingConfig
    from mien.training.run.history import Epoch, TrainEvent
    from mien.training.transfer.head_training import Features

    Report = Callable[[TrainEvent], None]


def train(
    training: Dataset,
    validation: Dataset,
    config: TrainingConfig,
    run: Path,
    report: Report,
    options: Options | None = None,
) -> Run:
    """Train a classifier of any architecture: transfer learning for ``BACKBONES``, ``fit`` for all others.

    Other architectures warm-start where the config names a run or a model. With the weights "none", a network with a
    backbone is trained from random weights like any other. Without ``config.fine_tune``, only the head is trained; a
    resumed head training starts over, reuses all cached features and ends with the same weights.

    Args:
        training: rows to train on.
        validation: rows that the best epoch is selected on, with the same heads.
        config: the training config; ``effective_config`` of it is saved.
        run: the run directory, as for ``fit``.
        report: receives events, as for ``fit``.
        options: as for ``fit``.

    Raises:
        UsageError: the config's transfer settings do not fit its network.
        TrainingError: as for ``fit``; or the weights file is damaged or of another network.
        ModelError: the config warm-starts from a model that does not exist.
        FetchError: the ImageNet weights are not in Keras' cache and can't be downloaded.
        Interrupted: Ctrl-C, SIGTERM or SIGHUP was received; the run is saved.
    """
    options, config = options or Options(), effective_config(config)
    backbone = BACKBONES.get(config.network)
    _check(config, backbone, on_device=options.on_device)
    if backbone is None:
        return fit(training, validation, config, run, report, _with_warm_start(training, config, run, options))
    if config.weights == RANDOM:
        return fit(training, validation, config, run, report, options)
    transfer = _TransferRun((training, validation), config, run, backbone, report)
    options = replace(options, source=replace(options.source, weights=transfer.origin))
    if config.fine_tune == 0:
        return transfer.train_head(options)
    return fit(training, validation, config, run, report, replace(options, start=transfer.initializer(options)))


def _with_warm_start(training: Dataset, config: TrainingConfig, run: Path, options: Options) -> Options:
    """The options with the weights that the config warm-starts from, if any; a run with a checkpoint needs none."""
    if config.weights in (IMAGENET, RANDOM):
        return options
    if options.resume and Checkpoints(run / CHECKPOINTS).places():
        return replace(options, source=replace(options.source, weights=read_run_info(run).source.weights))
    network = load_source(config.weights, training, config)
    labels = dict(heads_of(training))
    source = replace(options.source, weights=network.origin)
    return replace(options, source=source, start=lambda model: warm_start(model, network, labels))


def unfreeze(network: keras.Model, backbone: Backbone, count: int) -> None:
    """Freeze a backbone except for its last blocks; batch normalisation stays frozen everywhere.

    Args:
        network: the backbone.
        backbone: its description.
        count: number of blocks to unfreeze, counted from the output.

    Raises:
        UsageError: the backbone has fewer blocks.
    """
    parts = blocks(network, backbone)
    if count > len(parts):
        raise UsageError(
            f"expected fine_tune (--fine-tune) up to {len(parts)}, the blocks of {backbone.application}; "
            f"received {count}"
        )
    trainable = {layer.name for block in parts[len(parts) - count :] for layer in block}
    for layer in network.layers:
        layer.trainable = layer.name in trainable and not isinstance(layer, keras.layers.BatchNormalization)


class _TransferRun:
    """A run of a network with a pretrained backbone.

    Attributes:
        origin: the weights file and its SHA-256.
    """

    def __init__(
        self, data: tuple[Dataset, Dataset], config: TrainingConfig, run: Path, backbone: Backbone, report: Report
    ) -> None:
        self._data = data
        self._config = config
        self._run = run
        self._backbone = backbone
        self._report = report
        self._path = weights_file(config.weights, backbone, report)
        self._digest = sha256_of(self._path)
        self.origin = f"{self._path.name} sha256:{self._digest}"

    def train_head(self, options: Options) -> Run:
        """Run stage 1 alone, as a complete run."""
        training = self._data[0]
        with run_lock(self._run / LOCK), deferred_signals() as interruption:
            model = self._frozen_model()
            run_info = run_info_of(model, self._data, heads_of(self._data[0]), self._config, options.source)
            if options.resume:
                check_resumable(self._run, self._config, run_info, self._report)
            else:
                start_run(
                    self._run, self._config, run_info, partial(write_samples, training=training, config=self._config)
                )
            history = read_history(self._run)
            if is_finished(self._config, history) and (self._run / BEST).is_file():
                self._report(f"the run is finished after {len(history)} epochs; there is nothing left to train")
                return Run(load(self._run / BEST, shape_of(training, self._config), self._config.network), history)
            history = self._fit_head(model, self._config, self._record, interruption.check)
            with atomic_write(self._run / BEST) as aside:
                model.save_weights(aside, overwrite=True)
            return Run(model, history)

    def initializer(self, options: Options) -> Callable[[keras.Model], None]:
        """The function that prepares a fresh network for stage 2; a run with a checkpoint skips stage 1."""
        resumed = options.resume and Checkpoints(self._run / CHECKPOINTS).places()
        trained = None if resumed else self._frozen_model()
        if trained is not None:
            unfreeze(backbone_of(trained), self._backbone, self._config.fine_tune)  # reports too many blocks at once
            stage_1 = replace(self._config, learning_rate=self._config.learning_rate / FINE_TUNE_LR_RATIO)
            history = self._fit_head(trained, stage_1, lambda _: None, lambda: None)
            best = history[best_epoch(history) - 1]
            scores = ", ".join(f"{score.head} {score.accuracy:.4f}" for score in best.scores)
            self._report(f"head trained on the frozen backbone, {len(history)} epochs; accuracy: {scores}")

        def initialize(model: keras.Model) -> None:
            unfreeze(backbone_of(model), self._backbone, self._config.fine_tune)
            if trained is not None:
                model.set_weights(trained.get_weights())

        return initialize

    def _frozen_model(self) -> keras.Model:
        """The network in float32 with the pretrained weights in its backbone."""
        keras.utils.set_random_seed(self._config.seed)
        model = build_float32(shape_of(self._data[0], self._config), self._config.network)
        load_backbone(backbone_of(model), self._path, self._backbone)
        return model

    def _fit_head(
        self,
        model: keras.Model,
        config: TrainingConfig,
        record: Callable[[tuple[Epoch, ...]], None],
        check: Callable[[], None],
    ) -> tuple[Epoch, ...]:
        """Run stage 1: train the head of ``model`` and load the weights of its best epoch."""
        training, validation = self._data
        extract = _extractor(model, check)
        cache = feature_cache(config.network, self._backbone.size, self._digest)
        self._report(f"computing features of {len(training) + len(validation):,} images, cached in {cache}")
        features = extract_features(extract, training.crops, cache, self._report)
        if config.augmentation.flip > 0:
            mirrored = extract_features(extract, training.crops[:, :, ::-1], cache, self._report)
            features = np.concatenate([features, mirrored])
            training = training.select(np.tile(np.arange(len(training)), 2))
        held_out = FeatureSet(extract_features(extract, validation.crops, cache, self._report), validation)
        return train_head(model, FeatureSet(features, training), held_out, config, record, check)

    def _record(self, history: tuple[Epoch, ...]) -> None:
        write_history(self._run, history)
        self._report(history[-1])


def _extractor(model: keras.Model, check: Callable[[], None]) -> Callable[[Crops], Features]:
    """The feature extractor of a network; ``check`` is called before each block."""
    frozen = keras.Model(model.input, model.get_layer(FEATURES).output)

    def extract(crops: Crops) -> Features:
        check()
        features: Features = frozen.predict_on_batch(crops)
        if not np.isfinite(features).all():
            raise TrainingError(
                "expected finite features of the frozen backbone; received NaN or infinity: its weights are damaged"
            )
        return features

    return extract


def _check(config: TrainingConfig, backbone: Backbone | None, *, on_device: bool) -> None:
    """Check that the config's transfer settings fit its network and each other."""
    if backbone is None and config.fine_tune:
        raise UsageError(
            f"expected fine_tune (--fine-tune) for one of {list(BACKBONES)} only; received it for {config.network!r}"
        )
    head_only = backbone is not None and config.weights != RANDOM and not config.fine_tune
    if head_only and (on_device or config.repeats > 1 or config.teacher):
        settings = {
            "--on-device": on_device,
            f"repeats = {config.repeats}": config.repeats > 1,
            "--teacher": config.teacher,
        }
        raise UsageError(
            "expected no repeats, --teacher or --on-device for head training on frozen features, which takes seconds; "
            f"received {', '.join(name for name, given in settings.items() if given)}. Remove these, or fine-tune "
            "blocks with --fine-tune"
        )
    if backbone is not None and config.weights == RANDOM and config.fine_tune:
        raise UsageError(
            "expected no fine_tune (--fine-tune) for a network trained from random weights; "
            f"received {config.fine_tune}"
        )
