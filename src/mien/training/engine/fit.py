"""One training run: data and a config in, a run directory out, which another process can take up at any moment."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import DivergedError, TrainingError
from mien.media.files import written_whole
from mien.training.engine.compilation import plain, shape_of
from mien.training.engine.devices import check_on_device, spread
from mien.training.engine.schedule import best_epoch, is_finished, rate_at
from mien.training.engine.stepping import OneByOne
from mien.training.engine.validation import STATISTICS_IMAGES, Logits, estimate_batch_norm, predict_logits
from mien.training.run.beginning import begin, check_resumable
from mien.training.run.checkpoint import Arrays, Checkpoint, Checkpoints, Moment, write_synced
from mien.training.run.directory import BEST, CHECKPOINTS, LOCK, Epoch, Source, write_history
from mien.training.run.interruption import Interrupted, Interruption, interruptions
from mien.training.run.lock import locked
from mien.training.run.progress import Progress
from mien.training.run.state import captured, reseed, restore
from mien.training.tasks.classification import ClassificationTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import keras

    from mien.data.dataset import Dataset
    from mien.training import architectures
    from mien.training.config import TrainingConfig
    from mien.training.engine.stepping import Stepper
    from mien.training.run.checkpoint import Writer
    from mien.training.run.progress import TrainEvent
    from mien.training.tasks.task import Task

__all__ = [
    "BEST",
    "Epoch",
    "Interrupted",
    "Logits",
    "Options",
    "Run",
    "fit",
    "load",
    "predict_logits",
    "shape_of",
    "train",
]


@dataclass(frozen=True)
class Options:
    """How a run is made, besides its config.

    Attributes:
        resume: go on with the run in the directory.
        checkpoint_minutes: between checkpoints within an epoch; at the end of each there is one anyway.
        source: where the data was read, for the run's facts.
        start: gives the fresh network other weights, or freezes layers, before it is made ready; called on resume too.
        write: brings a checkpoint's file to the disk.
        devices: that share every batch; more than one on JAX only.
        on_device: the data lies on the device, where many steps are one program; on JAX only, and on one device.
    """

    resume: bool = False
    checkpoint_minutes: float = 10.0
    source: Source = field(default_factory=Source)
    start: Callable[[keras.Model], None] | None = None
    write: Writer = write_synced
    devices: int = 1
    on_device: bool = False


@dataclass(frozen=True)
class Run:
    """A finished run: its best weights in a float32 network, and its history."""

    model: keras.Model
    history: tuple[Epoch, ...]


def fit(
    training: Dataset,
    validation: Dataset,
    config: TrainingConfig,
    run: Path,
    tell: Callable[[TrainEvent], None],
    options: Options | None = None,
) -> Run:
    """Teaches a network of the architectures to name expressions; see ``teach``.

    Args:
        training: the rows learnt from.
        validation: the rows that the epoch is chosen on; the same heads.
        config: every choice.
        run: the directory.
        tell: called with news.
        options: how to go about it.
    """
    return train(ClassificationTask(training, validation, config), run, tell, options)


def train(task: Task, run: Path, tell: Callable[[TrainEvent], None], options: Options | None = None) -> Run:
    """Teaches a network and keeps its best epoch.

    A run that was stopped or killed goes on with ``Options(resume=True)`` from its last checkpoint, and ends with the
    weights and the history that it would have had: on the same machine, backend and number of threads to the last bit
    (times apart; a GPU sums in any order). One that is finished already is only read.

    Args:
        task: what is taught.
        run: the directory, made if need be; one that holds a run already is refused unless it is to be resumed.
        tell: called with ``Progress`` after each step (after some, on a device), with each finished ``Epoch``, and
            with words for people.
        options: how to go about it.

    Raises:
        TrainingError: the directory holds another run, or is in use; there is none to resume, or it was taught
            otherwise; its checkpoints are damaged, or can't be written; or the loss is no longer finite.
        Interrupted: Ctrl-C or SIGTERM came; the run is saved.
    """
    options = options or Options()
    if options.on_device:
        check_on_device(options.devices, task.config.precision)
        if task.config.augmentation.jpeg > 0:
            tell("--on-device leaves JPEG compression out of the augmentation")
    with spread(options.devices, task.batch_size):
        model = task.compiled_model(options.start)
        with locked(run / LOCK), interruptions() as interruption:
            run_info = replace(task.run_info(model, options.source), on_device=options.on_device)
            stepper = task.device_stepper(model) if options.on_device else OneByOne(model, task)
            if options.resume:
                check_resumable(run, task.config, run_info, tell)
            else:
                begin(run, task.config, run_info, task.write_samples)
            return _TrainingLoop(model, task, stepper, run, options).go_on(tell, interruption)


def load(weights: Path, shape: architectures.NetworkShape, network: str) -> keras.Model:
    """A float32 network of the architectures with the weights of a run."""
    model = plain(shape, network)
    model.load_weights(weights)
    return model


class _TrainingLoop:
    """A run that goes on."""

    def __init__(self, model: keras.Model, task: Task, stepper: Stepper, run: Path, options: Options) -> None:
        self._model = model
        self._task = task
        self._config = task.config
        self._run = run
        self._checkpoints = Checkpoints(run / CHECKPOINTS, options.write)
        self._pause = 60.0 * options.checkpoint_minutes
        self._saved = time.monotonic()
        self._best: Arrays = {}
        self._plain = task.build_model()
        self._stepper = stepper

    def go_on(self, tell: Callable[[TrainEvent], None], interruption: Interruption) -> Run:
        """Teaches from where the run stands to its end."""
        moment = self._take_up(tell)
        while not is_finished(self._config, moment.history):
            interruption.check()
            moment = self._learn(moment, tell, interruption)
            moment = self._judge(moment, interruption)
            self._save(moment)
            self._write_beside(moment.history, better=best_epoch(moment.history) == len(moment.history))
            tell(moment.history[-1])
        restore(self._plain.weights, self._best)
        return Run(self._plain, moment.history)

    def _take_up(self, tell: Callable[[TrainEvent], None]) -> Moment:
        """Where the run stands: network, optimizer and the files beside the checkpoint brought to that."""
        checkpoint = self._checkpoints.newest(tell)
        if checkpoint is None:
            return Moment()
        restore(self._model.weights, checkpoint.arrays["model"])
        restore(self._model.optimizer.variables, checkpoint.arrays["optimizer"])
        moment = checkpoint.moment
        if moment.history:
            self._best = checkpoint.arrays["best"]
            self._write_beside(moment.history, better=True)
        if is_finished(self._config, moment.history):
            tell(f"the run is finished, with {len(moment.history)} epochs; nothing is left to learn")
        else:
            step = f" and {moment.step} steps" if moment.step else ""
            tell(f"going on after {len(moment.history)} of {self._config.epochs} epochs{step}")
        return moment

    def _learn(self, moment: Moment, tell: Callable[[TrainEvent], None], interruption: Interruption) -> Moment:
        """The rest of an epoch's steps."""
        epoch = len(moment.history)
        while moment.step < self._task.steps_per_epoch:
            started = time.perf_counter()
            taken = self._stepper.take(epoch, moment.step, moment.history)
            moment = Moment(
                moment.history,
                moment.step + taken.steps,
                moment.loss + _finite(taken.loss, epoch),
                moment.accuracy + taken.accuracy,
                moment.seconds + time.perf_counter() - started,
                moment.waiting + taken.waiting,
            )
            tell(self._progress(moment))
            self._save_if_due(moment, interruption)
        return moment

    def _judge(self, moment: Moment, interruption: Interruption) -> Moment:
        """The next moment: the epoch judged by its averaged weights, which are then taken out again."""
        started = time.perf_counter()
        weights = captured(self._model.weights)
        steps, epoch = self._task.steps_per_epoch, len(moment.history)
        try:
            self._model.optimizer.finalize_variable_values(self._model.trainable_variables)
            # on JAX these now share their arrays with the averages, and the next call would give them away
            restore(self._model.weights, captured(self._model.weights))
            reseed(self._model, self._config.seed, epoch, steps)
            estimate_batch_norm(self._model, self._task.unaugmented_images(STATISTICS_IMAGES), interruption.check)
            scores = self._task.evaluate(self._model, interruption.check)
            averaged = captured(self._model.weights)
        except Interrupted:
            restore(self._model.weights, weights)
            self._save(moment)
            raise
        restore(self._model.weights, weights)
        judged = Epoch(
            number=epoch + 1,
            loss=moment.loss / steps,
            accuracy=moment.accuracy / steps,
            scores=scores,
            learning_rate=rate_at(self._config, steps, (epoch + 1) * steps - 1, moment.history),
            seconds=moment.seconds + time.perf_counter() - started,
            images_per_second=steps * self._task.batch_size / moment.seconds,
            waiting=moment.waiting / moment.seconds,
        )
        history = (*moment.history, judged)
        if best_epoch(history) == judged.number:
            self._best = averaged
        return Moment(history)

    def _save_if_due(self, moment: Moment, interruption: Interruption) -> None:
        if interruption.number is not None:
            self._save(moment)
            interruption.check()
        if time.monotonic() - self._saved > self._pause:
            self._save(moment)

    def _save(self, moment: Moment) -> None:
        arrays = {"model": captured(self._model.weights), "optimizer": captured(self._model.optimizer.variables)}
        self._checkpoints.save(Checkpoint(moment, arrays | ({"best": self._best} if self._best else {})))
        self._saved = time.monotonic()

    def _write_beside(self, history: tuple[Epoch, ...], *, better: bool) -> None:
        """The files that follow from the newest checkpoint: the history, and where they are new the best weights."""
        try:
            write_history(self._run, history)
            if better:
                restore(self._plain.weights, self._best)
                with written_whole(self._run / BEST) as aside:
                    self._plain.save_weights(aside, overwrite=True)
        except OSError as error:
            raise TrainingError(
                f"expected to write the history and the best weights into {self._run}; received: "
                f"{error.strerror or error}. The run itself is saved: make room, then go on with --resume"
            ) from error

    def _progress(self, moment: Moment) -> Progress:
        steps, history = self._task.steps_per_epoch, moment.history
        pace = moment.seconds / moment.step
        left = (steps - moment.step) * pace
        epoch_seconds = float(np.mean([epoch.seconds for epoch in history])) if history else steps * pace
        return Progress(
            epoch=len(history) + 1,
            epochs=self._config.epochs,
            step=moment.step,
            steps=steps,
            loss=moment.loss / moment.step,
            accuracy=moment.accuracy / moment.step,
            images_per_second=self._task.batch_size / pace,
            waiting=moment.waiting / moment.seconds,
            seconds_left=left,
            run_seconds_left=left + (self._config.epochs - len(history) - 1) * epoch_seconds,
        )


def _finite(loss: float, epoch: int) -> float:
    if not np.isfinite(loss):
        raise DivergedError(f"the loss of epoch {epoch + 1} is {loss}: lower the rate, or use float32 precision")
    return loss
