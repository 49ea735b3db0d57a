"""Options of mien 0.1.0 under their new names: accepted for one release, with a note on stderr."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RENAMED: Mapping[str, str] = MappingProxyType({"--labels": "--head"})
"""Old option to new option, in every command except those in ``UNCHANGED``."""

RENAMED_IN: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "predict": {"--mask": "--anonymize"},
        "evaluate": {"--leave-out": "--exclude-label"},
        "data": {"--alike": "--similarity"},
        "train": {
            "--model": "--arch",
            "-m": "--arch",
            "--recipe": "--config",
            "--rate": "--learning-rate",
            "--without": "--exclude",
            "--soft-share": "--distillation-weight",
            "--paste": "--copy-paste",
        },
    }
)
"""By the first word of the command: old option to new option, there alone."""

UNCHANGED = MappingProxyType({"models": frozenset({"--labels"})})
"""By the first word of the command: options of ``RENAMED`` that mean something else there."""


def with_new_names(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Replace old options by today's.

    Args:
        arguments: those of the command line.

    Returns:
        The arguments under today's names, and a note for each option that was renamed.

    >>> with_new_names(["predict", "a.jpg", "--labels=ferplus"])
    (['predict', 'a.jpg', '--head=ferplus'], ['--labels is now --head'])
    """
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    names = {old: new for old, new in RENAMED.items() if old not in UNCHANGED.get(command, frozenset())}
    names |= RENAMED_IN.get(command, {})
    changed, notes = [], []
    in_options = True
    for argument in arguments:
        in_options = in_options and argument != "--"
        name, equals, value = argument.partition("=")
        new = names.get(name) if in_options else None
        if new:
            notes.append(f"{name} is now {new}")
        changed.append(f"{new}{equals}{value}" if new else argument)
    return changed, list(dict.fromkeys(notes))
