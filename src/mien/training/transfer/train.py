"""Transfer learning in two stages: new layers on a frozen network's features, then its last blocks too.

Stage 1 computes the features of the frozen base once, keeps them on disk, and teaches the new layers on them in
seconds. Stage 2, with ``config.fine_tune``, goes on with the last blocks unfrozen, at a lower rate.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import keras
import numpy as np

from mien.errors import TrainingError, UsageError
from mien.media.files import atomic_write, sha256_of
from mien.training.architectures.pretrained import FAMILIES, FEATURES, Family, base_of, blocks
from mien.training.engine.loop import Options, Run
from mien.training.engine.optimization import is_finished
from mien.training.run.checkpoint import Checkpoints
from mien.training.run.directory import BEST, CHECKPOINTS, LOCK, read_run_info
from mien.training.run.guards import deferred_signals, run_lock
from mien.training.run.history import best_epoch, read_history, write_history
from mien.training.run.plots import write_samples
from mien.training.run.resume import begin, check_resumable, run_info_of
from mien.training.tasks.classification.compilation import build_float32, heads_of, load, shape_of
from mien.training.tasks.classification.task import fit
from mien.training.transfer.choices import FINER, IMAGENET, RANDOM, settled
from mien.training.transfer.features import features_of, folder
from mien.training.transfer.new_layers import Material, learn_new_layers
from mien.training.transfer.starting_weights import load_base, weights_file
from mien.training.transfer.trained_weights import begin_with, trained_network

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.data.dataset import Dataset
    from mien.structures import Crops
    from mien.training.config import TrainingConfig
    from mien.training.run.history import Epoch, TrainEvent
    from mien.training.transfer.features import Features

    Tell = Callable[[TrainEvent], None]


def train(
    training: Dataset,
    validation: Dataset,
    config: TrainingConfig,
    run: Path,
    tell: Tell,
    options: Options | None = None,
) -> Run:
    """Teaches any network of the architectures: those of ``FAMILIES`` by transfer learning, all others as ``fit`` does.

    Any other than those begins with the weights of a taught one where the config names a run or a model.

    With the config's weights "none" a network of ``FAMILIES`` begins with random ones and is taught whole, as all
    others are. Else, without ``config.fine_tune``, the new layers alone are taught; when resumed, that starts over and
    ends as it would have, with no feature computed twice.

    Args:
        training: the rows learnt from.
        validation: the rows that the epoch is chosen on; the same heads.
        config: every choice; what ``settled`` makes of it is saved.
        run: the directory, as for ``fit``.
        tell: as for ``fit``.
        options: as for ``fit``.

    Raises:
        UsageError: the config asks for blocks that its network has not.
        TrainingError: as for ``fit``; or the file of weights is none, or of another network.
        ModelError: the config begins with a model that there is not.
        FetchError: ImageNet weights are not in Keras' cache and can't be fetched.
        Interrupted: Ctrl-C or SIGTERM came; the run is saved.
    """
    options, config = options or Options(), settled(config)
    family = FAMILIES.get(config.network)
    _check(config, family, on_device=options.on_device)
    if family is None:
        return fit(training, validation, config, run, tell, _begun(training, config, run, options))
    if config.weights == RANDOM:
        return fit(training, validation, config, run, tell, options)
    transfer = _Transfer((training, validation), config, run, family, tell)
    options = replace(options, source=replace(options.source, weights=transfer.told))
    if config.fine_tune == 0:
        return transfer.train_new_layers(options)
    return fit(training, validation, config, run, tell, replace(options, start=transfer.start(options)))


def _begun(training: Dataset, config: TrainingConfig, run: Path, options: Options) -> Options:
    """The options of a run that begins with the weights of a taught network, where its config names one.

    One that has a checkpoint needs them no more.
    """
    if config.weights in (IMAGENET, RANDOM):
        return options
    if options.resume and Checkpoints(run / CHECKPOINTS).places():
        return replace(options, source=replace(options.source, weights=read_run_info(run).source.weights))
    trained = trained_network(config.weights, training, config)
    labels = dict(heads_of(training))
    source = replace(options.source, weights=trained.told)
    return replace(options, source=source, start=lambda model: begin_with(model, trained, labels))


def unfreeze(base: keras.Model, family: Family, count: int) -> None:
    """Freezes a base but for its last blocks, in which batch normalisation stays as it came.

    Raises:
        UsageError: the base has fewer blocks.
    """
    parts = blocks(base, family)
    if count > len(parts):
        raise UsageError(
            f"expected fine_tune (--fine-tune) up to {len(parts)}, the blocks of {family.application}; received {count}"
        )
    learning = {layer.name for block in parts[len(parts) - count :] for layer in block}
    for layer in base.layers:
        layer.trainable = layer.name in learning and not isinstance(layer, keras.layers.BatchNormalization)


class _Transfer:
    """A run of a network that begins with weights taught elsewhere.

    Attributes:
        told: the file of weights and its SHA-256.
    """

    def __init__(
        self, data: tuple[Dataset, Dataset], config: TrainingConfig, run: Path, family: Family, tell: Tell
    ) -> None:
        self._data = data
        self._config = config
        self._run = run
        self._family = family
        self._tell = tell
        self._path = weights_file(config.weights, family, tell)
        self._digest = sha256_of(self._path)
        self.told = f"{self._path.name} sha256:{self._digest}"

    def train_new_layers(self, options: Options) -> Run:
        """Stage 1 as a run of its own."""
        training = self._data[0]
        with run_lock(self._run / LOCK), deferred_signals() as interruption:
            model = self._frozen()
            run_info = run_info_of(model, self._data, heads_of(self._data[0]), self._config, options.source)
            if options.resume:
                check_resumable(self._run, self._config, run_info, self._tell)
            else:
                begin(self._run, self._config, run_info, partial(write_samples, training=training, config=self._config))
            history = read_history(self._run)
            if is_finished(self._config, history) and (self._run / BEST).is_file():
                self._tell(f"the run is finished, with {len(history)} epochs; nothing is left to learn")
                return Run(load(self._run / BEST, shape_of(training, self._config), self._config.network), history)
            history = self._learn(model, self._config, self._record, interruption.check)
            with atomic_write(self._run / BEST) as aside:
                model.save_weights(aside, overwrite=True)
            return Run(model, history)

    def start(self, options: Options) -> Callable[[keras.Model], None]:
        """What makes a fresh network ready for stage 2; a run that has a checkpoint needs no stage 1 any more."""
        begun = options.resume and Checkpoints(self._run / CHECKPOINTS).places()
        trained = None if begun else self._frozen()
        if trained is not None:
            unfreeze(base_of(trained), self._family, self._config.fine_tune)  # too many blocks are told of at once
            first = replace(self._config, learning_rate=self._config.learning_rate / FINER)
            history = self._learn(trained, first, lambda _: None, lambda: None)
            best = history[best_epoch(history) - 1]
            told = ", ".join(f"{score.head} {score.accuracy:.4f}" for score in best.scores)
            self._tell(f"new layers taught on the frozen base, {len(history)} epochs: {told}")

        def started(model: keras.Model) -> None:
            unfreeze(base_of(model), self._family, self._config.fine_tune)
            if trained is not None:
                model.set_weights(trained.get_weights())

        return started

    def _frozen(self) -> keras.Model:
        """The network in float32, its base with the weights that it begins with."""
        keras.utils.set_random_seed(self._config.seed)
        model = build_float32(shape_of(self._data[0], self._config), self._config.network)
        load_base(base_of(model), self._path, self._family)
        return model

    def _learn(
        self,
        model: keras.Model,
        config: TrainingConfig,
        record: Callable[[tuple[Epoch, ...]], None],
        check: Callable[[], None],
    ) -> tuple[Epoch, ...]:
        """Stage 1: brings the new layers of ``model`` to their best epoch."""
        training, validation = self._data
        extract = _extractor(model, check)
        kept = folder(config.network, self._family.size, self._digest)
        self._tell(f"features of {len(training) + len(validation):,} images, kept in {kept}")
        features = features_of(extract, training.crops, kept, self._tell)
        if config.augmentation.flip > 0:
            mirrored = features_of(extract, training.crops[:, :, ::-1], kept, self._tell)
            features = np.concatenate([features, mirrored])
            training = training.select(np.tile(np.arange(len(training)), 2))
        learnt = Material(features, training)
        judged = Material(features_of(extract, validation.crops, kept, self._tell), validation)
        return learn_new_layers(model, learnt, judged, config, record, check)

    def _record(self, history: tuple[Epoch, ...]) -> None:
        write_history(self._run, history)
        self._tell(history[-1])


def _extractor(model: keras.Model, check: Callable[[], None]) -> Callable[[Crops], Features]:
    """What a frozen network makes of face crops; ``check`` is called before each block."""
    frozen = keras.Model(model.input, model.get_layer(FEATURES).output)

    def extract(crops: Crops) -> Features:
        check()
        found: Features = frozen.predict_on_batch(crops)
        if not np.isfinite(found).all():
            raise TrainingError("expected finite features of the frozen base; received others: its weights are damaged")
        return found

    return extract


def _check(config: TrainingConfig, family: Family | None, *, on_device: bool) -> None:
    """Nothing, where the config's choices for transfer learning fit its network and each other."""
    if family is None and config.fine_tune:
        raise UsageError(
            f"expected fine_tune (--fine-tune) for one of {list(FAMILIES)} only; received it for {config.network!r}"
        )
    alone = family is not None and config.weights != RANDOM and not config.fine_tune
    if alone and (on_device or config.repeats > 1 or config.teacher):
        asked = {"--on-device": on_device, f"{config.repeats} passes": config.repeats > 1, "--teacher": config.teacher}
        raise UsageError(
            "expected one pass an epoch, no --teacher and no --on-device where new layers alone are taught, which "
            f"takes seconds; received {', '.join(name for name, given in asked.items() if given)}. Leave them away"
        )
    if family is not None and config.weights == RANDOM and config.fine_tune:
        raise UsageError(
            f"expected no fine_tune (--fine-tune) where a network begins with random weights and is taught whole; "
            f"received {config.fine_tune}"
        )
