"""The training loop: a task in, a run directory out, which another process can resume at any step."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import DivergedError, TrainingError
from mien.media.files import atomic_write
from mien.training.engine.devices import check_on_device, data_parallel, local_part
from mien.training.engine.optimization import is_finished, learning_rate_at
from mien.training.engine.steps import BatchStepper
from mien.training.engine.variables import STATISTICS_IMAGES, estimate_batch_norm, reseed, restore, to_arrays
from mien.training.run.checkpoint import Arrays, Checkpoint, Checkpoints, TrainState, write_synced
from mien.training.run.directory import BEST, CHECKPOINTS, LOCK, Source
from mien.training.run.guards import Interrupted, Interruption, deferred_signals, run_lock
from mien.training.run.history import Epoch, Progress, best_epoch, write_history
from mien.training.run.resume import check_resumable, start_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import keras

    from mien.training.engine.steps import Stepper
    from mien.training.engine.task import Task
    from mien.training.run.checkpoint import Writer
    from mien.training.run.history import TrainEvent

    Report = Callable[[TrainEvent], None]


@dataclass(frozen=True)
class Options:
    """How to carry out a run, apart from its config.

    Attributes:
        resume: continue the run in the directory.
        checkpoint_minutes: between checkpoints within an epoch; each epoch ends with one anyway.
        source: where the data was read, for run.json.
        start: sets initial weights or freezes layers before the network is compiled; called on resume too.
        write: writes a checkpoint's file to the disk.
        devices: that share every batch; more than one needs JAX.
        on_device: keep the data set on the GPU, where many steps are one program; needs JAX and a single device.
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


def train(task: Task, run: Path, report: Report, options: Options | None = None) -> Run:
    """Train a network and keep the weights of its best epoch.

    A run that was stopped or killed resumes with ``Options(resume=True)`` from its last checkpoint. It ends with the
    weights and the history of an uninterrupted run: on the same machine, backend and number of threads to the last bit
    (times aside; a GPU sums in any order). A finished run is only read.

    Args:
        task: data, network and losses.
        run: the directory, created if needed; one that already holds a run is refused unless it is to be resumed.
        report: called with ``Progress`` after each step (after several on a GPU that holds the data), with each
            finished ``Epoch``, and with messages.
        options: how to carry out the run.

    Raises:
        TrainingError: the directory holds another run, or is in use; there is none to resume, or its config or data
            differ; its checkpoints are damaged, or can't be written.
        DivergedError: the loss is no longer finite.
        Interrupted: Ctrl-C, SIGTERM or SIGHUP came; the run is saved.

    Example:
        A classifier from two splits of a data set::

            training, validation = training_and_validation(load(Path("fer2013.csv")))
            task = ClassificationTask(training, validation, config_for("nano"))
            run = train(task, Path("runs/nano"), print)
            print(run.history[-1].validation_score)
    """
    options = options or Options()
    if options.on_device:
        check_on_device(options.devices, task.config.precision)
        if task.config.augmentation.jpeg > 0:
            report("--on-device leaves JPEG compression out of the augmentation")
    with data_parallel(options.devices, task.batch_size):
        model = task.compiled_model(options.start)
        with run_lock(run / LOCK), deferred_signals() as interruption:
            run_info = replace(task.run_info(model, options.source), on_device=options.on_device)
            stepper = task.device_stepper(model) if options.on_device else _batch_stepper(model, task)
            if options.resume:
                check_resumable(run, task.config, run_info, report)
            else:
                start_run(run, task.config, run_info, task.write_samples)
            return _Training(model, task, stepper, run, options).finish(report, interruption)


def _batch_stepper(model: keras.Model, task: Task) -> BatchStepper:
    return BatchStepper(model, task.config, task.steps_per_epoch, task.batches, local_part)


class _Training:
    """A run in progress."""

    def __init__(self, model: keras.Model, task: Task, stepper: Stepper, run: Path, options: Options) -> None:
        self._model = model
        self._task = task
        self._config = task.config
        self._run = run
        self._checkpoints = Checkpoints(run / CHECKPOINTS, options.write)
        self._pause = 60.0 * options.checkpoint_minutes
        self._saved = time.monotonic()
        self._best: Arrays = {}
        self._best_model = task.build_model()
        self._stepper = stepper

    def finish(self, report: Report, interruption: Interruption) -> Run:
        """Train from the current state to the end of the run."""
        state = self._load_state(report)
        while not is_finished(self._config, state.history):
            interruption.check()
            state = self._train_epoch(state, report, interruption)
            state = self._validate(state, interruption)
            self._save(state)
            self._write_outputs(state.history, improved=best_epoch(state.history) == len(state.history))
            report(state.history[-1])
        restore(self._best_model.weights, self._best)
        return Run(self._best_model, state.history)

    def _load_state(self, report: Report) -> TrainState:
        """Restore network, optimizer and output files from the newest checkpoint."""
        checkpoint = self._checkpoints.newest(report)
        if checkpoint is None:
            return TrainState()
        restore(self._model.weights, checkpoint.arrays["model"])
        restore(self._model.optimizer.variables, checkpoint.arrays["optimizer"])
        state = checkpoint.state
        if state.history:
            self._best = checkpoint.arrays["best"]
            self._write_outputs(state.history, improved=True)
        if is_finished(self._config, state.history):
            report(f"the run is finished after {len(state.history)} epochs; nothing is left to train")
        else:
            step = f" and {state.step} steps" if state.step else ""
            report(f"resuming after {len(state.history)} of {self._config.epochs} epochs{step}")
        return state

    def _train_epoch(self, state: TrainState, report: Report, interruption: Interruption) -> TrainState:
        """Take the remaining steps of an epoch."""
        epoch = len(state.history)
        while state.step < self._task.steps_per_epoch:
            started = time.perf_counter()
            result = self._stepper.take(epoch, state.step, state.history)
            state = TrainState(
                state.history,
                state.step + result.steps,
                state.loss + _finite(result.loss, epoch),
                state.accuracy + result.accuracy,
                state.seconds + time.perf_counter() - started,
                state.waiting + result.waiting,
            )
            report(self._progress(state))
            self._save_if_due(state, interruption)
        return state

    def _validate(self, state: TrainState, interruption: Interruption) -> TrainState:
        """Evaluate the epoch with the averaged weights, then restore the training weights."""
        started = time.perf_counter()
        weights = to_arrays(self._model.weights)
        steps, epoch = self._task.steps_per_epoch, len(state.history)
        try:
            self._model.optimizer.finalize_variable_values(self._model.trainable_variables)
            # on JAX these now share their buffers with the averages, and the next call would donate them
            restore(self._model.weights, to_arrays(self._model.weights))
            reseed(self._model, self._config.seed, epoch, steps)
            estimate_batch_norm(self._model, self._task.unaugmented_images(STATISTICS_IMAGES), interruption.check)
            scores = self._task.evaluate(self._model, interruption.check)
            averaged = to_arrays(self._model.weights)
        except Interrupted:
            restore(self._model.weights, weights)
            self._save(state)
            raise
        restore(self._model.weights, weights)
        finished = Epoch(
            number=epoch + 1,
            loss=state.loss / steps,
            accuracy=state.accuracy / steps,
            scores=scores,
            learning_rate=learning_rate_at(self._config, steps, (epoch + 1) * steps - 1, state.history),
            seconds=state.seconds + time.perf_counter() - started,
            images_per_second=steps * self._task.batch_size / state.seconds,
            waiting=state.waiting / state.seconds,
        )
        history = (*state.history, finished)
        if best_epoch(history) == finished.number:
            self._best = averaged
        return TrainState(history)

    def _save_if_due(self, state: TrainState, interruption: Interruption) -> None:
        if interruption.number is not None:
            self._save(state)
            interruption.check()
        if time.monotonic() - self._saved > self._pause:
            self._save(state)

    def _save(self, state: TrainState) -> None:
        arrays = {"model": to_arrays(self._model.weights), "optimizer": to_arrays(self._model.optimizer.variables)}
        self._checkpoints.save(Checkpoint(state, arrays | ({"best": self._best} if self._best else {})))
        self._saved = time.monotonic()

    def _write_outputs(self, history: tuple[Epoch, ...], *, improved: bool) -> None:
        """Write what follows from the newest checkpoint: the history, and new best weights."""
        try:
            write_history(self._run, history)
            if improved:
                restore(self._best_model.weights, self._best)
                with atomic_write(self._run / BEST) as aside:
                    self._best_model.save_weights(aside, overwrite=True)
        except OSError as error:
            raise TrainingError(
                f"expected to write the history and the best weights into {self._run}; received: "
                f"{error.strerror or error}. The run itself is saved: free some space, then continue with --resume"
            ) from error

    def _progress(self, state: TrainState) -> Progress:
        steps, history = self._task.steps_per_epoch, state.history
        step_seconds = state.seconds / state.step
        left = (steps - state.step) * step_seconds
        epoch_seconds = float(np.mean([epoch.seconds for epoch in history])) if history else steps * step_seconds
        return Progress(
            epoch=len(history) + 1,
            epochs=self._config.epochs,
            step=state.step,
            steps=steps,
            loss=state.loss / state.step,
            accuracy=state.accuracy / state.step,
            images_per_second=self._task.batch_size / step_seconds,
            waiting=state.waiting / state.seconds,
            seconds_left=left,
            run_seconds_left=left + (self._config.epochs - len(history) - 1) * epoch_seconds,
        )


def _finite(loss: float, epoch: int) -> float:
    if not np.isfinite(loss):
        raise DivergedError(
            f"expected a finite loss; received {loss} in epoch {epoch + 1}. "
            "Lower the learning rate, or use float32 precision"
        )
    return loss
