"""Hyperparameter search: training runs with different configs, compared on the validation split.

Optuna's TPE sampler (Bergstra et al. 2011) suggests configs; its median pruner stops runs that do worse than half of
the earlier ones at the same epoch. The directory holds

    OUT/search.db       Optuna's study (SQLite): config, trials, scores of each epoch
    OUT/trial-0003/     the third run, as mien train writes it
    OUT/trials.csv      a row per trial
    OUT/best.toml       the best config

A search that was stopped or killed continues where it was: a suggestion depends on the seed and the finished trials
alone, and an unfinished run is resumed. Any tool that reads Optuna's studies opens the database.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.errors import MissingExtraError, TrainingError, UsageError
from mien.media.files import write_text
from mien.training.run.directory import LOCK
from mien.training.run.guards import run_lock
from mien.training.search.space import Choices
from mien.training.search.study import BEST_CONFIG, RANDOM_TRIALS, TABLE, Study, Trial, frozen_trial

if TYPE_CHECKING:
    from pathlib import Path

    from mien.training.config import TrainingConfig
    from mien.training.search.study import Report, TrainFunction


@dataclass(frozen=True)
class Search:
    """A search and its trials.

    Attributes:
        config: the centre of the search space; its seed is that of the search too.
        data: SHA-256 of the data.
        trials: in their order; only the last can be "running".
    """

    config: TrainingConfig
    data: str
    trials: tuple[Trial, ...] = ()

    @property
    def done(self) -> tuple[Trial, ...]:
        """The trials that have ended."""
        return tuple(trial for trial in self.trials if trial.state != "running")

    @property
    def best(self) -> Trial:
        """The trial with the best epoch among those that ran to their end.

        Raises:
            TrainingError: there is none.
        """
        finished = [trial for trial in self.trials if trial.state == "finished"]
        if not finished:
            raise TrainingError(
                f"expected a trial that ran to its end; {len(self.done)} of {len(self.trials)} diverged or were "
                "pruned. Search around a lower --learning-rate"
            )
        return max(finished, key=lambda trial: trial.validation_score)

    def importances(self) -> tuple[tuple[str, float], ...]:
        """Hyperparameter importances (PED-ANOVA), largest first; empty for fewer than ``RANDOM_TRIALS`` trials."""
        if len(self.done) < RANDOM_TRIALS:
            return ()
        import optuna
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        study = optuna.create_study(direction="maximize")
        study.add_trials([frozen_trial(trial, self.config) for trial in self.done])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # before Optuna 5 the evaluator was marked experimental
            shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        return tuple(shares.items())


def search(
    config: TrainingConfig, count: int, out: Path, train: TrainFunction, report: Report, data: str = ""
) -> Search:
    """Train with different configs around one until ``count`` trials have ended; the first is the config itself.

    Args:
        config: the centre of the search space.
        count: trials in total, with those of an earlier call.
        out: the directory, created if needed; one with a search of this config on this data is continued.
        train: carries out one run, or resumes the one in its directory. It is called with a config, a directory and a
            function for events; an exception of that function ends the run.
        report: called with a message for each trial, and with the events of its run.
        data: SHA-256 of the data.

    Raises:
        UsageError: ``count`` is below 1.
        TrainingError: the directory holds another search, or is in use; or no trial ran to its end.
        MissingExtraError: Optuna is not installed.
    """
    if count < 1:
        raise UsageError(f"expected at least 1 trial; received {count}")
    _need_optuna()
    with run_lock(out / LOCK):
        study = Study(config, data, out)
        while len(study.ended) < count:
            trial = study.next_trial()
            report(f"trial {trial.number} of {count}: {_described(trial.choices, config)}")
            trial = study.run(trial, train, report)
            epochs = len(trial.validation_scores)
            report(f"trial {trial.number} {trial.state}: {trial.validation_score:.4f} after {epochs} epochs")
        found = Search(config, data, study.ended)
        found.best.choices.applied(config).save(out / BEST_CONFIG)
        write_text(out / TABLE, to_csv(found))
    return found


def to_csv(found: Search) -> str:
    """The trials as CSV: number, state, validation score, epochs, then the hyperparameters."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = [part.name for part in dataclasses.fields(Choices)]
    table.writerow(["trial", "state", "validation_score", "epochs", *names])
    for trial in found.trials:
        values = [f"{value:.6g}" for value in dataclasses.astuple(trial.choices)]
        score = f"{trial.validation_score:.5f}"
        table.writerow([trial.number, trial.state, score, len(trial.validation_scores), *values])
    return text.getvalue()


def _described(choices: Choices, config: TrainingConfig) -> str:
    values = choices.parameters(config)
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in values.items())


def _need_optuna() -> None:
    try:
        import optuna  # noqa: F401  whether it is there
    except ImportError as error:
        raise MissingExtraError("hyperparameter search", "optuna", "search") from error
