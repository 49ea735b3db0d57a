"""The trials of a hyperparameter search, as Optuna stores and suggests them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mien.errors import DivergedError, TrainingError, UsageError
from mien.training.config import from_toml
from mien.training.run.history import Epoch, read_history
from mien.training.search.space import Choices, own_choices, space

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.training.config import TrainingConfig
    from mien.training.run.history import TrainEvent

    Report = Callable[[TrainEvent], None]
    TrainFunction = Callable[[TrainingConfig, Path, Report], object]

DATABASE, TABLE, BEST_CONFIG = "search.db", "trials.csv", "best.toml"
OLD_RECORD = "search.json"  # of mien 0.1.0
STUDY_NAME = "mien"

RANDOM_TRIALS = 8
"""Trials with random choices before the sampler suggests any."""

UNPRUNED_TRIALS = 4
"""Trials that run to their end before any is pruned."""

State = Literal["running", "finished", "pruned", "diverged"]


@dataclass(frozen=True)
class Trial:
    """One run of a search.

    Attributes:
        number: counted from 1.
        choices: its hyperparameters.
        validation_scores: of each epoch (``Epoch.validation_score``).
        state: "running" until it ends.
    """

    number: int
    choices: Choices
    validation_scores: tuple[float, ...] = ()
    state: State = "running"

    @property
    def directory(self) -> str:
        """The name of its run directory, in that of the search."""
        return f"trial-{self.number:04d}"

    @property
    def validation_score(self) -> float:
        """The score of its best epoch; 0 if there is none."""
        return max(self.validation_scores, default=0.0)


class _PrunedError(Exception):
    """The run does worse than half of the earlier ones."""


class Study:
    """The search as Optuna stores it.

    Args:
        config: the centre of the search space.
        data: SHA-256 of the data.
        out: the directory, which this process has locked.

    Raises:
        TrainingError: the database can't be read, or belongs to a search with another config or other data.
    """

    def __init__(self, config: TrainingConfig, data: str, out: Path) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._config, self._out = config, out
        if (out / OLD_RECORD).is_file():
            raise TrainingError(
                f"expected a search of this version of mien in {out}; received one of 0.1.0 ({OLD_RECORD}). Its runs, "
                f"{TABLE} and {BEST_CONFIG} stay readable; choose another --out for a new search"
            )
        self._space = dict(space(config))
        self._study = self._opened(out / DATABASE)
        stored = self._study.user_attrs
        if stored:
            _check_same(stored, config, data, out)
        else:
            self._study.set_user_attr("data", data)
            self._study.set_user_attr("config", config.to_toml())

    @property
    def ended(self) -> tuple[Trial, ...]:
        """The trials that have ended."""
        return tuple(trial for trial in map(self._trial, self._valid()) if trial.state != "running")

    def next_trial(self) -> Trial:
        """The unfinished trial of an interrupted search, or a new suggestion."""
        from optuna.trial import TrialState

        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if frozen.params.keys() == self._space.keys():
                return self._trial(frozen)
            self._study.tell(frozen.number, state=TrialState.FAIL)  # killed while the suggestion was written
        ended = self.ended
        if not ended and not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self._study.enqueue_trial(own_choices(self._config).parameters(self._config))
        self._study.sampler = self._sampler(len(ended))
        self._study.ask(self._space)
        return self._trial(self._valid()[-1])

    def run(self, trial: Trial, train: TrainFunction, report: Report) -> Trial:
        """Train with the choices of a trial, to the end or until it is pruned."""
        import optuna

        frozen = self._valid()[trial.number - 1]
        live = optuna.trial.Trial(self._study, frozen._trial_id)  # noqa: SLF001 - Optuna has no public way to resume one
        epochs = self._config.epochs

        def record(epoch: Epoch) -> None:
            if epoch.number not in frozen.intermediate_values:
                live.report(epoch.validation_score, epoch.number)
            if epoch.number < epochs and live.should_prune():
                raise _PrunedError

        def listen(event: TrainEvent) -> None:
            report(event)
            if isinstance(event, Epoch):
                record(event)

        run = self._out / trial.directory
        state = optuna.trial.TrialState.COMPLETE
        try:
            for epoch in read_history(run):  # of a run that is resumed
                record(epoch)
            train(trial.choices.applied(self._config), run, listen)
        except _PrunedError:
            state = optuna.trial.TrialState.PRUNED
        except DivergedError as error:
            report(str(error))
            live.set_user_attr("diverged", value=True)
            state = optuna.trial.TrialState.PRUNED
        score = max(self._trial(self._valid()[trial.number - 1]).validation_scores, default=0.0)
        is_complete = state == optuna.trial.TrialState.COMPLETE
        self._study.tell(frozen.number, score if is_complete else None, state=state)
        return self._trial(self._valid()[trial.number - 1])

    def _opened(self, path: Path) -> Any:
        import optuna
        from sqlalchemy.engine import URL
        from sqlalchemy.exc import SQLAlchemyError

        try:
            storage = optuna.storages.RDBStorage(URL.create("sqlite", database=str(path)).render_as_string())
            return optuna.create_study(
                study_name=STUDY_NAME,
                storage=storage,
                load_if_exists=True,
                direction="maximize",
                pruner=optuna.pruners.MedianPruner(
                    n_startup_trials=UNPRUNED_TRIALS, n_warmup_steps=self._config.epochs // 3
                ),
            )
        except (SQLAlchemyError, RuntimeError, optuna.exceptions.OptunaError) as error:
            raise TrainingError(
                f"expected the database of a search in {path}; it can't be read ({error}). Choose another --out"
            ) from error

    def _sampler(self, ended: int) -> Any:
        """A sampler whose next suggestion depends on the seed and the ended trials alone."""
        import optuna

        seed = np.random.SeedSequence((self._config.seed, ended)).generate_state(1)[0]
        return optuna.samplers.TPESampler(n_startup_trials=RANDOM_TRIALS, seed=int(seed))

    def _valid(self) -> list[Any]:
        from optuna.trial import TrialState

        states = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
        return [trial for trial in self._study.get_trials(deepcopy=False) if trial.state in states]

    def _trial(self, frozen: Any) -> Trial:
        from optuna.trial import TrialState

        number = 1 + sum(trial.number < frozen.number for trial in self._valid())
        choices = dataclasses.replace(own_choices(self._config), **frozen.params)
        scores = tuple(value for _, value in sorted(frozen.intermediate_values.items()))
        state: State = "running"
        if frozen.state == TrialState.COMPLETE:
            state = "finished"
        elif frozen.state == TrialState.PRUNED:
            state = "diverged" if frozen.user_attrs.get("diverged") else "pruned"
        return Trial(number, choices, scores, state)


def frozen_trial(trial: Trial, config: TrainingConfig) -> Any:
    """An ended trial in Optuna's form."""
    from optuna.trial import TrialState, create_trial

    return create_trial(
        params=trial.choices.parameters(config),
        distributions=dict(space(config)),
        value=trial.validation_score,
        intermediate_values=dict(enumerate(trial.validation_scores, start=1)),
        state=TrialState.COMPLETE if trial.state == "finished" else TrialState.PRUNED,
    )


def _check_same(stored: dict[str, Any], config: TrainingConfig, data: str, out: Path) -> None:
    """Refuse to continue a search with another config or other data."""
    try:
        previous = from_toml(stored["config"])
    except (KeyError, TypeError, UsageError) as error:
        raise TrainingError(
            f"expected the config of a search in {out / DATABASE}; it can't be read ({error}). Choose another --out"
        ) from error
    if previous != config:
        changed = [name for name, value in vars(config).items() if value != getattr(previous, name)]
        raise TrainingError(
            f"expected the config that the search in {out} began with; received another ({', '.join(changed)}). "
            "Give the same options, or another --out"
        )
    if stored.get("data") != data:
        raise TrainingError(
            f"expected the data that the search in {out} began with; received other data. Give the same data, or "
            "another --out"
        )
