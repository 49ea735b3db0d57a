"""A search for a better config: runs with other choices, each learning from those before; all judged on validation.

Optuna's TPE (Bergstra et al. 2011) suggests, its median rule ends runs early that do worse than half of those before
at the same epoch. The directory holds

    OUT/search.json     what was tried, and how it went
    OUT/trial-0003/     the third run, as mien train writes it
    OUT/trials.csv      a row a trial
    OUT/best.toml       the best config

A search that was stopped or killed goes on where it was: a suggestion depends on nothing but the seed and the trials
before, and a run that was under way is resumed.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mien.errors import DivergedError, MissingExtraError, TrainingError, UsageError
from mien.media.files import write_text
from mien.training.config import TrainingConfig, from_toml
from mien.training.run.directory import LOCK
from mien.training.run.guards import run_lock
from mien.training.run.history import Epoch, read_history
from mien.training.search.space import Choices, own_choices, space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mien.training.run.history import TrainEvent

    TrainFunction = Callable[[TrainingConfig, Path, Callable[[TrainEvent], None]], object]

RECORD, TABLE, BEST_CONFIG = "search.json", "trials.csv", "best.toml"

UNGUIDED = 8
"""Trials drawn by chance before any is suggested."""

UNPRUNED = 4
"""Trials that are run to their end before any is ended early."""

State = Literal["running", "finished", "ended early", "diverged"]


@dataclass(frozen=True)
class Trial:
    """One run of a search.

    Attributes:
        number: counted from 1.
        choices: what it varies.
        merits: of each epoch on the validation split (``Epoch.validation_score``).
        state: "running" until it is done with.
    """

    number: int
    choices: Choices
    validation_scores: tuple[float, ...] = ()
    state: State = "running"

    @property
    def directory(self) -> str:
        """Of its run, in that of the search."""
        return f"trial-{self.number:04d}"

    @property
    def validation_score(self) -> float:
        """Of its best epoch; 0 where there is none."""
        return max(self.validation_scores, default=0.0)


@dataclass(frozen=True)
class Search:
    """What a search began with, and what it has tried.

    Attributes:
        config: around which it searches; its seed is that of the search too.
        data: SHA-256 of the data.
        trials: in their order; only the last can be "running".
    """

    config: TrainingConfig
    data: str
    trials: tuple[Trial, ...] = ()

    @property
    def done(self) -> tuple[Trial, ...]:
        """The trials that are not running."""
        return tuple(trial for trial in self.trials if trial.state != "running")

    @property
    def best(self) -> Trial:
        """The trial with the best epoch among those run to their end.

        Raises:
            TrainingError: there is none.
        """
        finished = [trial for trial in self.trials if trial.state == "finished"]
        if not finished:
            raise TrainingError(
                f"expected a trial that came to its end; {len(self.done)} of {len(self.trials)} diverged or were "
                "ended early. Search around a lower --rate"
            )
        return max(finished, key=lambda trial: trial.validation_score)

    def importances(self) -> tuple[tuple[str, float], ...]:
        """The share that each choice has in being among the best (PED-ANOVA), largest first; few trials tell none."""
        if len(self.done) < UNGUIDED:
            return ()
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # before Optuna 5 the evaluator was marked experimental
            shares = get_param_importances(_study(self), evaluator=PedAnovaImportanceEvaluator())
        return tuple(shares.items())


def search(
    config: TrainingConfig,
    count: int,
    out: Path,
    train: TrainFunction,
    tell: Callable[[TrainEvent], None],
    data: str = "",
) -> Search:
    """Tries configs around one until so many are done with, the one itself first.

    Args:
        config: where the search begins.
        count: trials in all, with those of an earlier call.
        out: the directory, made if need be; one with a search of this config on this data is gone on with.
        train: makes one run, or goes on with the one in the directory: config, its directory, and what to tell of
            each epoch; what that raises ends the run.
        tell: called with words on each trial, and with what ``teach`` tells.
        data: SHA-256 of the data.

    Raises:
        UsageError: no trial is asked for.
        TrainingError: the directory holds another search, or is in use; or no trial came to its end.
        MissingExtraError: Optuna is not installed.
    """
    if count < 1:
        raise UsageError(f"expected at least 1 trial; received {count}")
    _need_optuna()
    with run_lock(out / LOCK):
        found = _begun(out, config, data)
        while len(found.done) < count:
            found = _with_next(found)
            _save(found, out)
            trial = found.trials[-1]
            tell(f"trial {trial.number} of {count}: {_words(trial.choices, config)}")
            trial = _tried(found, out / trial.directory, train, tell)
            found = dataclasses.replace(found, trials=(*found.trials[:-1], trial))
            _save(found, out)
            epochs = len(trial.validation_scores)
            tell(f"trial {trial.number} {trial.state}: {trial.validation_score:.4f} after {epochs} epochs")
        best = found.best.choices.applied(config)
        best.save(out / BEST_CONFIG)
        write_text(out / TABLE, to_csv(found))
    return found


def to_csv(found: Search) -> str:
    """The trials as csv: number, state, merit, epochs, then what was varied."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = [part.name for part in dataclasses.fields(Choices)]
    table.writerow(["trial", "state", "merit", "epochs", *names])
    for trial in found.trials:
        varied = [f"{value:.6g}" for value in dataclasses.astuple(trial.choices)]
        table.writerow(
            [trial.number, trial.state, f"{trial.validation_score:.5f}", len(trial.validation_scores), *varied]
        )
    return text.getvalue()


class _EndedEarly(Exception):  # noqa: N818 - no error: how a run is told to end
    """The run does worse than half of those before."""


def _tried(found: Search, run: Path, train: TrainFunction, tell: Callable[[TrainEvent], None]) -> Trial:
    """The last trial, run to its end or to where it is given up."""
    import optuna

    trial, study = found.trials[-1], _study(found)
    study.enqueue_trial(trial.choices.parameters(found.config))
    asked = study.ask(dict(space(found.config)))
    validation_scores: list[float] = []

    def judge(epoch: Epoch) -> None:
        validation_scores.append(epoch.validation_score)
        asked.report(epoch.validation_score, epoch.number)
        if epoch.number < found.config.epochs and asked.should_prune():
            raise _EndedEarly

    def listen(news: TrainEvent) -> None:
        tell(news)
        if isinstance(news, Epoch):
            judge(news)

    state: State = "finished"
    try:
        for epoch in read_history(run):  # of a run that goes on
            judge(epoch)
        train(trial.choices.applied(found.config), run, listen)
    except _EndedEarly:
        state = "ended early"
    except DivergedError as error:
        tell(str(error))
        state = "diverged"
    study.tell(asked, state=optuna.trial.TrialState.PRUNED)
    return dataclasses.replace(trial, validation_scores=tuple(validation_scores), state=state)


def _with_next(found: Search) -> Search:
    """The search with the trial that comes next, if none is running."""
    if len(found.done) < len(found.trials):
        return found
    choices = own_choices(found.config)
    if found.trials:
        choices = dataclasses.replace(choices, **_study(found).ask(dict(space(found.config))).params)
    return dataclasses.replace(found, trials=(*found.trials, Trial(len(found.trials) + 1, choices)))


def _study(found: Search) -> Any:
    """Optuna's view of the trials that are done; its next suggestion depends on them and the seed alone."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = np.random.SeedSequence((found.config.seed, len(found.done))).generate_state(1)[0]
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(n_startup_trials=UNGUIDED, seed=int(seed)),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=found.config.epochs // 3),
    )
    study.add_trials(list(_frozen(found)))
    return study


def _frozen(found: Search) -> Iterator[Any]:
    from optuna.trial import TrialState, create_trial

    for trial in found.done:
        yield create_trial(
            params=trial.choices.parameters(found.config),
            distributions=dict(space(found.config)),
            value=trial.validation_score,
            intermediate_values=dict(enumerate(trial.validation_scores, start=1)),
            state=TrialState.COMPLETE if trial.state == "finished" else TrialState.PRUNED,
        )


def _begun(out: Path, config: TrainingConfig, data: str) -> Search:
    """The search in a directory, or a new one."""
    path = out / RECORD
    if not path.is_file():
        return Search(config, data)
    try:
        found = _from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(f"expected the record of a search in {path}; it can't be read ({error})") from error
    if found.config != config:
        changed = [name for name, value in vars(config).items() if value != getattr(found.config, name)]
        raise TrainingError(
            f"expected the config that the search in {out} began with; received another ({', '.join(changed)}). "
            "Give the same options, or another --out"
        )
    if found.data != data:
        raise TrainingError(f"expected the data that the search in {out} began with; received other data")
    return found


def _save(found: Search, out: Path) -> None:
    values = {"config": found.config.to_toml(), "data": found.data}
    trials = [dataclasses.asdict(trial) for trial in found.trials]
    write_text(out / RECORD, json.dumps({**values, "trials": trials}, indent=1) + "\n")


def _from_json(text: str) -> Search:
    values = json.loads(text)
    trials = (
        Trial(trial["number"], Choices(**trial["choices"]), tuple(trial["merits"]), trial["state"])
        for trial in values["trials"]
    )
    return Search(from_toml(values["config"]), values["data"], tuple(trials))


def _words(choices: Choices, config: TrainingConfig) -> str:
    varied = choices.parameters(config)
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in varied.items())


def _need_optuna() -> None:
    try:
        import optuna  # noqa: F401  whether it is there
    except ImportError as error:
        raise MissingExtraError("searching for a config", "optuna", "search") from error
