"""The augmentation settings of a training config, with their limits."""

from __future__ import annotations

from dataclasses import dataclass

from mien.errors import UsageError


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Check that a setting lies within its limits.

    Raises:
        UsageError: it is out of range.
    """
    if not low <= value <= high:
        raise UsageError(f"expected {name} from {low} to {high}; received {value}")


@dataclass(frozen=True)
class Augmentation:
    """Strength and probability of each augmentation.

    Attributes:
        flip: probability of a horizontal flip.
        rotate: maximum rotation, in degrees either way.
        scale: smallest and largest scale factor; drawn log-uniformly.
        shift: maximum shift as a share of the side, horizontal and vertical.
        shear: maximum shear factor, horizontal and vertical.
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
            check_range(name, getattr(self, name), 0.0, 1.0)
        for name, top in (("rotate", 180.0), ("shift", 0.5), ("shear", 1.0), ("brightness", 0.9), ("mixup", 10.0)):
            check_range(name, getattr(self, name), 0.0, top)
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
