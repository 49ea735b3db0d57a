"""One training run: data and a recipe in, a run directory with history and weights out.

The run directory holds

    RUN/recipe.toml               every choice
    RUN/history.csv               one row an epoch
    RUN/checkpoints/last.weights.h5, best.weights.h5
"""

from __future__ import annotations

import csv
import io
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from mien.errors import TrainingError
from mien.evaluation.metrics import judge
from mien.files import write_text, written_whole
from mien.probabilities import softmax
from mien.training import zoo
from mien.training.augmentation import generator
from mien.training.batches import Batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from mien.datasets.dataset import Dataset
    from mien.training.recipe import Recipe

RECIPE = "recipe.toml"
BEST = "checkpoints/best.weights.h5"
LAST = "checkpoints/last.weights.h5"
# pictures from which batch-norm statistics are estimated for averaged weights: more changes no third digit
STATISTICS_PICTURES = 4096
EVALUATION_BATCH = 512

Logits = dict[str, "npt.NDArray[np.float32]"]


@dataclass(frozen=True)
class HeadScore:
    """How one head does on the validation split: share right, and mean negative log-likelihood of the truth."""

    head: str
    accuracy: float
    nll: float


@dataclass(frozen=True)
class Epoch:
    """One row of the history.

    Attributes:
        number: counted from 1.
        loss: mean training loss.
        scores: each head on the validation split, by the averaged weights.
        seconds: of training and judging together.
        pictures_a_second: of training alone.
    """

    number: int
    loss: float
    scores: tuple[HeadScore, ...]
    seconds: float
    pictures_a_second: float

    @property
    def merit(self) -> float:
        """What the best epoch is chosen by: the mean accuracy of the heads on the validation split."""
        return sum(score.accuracy for score in self.scores) / len(self.scores)


@dataclass(frozen=True)
class Run:
    """A finished run: its best weights in a float32 network, and its history."""

    model: keras.Model
    history: tuple[Epoch, ...]


def shape_of(data: Dataset, recipe: Recipe) -> zoo.NetworkShape:
    """What the data and the recipe ask of a network."""
    heads = tuple((truth.head, len(truth.labels)) for truth in data.truths)
    return zoo.NetworkShape(data.size, data.channels, heads, recipe.dropout)


def fit(
    training: Dataset, validation: Dataset, recipe: Recipe, run: Path, tell: Callable[[Epoch | float], None]
) -> Run:
    """Teaches a network and keeps its best epoch.

    Args:
        training: the rows learnt from.
        validation: the rows that the epoch is chosen on; the same heads.
        recipe: every choice.
        run: the directory, made if need be; one that holds a run already is refused.
        tell: called with the share of the epoch that is done (a float), and with each finished ``Epoch``.

    Raises:
        TrainingError: the directory holds another run, or the loss is no longer finite.
    """
    if (run / RECIPE).exists():  # written first, so a run that is still in its first epoch is seen too
        raise TrainingError(f"expected a directory without a run; {run} holds one: choose another --out")
    keras.utils.set_random_seed(recipe.seed)
    model = _compiled(training, recipe)
    recipe.save(run / RECIPE)
    averaging = keras.callbacks.SwapEMAWeights()
    averaging.set_model(model)
    batches = Batches(training, recipe)
    history: list[Epoch] = []
    for number in range(recipe.epochs):
        started = time.perf_counter()
        loss = _learn(model, batches, number, tell)
        learnt = time.perf_counter()
        averaging.on_test_begin()
        _estimate_batch_norm(model, training)
        scores = judge_heads(predict_logits(model, validation.chips), validation)
        ended = time.perf_counter()
        rate = batches.steps() * min(recipe.batch, len(training)) / (learnt - started)
        history.append(Epoch(number + 1, loss, scores, ended - started, rate))
        _keep(model, history, run)
        averaging.on_test_end()
        tell(history[-1])
    return Run(load(run / BEST, shape_of(training, recipe), recipe.network), tuple(history))


def load(weights: Path, shape: zoo.NetworkShape, network: str) -> keras.Model:
    """A float32 network of the zoo with the weights of a run."""
    with _precision("float32"):
        model = zoo.build(network, shape)
    model.load_weights(weights)
    return model


def predict_logits(model: keras.Model, chips: npt.NDArray[np.uint8]) -> Logits:
    """The logits of each head, float32 (count, labels), in batches."""
    parts = [model.predict_on_batch(chips[at : at + EVALUATION_BATCH]) for at in range(0, len(chips), EVALUATION_BATCH)]
    return {head: np.concatenate([part[head] for part in parts]).astype(np.float32) for head in parts[0]}


def judge_heads(logits: Logits, data: Dataset) -> tuple[HeadScore, ...]:
    """Accuracy and negative log-likelihood of each head on its judged rows."""
    scores = []
    for truth in data.truths:
        rows = np.flatnonzero(truth.judged)
        if len(rows) == 0:
            raise TrainingError(
                f"expected rows to judge the head {truth.head!r} by in the validation split; there are none"
            )
        if not np.isfinite(logits[truth.head]).all():
            raise TrainingError(
                f"expected finite logits of the head {truth.head!r}; received others: the weights have diverged, "
                "so lower the rate, or use float32 precision"
            )
        metrics = judge(softmax(logits[truth.head][rows]), truth.answers[rows], truth.labels)
        scores.append(HeadScore(truth.head, metrics.accuracy, metrics.nll))
    return tuple(scores)


def _compiled(training: Dataset, recipe: Recipe) -> keras.Model:
    with _precision(recipe.precision):
        model = zoo.build(recipe.network, shape_of(training, recipe))
    steps = Batches(training, recipe).steps()
    warmup = min(int(recipe.warmup_epochs * steps), recipe.epochs * steps - 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=recipe.rate / 100 if warmup else recipe.rate,
        decay_steps=recipe.epochs * steps - warmup,
        warmup_target=recipe.rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.SGD(
        schedule,
        momentum=recipe.momentum,
        nesterov=True,
        # Keras takes the decay off the weights directly, where momentum does not multiply it
        weight_decay=recipe.weight_decay / (1.0 - recipe.momentum) or None,
        global_clipnorm=recipe.clip or None,
        use_ema=True,
        ema_momentum=recipe.average,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    own, *further = [truth.head for truth in training.truths]
    losses = {own: keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)}
    losses |= {head: keras.losses.CategoricalCrossentropy(from_logits=True) for head in further}
    weights = {own: 1.0} | dict.fromkeys(further, recipe.further_heads)
    model.compile(optimizer=optimizer, loss=losses, loss_weights=weights)
    return model


def _learn(model: keras.Model, batches: Batches, number: int, tell: Callable[[Epoch | float], None]) -> float:
    """One pass over the training split; the mean loss."""
    losses = []
    for step, batch in enumerate(batches.epoch(number)):
        # Keras forgets the batches before when it is given the next one
        logs = model.train_on_batch(batch.chips, batch.targets, sample_weight=batch.weights, return_dict=True)
        losses.append(float(logs["loss"]))
        if not np.isfinite(losses[-1]):
            raise TrainingError(
                f"the loss of epoch {number + 1} is {losses[-1]}: lower the rate, or use float32 precision"
            )
        tell((step + 1) / batches.steps())
    return float(np.mean(losses))


def _estimate_batch_norm(model: keras.Model, training: Dataset) -> None:
    """Statistics of batch normalisation for the weights that stand now: averaged weights never saw any.

    Each batch counts the same (a momentum of 1 - 1/k for the k-th), on plain pictures, as in use.
    """
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not layers:
        return
    momentum = layers[0].momentum
    # a folder comes in the order of its classes: the first rows, or a batch of neighbours, would show but one
    rows = generator(0, 0, stream=3).permutation(len(training))[:STATISTICS_PICTURES]
    count = max(1, len(rows) // 256)
    for step, part in enumerate(np.array_split(rows, count)):
        for layer in layers:
            layer.momentum = step / (step + 1)
        with _without_gradients():
            model(training.chips[part], training=True)
    for layer in layers:
        layer.momentum = momentum


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Keras' dtype policy for the layers made in the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _without_gradients() -> AbstractContextManager[Any]:
    """Only torch records every step for a gradient that nobody asks for."""
    if keras.backend.backend() != "torch":
        return nullcontext()
    import torch

    return torch.no_grad()  # type: ignore[no-any-return]  # torch is not read by mypy here


def _keep(model: keras.Model, history: list[Epoch], run: Path) -> None:
    """History and weights of the epoch just judged; each file whole."""
    best = max(range(len(history)), key=lambda at: history[at].merit) == len(history) - 1
    for name in (LAST, *((BEST,) if best else ())):
        with written_whole(run / name) as aside:
            model.save_weights(aside, overwrite=True)
    write_text(run / "history.csv", history_csv(history))


def history_csv(history: list[Epoch]) -> str:
    """The history as csv: epoch, loss, accuracy and nll of each head, seconds, pictures a second."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    heads = [score.head for score in history[0].scores]
    table.writerow(
        ["epoch", "loss"]
        + [f"{head}_{metric}" for head in heads for metric in ("accuracy", "nll")]
        + ["seconds", "pictures_a_second"]
    )
    for epoch in history:
        scores = [f"{value:.5f}" for score in epoch.scores for value in (score.accuracy, score.nll)]
        table.writerow(
            [epoch.number, f"{epoch.loss:.5f}", *scores, f"{epoch.seconds:.1f}", f"{epoch.pictures_a_second:.0f}"]
        )
    return text.getvalue()
