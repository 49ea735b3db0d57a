"""Options of mien 0.1.0 under their new names: accepted for one release, with a note on stderr."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVERYWHERE: Mapping[str, str] = MappingProxyType({"--labels": "--head"})
"""Old option and new option, in all commands but those of ``KEPT``."""

BY_COMMAND: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "train": {
            "--model": "--arch",
            "-m": "--arch",
            "--recipe": "--config",
            "--rate": "--learning-rate",
            "--without": "--exclude",
            "--soft-share": "--distillation-weight",
            "--paste": "--copy-paste",
        }
    }
)
"""By the first word of the command: options renamed there alone."""

KEPT = MappingProxyType({"models": frozenset({"--labels"})})
"""By the first word of the command: options of ``EVERYWHERE`` that mean something else there."""


def with_new_names(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Arguments of the command line with today's options, and a note for each that was renamed.

    >>> with_new_names(["predict", "a.jpg", "--labels=ferplus"])
    (['predict', 'a.jpg', '--head=ferplus'], ['--labels is now --head'])
    """
    command = next((word for word in arguments if not word.startswith("-")), "")
    names = {old: new for old, new in EVERYWHERE.items() if old not in KEPT.get(command, frozenset())}
    names |= BY_COMMAND.get(command, {})
    changed, notes = [], []
    options = True
    for word in arguments:
        options = options and word != "--"
        name, equals, value = word.partition("=")
        new = names.get(name) if options else None
        if new:
            notes.append(f"{name} is now {new}")
        changed.append(f"{new}{equals}{value}" if new else word)
    return changed, list(dict.fromkeys(notes))
