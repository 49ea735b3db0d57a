"""The expressions that mien recognizes, their label sets, emoji and colours."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Emotion(StrEnum):
    """An expression of a face. It does not reveal what a person feels."""

    ANGRY = "angry"
    DISGUST = "disgust"
    FEAR = "fear"
    HAPPY = "happy"
    SAD = "sad"
    SURPRISE = "surprise"
    NEUTRAL = "neutral"
    CONTEMPT = "contempt"


FER2013 = (
    Emotion.ANGRY,
    Emotion.DISGUST,
    Emotion.FEAR,
    Emotion.HAPPY,
    Emotion.SAD,
    Emotion.SURPRISE,
    Emotion.NEUTRAL,
)
"""The seven labels of FER2013 in the order of its numbers 0 to 6 (Goodfellow et al. 2013)."""

FERPLUS = (
    Emotion.NEUTRAL,
    Emotion.HAPPY,
    Emotion.SURPRISE,
    Emotion.SAD,
    Emotion.ANGRY,
    Emotion.DISGUST,
    Emotion.FEAR,
    Emotion.CONTEMPT,
)
"""The eight labels of FER+ in the order of its columns (Barsoum et al. 2016)."""

EMOJI: Mapping[str, str] = MappingProxyType(
    {
        Emotion.ANGRY: "😠",
        Emotion.DISGUST: "🤢",
        Emotion.FEAR: "😨",
        Emotion.HAPPY: "😄",
        Emotion.SAD: "😢",
        Emotion.SURPRISE: "😮",
        Emotion.NEUTRAL: "😐",
        Emotion.CONTEMPT: "😏",
    }
)

COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        Emotion.ANGRY: (214, 69, 65),
        Emotion.DISGUST: (112, 146, 60),
        Emotion.FEAR: (130, 92, 172),
        Emotion.HAPPY: (236, 172, 32),
        Emotion.SAD: (68, 114, 184),
        Emotion.SURPRISE: (232, 126, 48),
        Emotion.NEUTRAL: (128, 136, 146),
        Emotion.CONTEMPT: (164, 108, 132),
    }
)
"""RGB of each expression in every drawing; they differ in lightness too, for colour-blind readers."""

SYNONYMS: Mapping[str, Emotion] = MappingProxyType(
    {
        **{emotion.value: emotion for emotion in Emotion},
        "anger": Emotion.ANGRY,
        "mad": Emotion.ANGRY,
        "disgusted": Emotion.DISGUST,
        "afraid": Emotion.FEAR,
        "fearful": Emotion.FEAR,
        "scared": Emotion.FEAR,
        "happiness": Emotion.HAPPY,
        "joy": Emotion.HAPPY,
        "smile": Emotion.HAPPY,
        "sadness": Emotion.SAD,
        "unhappy": Emotion.SAD,
        "surprised": Emotion.SURPRISE,
        "calm": Emotion.NEUTRAL,
        "natural": Emotion.NEUTRAL,
        "none": Emotion.NEUTRAL,
        "contemptuous": Emotion.CONTEMPT,
    }
)
"""Lower-case class names of data sets, and the expression of each."""


def emotion_named(name: str) -> Emotion | None:
    """The expression of a class name (any case, surrounding space ignored), or None.

    >>> emotion_named(" Happiness ")
    <Emotion.HAPPY: 'happy'>
    """
    return SYNONYMS.get(name.strip().lower())
