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
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

SHIPPED = Path(__file__).parent / "configs"
"""The folder of the shipped configs, NAME.toml."""

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "linear", "constant", "plateau")
BALANCES = ("none", "weights", "logits")
CHOICES = {"precision": PRECISIONS, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "balance": BALANCES}


@dataclass(frozen=True)
class Augmentation:
    """Strength and probability of each augmentation.

    Attributes:
        flip: probability of a horizontal flip.
        rotate: maximum rotation, in degrees either way.
        scale: smallest and largest scale factor; drawn log-uniformly.
        shift: maximum shift as a share of the side, horizontal and vertical.
        shear: maximum shear, horizontal and vertical.
        brightness: maximum change of brightness, contrast and gamma, as a share.
        blur: probability of a Gaussian blur (sigma 0.3 to 1.2 pixels).
        shrink: probability of downscaling to 40 to 90 % and back.
        jpeg: probability of JPEG compression at quality 15 to 75.
        random_erasing: probability of filling a rectangle of 3 to 20 % of the area with one grey value.
        mixup: the Beta parameter of mixup (Zhang et al. 2018, arXiv:1710.09412); 0 turns it off.
        mixup_share: share of batches with mixup.
    """

    flip: float = 0.5
    rotate: float = 15.0
    scale: tuple[float, float] = (0.85, 1.2)
    shift: float = 0.10
    shear: float = 0.05
    brightness: float = 0.25
    blur: float = 0.10
    shrink: float = 0.10
    jpeg: float = 0.10
    random_erasing: float = 0.25
    mixup: float = 0.2
    mixup_share: float = 0.5

    def __post_init__(self) -> None:
        for name in ("flip", "blur", "shrink", "jpeg", "random_erasing", "mixup_share"):
            _check(name, getattr(self, name), 0.0, 1.0)
        for name, top in (("rotate", 180.0), ("shift", 0.5), ("shear", 1.0), ("brightness", 0.9), ("mixup", 10.0)):
            _check(name, getattr(self, name), 0.0, top)
        if not (len(self.scale) == 2 and 0.2 <= self.scale[0] <= self.scale[1] <= 5.0):
            raise UsageError(f"expected scale as two numbers from 0.2 to 5, the smaller first; received {self.scale}")

    def softened(self) -> Augmentation:
        """The augmentation of the fine-tune phase: half the strength, half the probability, no mixup."""
        return Augmentation(
            flip=self.flip,
            rotate=self.rotate / 2,
            scale=(self.scale[0] ** 0.5, self.scale[1] ** 0.5),
            shift=self.shift / 2,
            shear=self.shear / 2,
            brightness=self.brightness / 2,
            blur=self.blur / 2,
            shrink=self.shrink / 2,
            jpeg=self.jpeg / 2,
            random_erasing=self.random_erasing / 2,
            mixup=0.0,
            mixup_share=0.0,
        )


@dataclass(frozen=True)
class TrainingConfig:
    """Every setting of a run.

    Attributes:
        network: name of the architecture.
        seed: of the initial weights, the order of images, augmentation and dropout.
        epochs: number of epochs; each ends with validation and a checkpoint.
        repeats: passes over the training split per epoch; several where a pass is faster than validation, as on a GPU.
        fine_tune_epochs: number of last epochs that use ``augmentation.softened()``.
        patience: early stopping after this many epochs without improvement; 0: off.
        batch: images per step.
        optimizer: "sgd" (Nesterov) or "adamw" (Loshchilov and Hutter 2019, arXiv:1711.05101).
        schedule: of the learning rate after warm-up: "cosine" or "linear" to 0, "constant", or "plateau" (divided by 3
            after each 3 epochs without improvement).
        learning_rate: peak learning rate, reached after ``warmup_epochs``.
        warmup_epochs: of linear warm-up.
        momentum: of SGD.
        weight_decay: of kernels only; for SGD as L2 in the gradient, the way PyTorch and the literature count it.
        clipnorm: maximum norm of the whole gradient; 0: no clipping.
        ema_decay: decay per step of the exponential moving average of the weights, which is evaluated and exported;
            smaller in a short run, see ``optimization.effective_ema_decay``.
        precision: Keras' dtype policy during training (mixed precision).
        dropout: share of the last features dropped.
        label_smoothing: of the data's own one-hot labels, which are blended with soft labels if there are any.
        balance: treatment of class imbalance in the data's own labels: "none", "weights" (each row weighs the inverse
            of its class's share), or "logits" (logit adjustment, Menon et al. 2021, arXiv:2007.07314).
        auxiliary_loss_weight: weight of the loss of each head after the first (FER+ votes).
        own_head_weight: weight of the data's own head in the fused prediction; the rest goes to the other heads. Low,
            because FER2013's labels read real neutral faces badly (recall 0.33 against 0.91 by FER+ votes).
        prior_correction: how much of the class priors of the training data is removed from the fused prediction: 0
            none, 1 all, as if every expression were equally frequent (logit adjustment, Menon et al. 2021,
            arXiv:2007.07314).
        crop_factor: written into the model card: side of the crop over max(width, height) of the face box.
        weights: initial weights. Of a transfer network: "imagenet" (from Keras' cache, or downloaded), "none", or the
            path of a file. Of any other: "none" for random ones, or the name or path of a model or a run.
        fine_tune: of a transfer network: number of last blocks to train too; 0: the new layers alone.
        teacher: models for online distillation, by name or path with commas between; "": none. Their mean output on
            each augmented batch is the target. For the face detector one detector ("yunet", or the path of one that
            mien trained), whose grid outputs are the targets.
        copy_paste: of the face detector: the path of a data set of face crops to paste into scenes; "": none.
        soft_labels: a teacher's soft labels, blended with the data's own: the path of a file from ``mien soft-labels``,
            or the name of one that ships ("fer2013"); "": none.
        distillation_weight: weight of the soft labels, or of the teacher, in each row's target, 0 to 1; the rest is the
            data's own label.
        licence: of the weights, written into the model card; your choice.
        augmentation: strength and probability of each augmentation.
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
        _check("seed", self.seed, 0, 2**32 - 1)
        _check("epochs", self.epochs, 1, 100_000)
        _check("repeats", self.repeats, 1, 100_000)
        _check("fine_tune_epochs", self.fine_tune_epochs, 0, self.epochs)
        _check("patience", self.patience, 0, 100_000)
        _check("batch", self.batch, 1, 65_536)
        _check("fine_tune", self.fine_tune, 0, 1000)
        _check("learning_rate", self.learning_rate, 1e-9, 100.0)
        _check("warmup_epochs", self.warmup_epochs, 0, self.epochs)
        for name in ("momentum", "ema_decay", "dropout", "label_smoothing", "own_head_weight"):
            _check(name, getattr(self, name), 0.0, 0.99999)
        for name in ("prior_correction", "distillation_weight"):
            _check(name, getattr(self, name), 0.0, 1.0)
        for name in ("weight_decay", "clipnorm", "auxiliary_loss_weight"):
            _check(name, getattr(self, name), 0.0, 1e6)
        _check("crop_factor", self.crop_factor, 0.2, 5.0)
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


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"expected {name} from {low} to {high}; received {value}")


PLAIN = Augmentation(
    flip=0,
    rotate=0,
    scale=(1, 1),
    shift=0,
    shear=0,
    brightness=0,
    blur=0,
    shrink=0,
    jpeg=0,
    random_erasing=0,
    mixup=0,
    mixup_share=0,
)
"""No augmentation at all."""


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
