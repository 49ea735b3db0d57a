"""Training configs: every setting of a run in one frozen value, saved as TOML in its directory."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import MissingExtraError, UsageError
from mien.media.files import write_text
from mien.models.legacy import AUGMENTATION_FIELDS, CONFIG_FIELDS, SHIPPED_CONFIGS, renamed
from mien.training.augmentation_config import PLAIN, Augmentation, check_range
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

__all__ = ["PLAIN", "Augmentation", "TrainingConfig", "config_for", "config_named", "from_toml", "read"]

SHIPPED = Path(__file__).parent / "configs"
"""The folder of the shipped configs, NAME.toml."""

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "linear", "constant", "plateau")
BALANCES = ("none", "weights", "logits")
CHOICES = {"precision": PRECISIONS, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "balance": BALANCES}


@dataclass(frozen=True)
class TrainingConfig:
    """Every setting of a training run, checked when it is made.

    Attributes:
        network: name of the architecture, a key of ``ARCHITECTURES``, or "face-detector".
        seed: seed of the initial weights, the order of images, augmentation and dropout.
        epochs: number of epochs; each ends with validation and a checkpoint.
        repeats: passes over the training split per epoch; several where a pass is faster than validation, as on a GPU.
        fine_tune_epochs: number of last epochs that use ``augmentation.softened()``.
        patience: epochs without improvement after which early stopping ends the run; 0 turns it off.
        batch: images per step.
        optimizer: "sgd" (with Nesterov momentum) or "adamw" (Loshchilov and Hutter 2019, arXiv:1711.05101).
        schedule: learning rate after warm-up: "cosine" or "linear" decay to 0, "constant", or "plateau" (divided by 3
            after each 3 epochs without improvement).
        learning_rate: peak learning rate, reached after ``warmup_epochs``.
        warmup_epochs: length of the linear warm-up in epochs.
        momentum: momentum of SGD.
        weight_decay: weight decay of kernels only; for SGD as L2 in the gradient, as in PyTorch and the literature.
        clipnorm: maximum norm of the whole gradient; 0 turns clipping off.
        ema_decay: decay per step of the exponential moving average of the weights, which is evaluated and exported;
            smaller in a short run, see ``optimization.effective_ema_decay``.
        precision: Keras' dtype policy during training: "float32", "mixed_bfloat16" or "mixed_float16".
        dropout: dropout rate of the last features.
        label_smoothing: label smoothing of the data's own one-hot labels, before any soft labels are blended in.
        balance: treatment of class imbalance in the data's own labels: "none", "weights" (each row weighs the inverse
            of its class's share), or "logits" (logit adjustment, Menon et al. 2021, arXiv:2007.07314).
        auxiliary_loss_weight: loss weight of each head after the first (FER+ votes).
        own_head_weight: weight of the data's own head in the fused prediction; the other heads share the rest. It is
            low because FER2013's labels miss real neutral faces (recall 0.33 against 0.91 by FER+ votes).
        prior_correction: share of the class priors of the training data that is removed from the fused prediction: 0
            for none, 1 for all, as if every expression were equally frequent (logit adjustment, Menon et al. 2021,
            arXiv:2007.07314).
        crop_factor: side of the crop over max(width, height) of the face box; written into the model card.
        weights: initial weights. For a transfer network: "imagenet" (from Keras' cache, or downloaded), "none", or the
            path of a file. For any other: "none" for random ones, or the name or path of a model or a run.
        fine_tune: number of last blocks of a transfer network to train too; 0 trains the new layers alone.
        teacher: models for online distillation, by name or path, separated by commas; "" for none. Their mean output on
            each augmented batch is the target. The face detector takes one detector ("yunet", or the path of one that
            mien trained), whose grid outputs are the targets.
        copy_paste: path of a data set of face crops to paste into the scenes of the face detector; "" for none.
        soft_labels: soft labels of a teacher, blended with the data's own: the path of a file from
            ``mien soft-labels``, or the name of a shipped one ("fer2013"); "" for none.
        distillation_weight: weight of the soft labels, or of the teacher, in each row's target, 0 to 1; the data's own
            label has the rest.
        licence: licence of the weights, written into the model card.
        augmentation: strength and probability of each augmentation.

    Example:
        >>> from mien.training.config import TrainingConfig
        >>> config = TrainingConfig(network="nano", epochs=30, learning_rate=0.1)
        >>> config.augmentation_of(29).mixup
        0.0
    """

    network: str = "compact"
    seed: int = 0
    epochs: int = 80
    repeats: int = 1
    fine_tune_epochs: int = 10
    patience: int = 0
    batch: int = 128
    optimizer: str = "sgd"
    schedule: str = "cosine"
    learning_rate: float = 0.15
    warmup_epochs: float = 4.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clipnorm: float = 5.0
    ema_decay: float = 0.999
    precision: str = "float32"
    dropout: float = 0.2
    label_smoothing: float = 0.1
    balance: str = "none"
    auxiliary_loss_weight: float = 0.7
    own_head_weight: float = 0.2
    prior_correction: float = 0.0
    crop_factor: float = 1.2
    weights: str = "imagenet"
    fine_tune: int = 0
    teacher: str = ""
    copy_paste: str = ""
    soft_labels: str = ""
    distillation_weight: float = 0.5
    licence: str = "not stated"
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("seed", "epochs", "repeats", "fine_tune_epochs", "patience", "batch", "fine_tune"):
            if not isinstance(getattr(self, name), int):
                raise UsageError(f"expected {name} as a whole number; received {getattr(self, name)!r}")
        check_range("seed", self.seed, 0, 2**32 - 1)
        check_range("epochs", self.epochs, 1, 100_000)
        check_range("repeats", self.repeats, 1, 100_000)
        check_range("fine_tune_epochs", self.fine_tune_epochs, 0, self.epochs)
        check_range("patience", self.patience, 0, 100_000)
        check_range("batch", self.batch, 1, 65_536)
        check_range("fine_tune", self.fine_tune, 0, 1000)
        check_range("learning_rate", self.learning_rate, 1e-9, 100.0)
        check_range("warmup_epochs", self.warmup_epochs, 0, self.epochs)
        for name in ("momentum", "ema_decay", "dropout", "label_smoothing", "own_head_weight"):
            check_range(name, getattr(self, name), 0.0, 0.99999)
        for name in ("prior_correction", "distillation_weight"):
            check_range(name, getattr(self, name), 0.0, 1.0)
        for name in ("weight_decay", "clipnorm", "auxiliary_loss_weight"):
            check_range(name, getattr(self, name), 0.0, 1e6)
        check_range("crop_factor", self.crop_factor, 0.2, 5.0)
        _check_teachers(self)
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UsageError(f"expected {name} as one of {known}; received {getattr(self, name)!r}")

    def augmentation_of(self, epoch: int) -> Augmentation:
        """The augmentation of an epoch, counted from 0."""
        in_fine_tune_phase = epoch >= self.epochs - self.fine_tune_epochs
        return self.augmentation.softened() if in_fine_tune_phase else self.augmentation

    def teachers(self) -> tuple[str, ...]:
        """The names or paths of the teachers."""
        return tuple(name.strip() for name in self.teacher.split(",") if name.strip())

    def without_folders(self) -> TrainingConfig:
        """The config for publication: files without their folders, which describe a machine and not the run."""
        return dataclasses.replace(
            self,
            weights=Path(self.weights).name,
            soft_labels=Path(self.soft_labels).name,
            teacher=",".join(Path(name).name for name in self.teachers()),
            copy_paste=Path(self.copy_paste).name,
        )

    def to_toml(self) -> str:
        """The config as TOML."""
        try:
            import tomli_w
        except ImportError as error:
            raise MissingExtraError("saving a config", "tomli-w", "train") from error
        text: str = tomli_w.dumps(dataclasses.asdict(self))
        return text

    def save(self, path: Path) -> None:
        """Write the config as TOML, atomically."""
        write_text(path, self.to_toml())


def from_toml(text: str) -> TrainingConfig:
    """The config in a TOML text, of this version or of 0.1.0; missing fields keep their defaults.

    Raises:
        UsageError: it is not TOML, or has an unknown field or an invalid value.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"expected a config as TOML; received another format ({error})") from error
    except RecursionError as error:
        raise UsageError("expected a config as TOML; received one that is nested too deeply") from error
    values = renamed(values, CONFIG_FIELDS)
    augmentation = values.pop("augmentation", {})
    if not isinstance(augmentation, dict):
        raise UsageError(f"expected augmentation as a table of settings; received {augmentation!r}")
    augmentation = renamed(augmentation, AUGMENTATION_FIELDS)
    if isinstance(augmentation.get("scale"), list):
        augmentation["scale"] = tuple(augmentation["scale"])
    config: TrainingConfig = _checked(TrainingConfig, {**values, "augmentation": _checked(Augmentation, augmentation)})
    return config


def read(path: Path) -> TrainingConfig:
    """The config in a TOML file.

    Raises:
        UsageError: it can't be read, or is invalid.
    """
    try:
        return from_toml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"expected a config file; could not read {path} ({error})") from error


def _checked(kind: type[Any], values: dict[str, Any]) -> Any:
    known = {part.name for part in dataclasses.fields(kind)}
    if unknown := sorted(set(values) - known):
        raise UsageError(f"expected fields among {sorted(known)}; received {unknown}")
    try:
        return kind(**values)
    except TypeError as error:
        raise UsageError(
            f"expected a config of numbers and strings; received one that does not fit ({error})"
        ) from error


def _check_teachers(config: TrainingConfig) -> None:
    """Check that the settings of distillation and copy-paste fit the network."""
    detector = config.network == FACE_DETECTOR
    if not isinstance(config.teacher, str) or (detector and len(config.teachers()) > 1):
        raise UsageError(
            "expected teachers by name or file, one for the face detector, several with commas between for others; "
            f"received {config.teacher!r}"
        )
    if not isinstance(config.copy_paste, str) or (config.copy_paste and not (detector and config.teacher)):
        raise UsageError(
            f"expected face crops to paste with the face detector and a teacher only; received {config.copy_paste!r}"
        )
    if not isinstance(config.soft_labels, str) or (config.soft_labels and detector):
        raise UsageError(
            "expected soft labels, by name or file, for a network that names expressions; "
            f"received {config.soft_labels!r}"
        )
    if config.soft_labels and config.teacher:
        raise UsageError(
            f"expected a teacher or soft labels; received both, {config.teacher!r} and {config.soft_labels!r}. "
            "Use --teacher none, or --soft-labels none"
        )
    if config.teacher and not detector and config.distillation_weight == 0:
        raise UsageError(
            "expected a distillation_weight above 0 with a teacher; received 0. Use --teacher none, or "
            "--distillation-weight"
        )


def config_for(network: str) -> TrainingConfig:
    """The config that ships with an architecture, or the defaults if there is none."""
    path = SHIPPED / f"{network}.toml"
    return read(path) if path.is_file() else TrainingConfig(network=network)


def config_named(name: str) -> TrainingConfig:
    """The config in a file, or the shipped config of that name.

    Raises:
        UsageError: there is neither, or the file can't be read.
    """
    path, names = Path(name), {path.stem: path for path in SHIPPED.glob("*.toml")}
    if path.is_file():
        return read(path)
    name = SHIPPED_CONFIGS.get(name, name)
    if name not in names:
        raise UsageError(f"expected a config file, or one that ships: {', '.join(sorted(names))}; received {name!r}")
    return read(names[name])
