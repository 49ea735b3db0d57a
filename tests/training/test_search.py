from __future__ import annotations

import csv
import math
import sys
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("optuna", reason="needs Optuna: pip install 'mien[search]'")

from tasks_drawn import QUICK, drawn

from mien.errors import DivergedError, MissingExtraError, TrainingError, UsageError
from mien.training.config import PLAIN, Augmentation, TrainingConfig, config_for, read
from mien.training.run.directory import read_run
from mien.training.run.history import Epoch, HeadScore, write_history
from mien.training.search.space import own_choices, space, strengthened
from mien.training.search.study import DATABASE, STUDY_NAME, UNPRUNED_TRIALS, Trial
from mien.training.search.trials import Search, search

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.training.run.history import TrainEvent

BASE = TrainingConfig(network="two-conv", epochs=6, fine_tune_epochs=0, learning_rate=0.1)


def epoch(number: int, validation_score: float) -> Epoch:
    score = HeadScore("classes", accuracy=validation_score, macro_f1=validation_score, nll=1.0)
    return Epoch(number, 1.0, validation_score, (score,), 0.1, seconds=1.0, images_per_second=100.0, waiting=0.0)


def goodness(config: TrainingConfig) -> float:
    """Best at a third of the base's learning rate and a dropout of 0.4; the learning rate matters most."""
    return 0.9 - 0.3 * abs(math.log10(config.learning_rate / 0.033)) - 0.2 * abs(config.dropout - 0.4)


@dataclass
class Fake:
    """Stands for a run: each epoch comes a little closer to what the config is good for.

    Attributes:
        stopped: numbers of calls, from 0, that end with Ctrl-C after the first epoch.
        diverging: rates above it diverge.
        trained: directory and config of each call.
    """

    stopped: tuple[int, ...] = ()
    diverging: float = math.inf
    trained: list[tuple[str, TrainingConfig]] = field(default_factory=list)

    def __call__(self, config: TrainingConfig, run: Path, report: Callable[[TrainEvent], None]) -> None:
        self.trained.append((run.name, config))
        for number in range(1, config.epochs + 1):
            if config.learning_rate > self.diverging:
                raise DivergedError("the loss is nan")
            report(epoch(number, goodness(config) * (1 - 0.5**number)))
            if len(self.trained) - 1 in self.stopped:
                raise KeyboardInterrupt


def searched(out: Path, count: int, train: Fake | None = None, config: TrainingConfig = BASE) -> Search:
    return search(config, count, out, train or Fake(), lambda _: None, data="d" * 64)


def test_the_config_itself_is_tried_first(tmp_path: Path) -> None:
    fake = Fake()
    found = searched(tmp_path, 3, fake)
    assert [name for name, _ in fake.trained] == ["trial-0001", "trial-0002", "trial-0003"]
    assert fake.trained[0][1] == BASE
    assert found.trials[0].validation_scores == pytest.approx([goodness(BASE) * (1 - 0.5**n) for n in range(1, 7)])


def test_the_same_seed_makes_the_same_suggestions(tmp_path: Path) -> None:
    one, same, other = (
        searched(tmp_path / name, 12, config=replace(BASE, seed=seed)) for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert one.trials == same.trials
    assert {trial.choices for trial in one.trials[1:]}.isdisjoint(trial.choices for trial in other.trials[1:])


def test_a_search_finds_a_better_config(tmp_path: Path) -> None:
    found = searched(tmp_path, 30)
    assert goodness(found.best.choices.applied(BASE)) > goodness(BASE) + 0.1
    later = [goodness(trial.choices.applied(BASE)) for trial in found.trials[-10:]]
    assert sum(later) / 10 > goodness(BASE)


def test_a_search_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = searched(tmp_path / "whole", 14)
    fake = Fake(stopped=(0, 5, 11))
    for _ in fake.stopped:
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path / "parts", 14, fake)
    again = searched(tmp_path / "parts", 14, fake)
    assert again == whole
    repeated = [fake.trained[at : at + 2] for at in fake.stopped]
    assert all(before == after for before, after in repeated)
    assert [name for name, _ in fake.trained[5:7]] == ["trial-0005", "trial-0005"]


def test_a_search_goes_on_with_more_trials(tmp_path: Path) -> None:
    first = searched(tmp_path, 3)
    fake = Fake()
    more = searched(tmp_path, 5, fake)
    assert more.trials[:3] == first.trials
    assert [name for name, _ in fake.trained] == ["trial-0004", "trial-0005"]
    assert searched(tmp_path, 5, fake) == more
    assert len(fake.trained) == 2


def test_epochs_before_an_interruption_count(tmp_path: Path) -> None:
    (tmp_path / "trial-0001").mkdir()
    write_history(tmp_path / "trial-0001", [epoch(1, 0.1), epoch(2, 0.8)])

    def go_on(config: TrainingConfig, run: Path, report: Callable[[TrainEvent], None]) -> None:
        report(epoch(3, 0.3))

    found = search(BASE, 1, tmp_path, go_on, lambda _: None)
    assert (found.best.validation_scores, found.best.validation_score) == ((0.1, 0.8, 0.3), 0.8)


def test_bad_runs_end_early(tmp_path: Path) -> None:
    found = searched(tmp_path, 20)
    early = [trial for trial in found.trials if trial.state == "pruned"]
    assert {trial.state for trial in found.trials[:UNPRUNED_TRIALS]} == {"finished"}
    assert len(early) >= 3
    for trial in early:
        assert BASE.epochs // 3 <= len(trial.validation_scores) < BASE.epochs
        assert goodness(trial.choices.applied(BASE)) < goodness(found.best.choices.applied(BASE))


def test_what_diverges_counts_and_is_not_tried_again(tmp_path: Path) -> None:
    fake = Fake(diverging=0.1)
    found = searched(tmp_path, 12, fake)
    diverged = [trial for trial in found.trials if trial.state == "diverged"]
    assert diverged
    assert all(trial.choices.learning_rate > 0.1 and trial.validation_scores == () for trial in diverged)
    assert len({config.learning_rate for _, config in fake.trained}) == 12
    assert found.best.choices.learning_rate <= 0.1


def test_a_search_in_which_all_diverge_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"2 of 2 diverged or were pruned\. Search around a lower --learning-rate"):
        searched(tmp_path, 2, Fake(diverging=0.0))


def test_the_directory_holds_the_best_config_and_a_table(tmp_path: Path) -> None:
    found = searched(tmp_path, 10)
    assert read(tmp_path / "best.toml") == found.best.choices.applied(BASE)
    with (tmp_path / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == [str(number) for number in range(1, 11)]
    for row, trial in zip(rows, found.trials, strict=True):
        assert (row["state"], int(row["epochs"]), int(row["batch"])) == (
            trial.state,
            len(trial.validation_scores),
            trial.choices.batch,
        )
        assert float(row["validation_score"]) == pytest.approx(trial.validation_score, abs=1e-5)
        assert float(row["learning_rate"]) == pytest.approx(trial.choices.learning_rate, rel=1e-5)


def test_what_matters_most_is_found() -> None:
    own = own_choices(BASE)
    grid = [replace(own, learning_rate=0.011 * 1.18**step, dropout=0.06 * (step % 7)) for step in range(20)]
    trials = [Trial(at, point, (goodness(point.applied(BASE)),), "finished") for at, point in enumerate(grid, start=1)]
    shares = Search(BASE, "", tuple(trials)).importances()
    assert shares[0][0] == "learning_rate"
    assert sum(share for _, share in shares) == pytest.approx(1.0)
    assert Search(BASE, "", tuple(trials[:5])).importances() == ()
    alike = [Trial(at, own, (0.5,), "finished") for at in range(1, 10)]
    assert sum(share for _, share in Search(BASE, "", tuple(alike)).importances()) in (0.0, pytest.approx(1.0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config": replace(BASE, epochs=7, dropout=0.3)}, r"received another \(epochs, dropout\)"),
        ({"data": "e" * 64}, "received other data"),
        ({"count": 0}, "expected at least 1 trial"),
    ],
    ids=["config", "data", "count"],
)
def test_another_search_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    searched(tmp_path, 1)
    before = (tmp_path / DATABASE).read_bytes()
    arguments = {"config": BASE, "count": 2, "out": tmp_path, "train": Fake(), "report": print, "data": "d" * 64}
    with pytest.raises((TrainingError, UsageError), match=words):
        search(**(arguments | change))
    assert (tmp_path / DATABASE).read_bytes() == before


@pytest.mark.parametrize("broken", [b"no database", b"SQLite format 3\x00torn"], ids=["text", "torn"])
def test_a_database_that_can_t_be_read_is_refused(tmp_path: Path, broken: bytes) -> None:
    searched(tmp_path, 1)
    (tmp_path / DATABASE).write_bytes(broken)
    with pytest.raises(TrainingError, match="can't be read"):
        searched(tmp_path, 2)


def test_a_search_of_the_first_edition_is_refused(tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"received one of 0\.1\.0 .* choose another --out"):
        searched(tmp_path, 1)
    assert not (tmp_path / DATABASE).exists()


def test_optuna_itself_reads_the_study(tmp_path: Path) -> None:
    import optuna

    found = searched(tmp_path, 3)
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{tmp_path / DATABASE}")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    assert study.best_value == found.best.validation_score
    assert study.best_trial.params == found.best.choices.parameters(BASE)


def test_a_kill_while_a_suggestion_is_stored_changes_nothing(tmp_path: Path) -> None:
    """A study whose newest trial has only some of its parameters gets the same suggestion again."""
    import optuna

    whole = searched(tmp_path / "whole", 4)
    searched(tmp_path / "killed", 3)
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{tmp_path / 'killed' / DATABASE}")
    study.ask().suggest_float("dropout", 0.0, 0.6)
    assert searched(tmp_path / "killed", 4) == whole


def test_without_optuna_the_pip_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match="pip install 'optuna>="):
        searched(tmp_path, 1)


CONFIGS = sorted(path.stem for path in (Path(__file__).parents[2] / "src/mien/training/configs").glob("*.toml"))


@pytest.mark.parametrize("network", [*CONFIGS, "anything"])
def test_every_shipped_config_has_a_space_around_it(network: str) -> None:
    config = config_for(network)
    around, own = space(config), own_choices(config)
    assert own.applied(config) == config
    assert own.parameters(config).keys() == around.keys()
    for name, value in own.parameters(config).items():
        assert around[name].to_internal_repr(value) is not None
        assert around[name]._contains(around[name].to_internal_repr(value))


def test_what_a_config_has_none_of_is_not_varied() -> None:
    bare = replace(BASE, augmentation=replace(PLAIN, flip=0.5), weight_decay=0.0)
    assert sorted(space(bare)) == ["batch", "dropout", "label_smoothing", "learning_rate"]


def test_an_augmentation_is_made_stronger_as_a_whole() -> None:
    own = Augmentation()
    assert strengthened(own, 1.0) == own
    assert strengthened(own, 0.0) == replace(PLAIN, flip=own.flip, mixup=own.mixup)
    double = strengthened(own, 2.0)
    assert (double.rotate, double.random_erasing, double.flip) == (30.0, 0.5, 0.5)
    assert double.scale == pytest.approx((0.85**2, 1.2**2))
    assert strengthened(own, 100.0).brightness == 0.9


@pytest.mark.train
@pytest.mark.skipif(find_spec("keras") is None, reason="needs Keras and a backend: pip install 'mien[train]'")
def test_a_search_over_real_runs(tmp_path: Path) -> None:
    from mien.training.tasks.classification.task import fit

    data = drawn(each=4)

    def train(config: TrainingConfig, run: Path, report: Callable[[TrainEvent], None]) -> None:
        fit(data.split("Training"), data.split("PublicTest"), config, run, report)

    found = search(replace(QUICK, epochs=1), 2, tmp_path, train, lambda _: None, data.digest)
    for trial in found.trials:
        record = read_run(tmp_path / trial.directory)
        assert record.config == trial.choices.applied(found.config)
        assert [epoch.validation_score for epoch in record.history] == pytest.approx(list(trial.validation_scores))
