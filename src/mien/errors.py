"""The exceptions that mien raises, the pip commands in their messages, and how text is made safe for a terminal.

    MienError
    ├── ImageError           an image can't be read, or an array is not an image
    ├── VideoError           a camera or a video can't be opened, or stopped giving frames
    │   └── IncompleteVideoError all frames were read but some that are missing or damaged
    ├── DatasetError         a data set, csv or folder can't be read or used
    ├── ModelError           a model file is not one of mien's, or was changed
    │   └── ModelMissingError    a named model is not installed
    ├── FetchError           a download failed or delivered the wrong bytes
    ├── MissingExtraError    an optional dependency is not installed
    ├── TrainingError        a training run can't start or continue
    │   └── DivergedError        its loss or its weights are no longer finite
    └── UsageError           an argument that can't be used

A message says what was expected, what was received, and how to fix it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet


class MienError(Exception):
    """Base of all exceptions of mien: ``except MienError`` catches every one."""


class ImageError(MienError):
    """An image can't be read: unknown format, damaged, too large; or an array is not an RGB image."""


class VideoError(MienError):
    """A camera or a video can't be opened, or stopped giving frames."""


class IncompleteVideoError(VideoError):
    """A video was read to its end, and frames are missing or damaged; raised after the last frame."""


class DatasetError(MienError):
    """A data set can't be read, or lacks what is required of it."""


class ModelError(MienError):
    """A model file is not one of mien's, or its bytes are not those that were written."""


class ModelMissingError(ModelError):
    """A model is known by name but is not installed."""


class FetchError(MienError):
    """A download failed, or its bytes differ from those in the manifest."""


class MissingExtraError(MienError):
    """An optional dependency is not installed, or broken; the message gives the pip command that mends it.

    Args:
        needed_for: what needs it.
        package: its name.
        extra: of mien, which brings it.
        fault: what is wrong with it.
        command: that mends it; "" for the one that installs the extra's packages.
    """

    def __init__(
        self, needed_for: str, package: str, extra: str, fault: str = "is not installed", command: str = ""
    ) -> None:
        command = command or install_command(extra, package)
        super().__init__(f"{needed_for} needs {package}, which {fault}: {command}")
        self._arguments = (needed_for, package, extra, fault, command)

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, ...]]:
        """Pickled with the arguments, not with the message that they give."""
        return type(self), self._arguments


class TrainingError(MienError):
    """A training run can't start or continue."""


class DivergedError(TrainingError):
    """The loss or the weights of a training run are no longer finite."""


class UsageError(MienError, ValueError):
    """An argument that can't be used."""


def printable(text: str, keep: str = "\n") -> str:
    r"""Escape what could control a terminal: escape codes, control characters, lone surrogates.

    Args:
        text: such as a file name or a label.
        keep: characters that stay as they are; "" gives one line.

    >>> printable("a\x1b[2J.jpg\nb.jpg")
    'a\\x1b[2J.jpg\nb.jpg'
    """
    return "".join(
        character if character.isprintable() or character in keep else character.encode("unicode_escape").decode()
        for character in text
    )


def install_command(extra: str, package: str) -> str:
    """The command that installs the packages of an extra, without those that are there.

    ``pip install 'mien[serve]'`` would need mien on a package index; the packages can be had wherever mien came from.

    Args:
        extra: such as "serve".
        package: one that it brings, in case the installed mien is too old to know the extra.

    Example:
        >>> install_command("no-such-extra", "av")
        'pip install av'
    """
    requirements = _requirements(extra)
    wanted = [one for one, met in requirements if not met] or [one for one, _ in requirements] or [package]
    return " ".join(["pip install", *(f"'{one}'" if set(one) & set("<>=[") else one for one in wanted)])


def reinstall_command() -> str:
    """The command that installs mien again, from where it came."""
    import json
    from importlib import metadata

    try:
        origin = json.loads(metadata.distribution("mien").read_text("direct_url.json") or "{}")
    except metadata.PackageNotFoundError:  # run from its sources
        return "git restore src"
    url = origin.get("url", "mien")
    if origin.get("dir_info", {}).get("editable"):
        return f"git -C '{url.removeprefix('file://')}' restore src"
    repository = origin.get("vcs_info", {}).get("vcs")
    return f"pip install --force-reinstall --no-deps '{f'{repository}+{url}' if repository else url}'"


def _requirements(extra: str) -> list[tuple[str, bool]]:
    """What an extra needs on this machine, such as "av>=17.1,<20", and whether it is installed."""
    from importlib import metadata

    from packaging.requirements import Requirement

    try:
        lines = metadata.requires("mien") or []
    except metadata.PackageNotFoundError:
        return []
    found: list[tuple[str, bool]] = []
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        bounds = ",".join(sorted(map(str, requirement.specifier), reverse=True))  # the lower bound first
        found.append((f"{requirement.name}{extras}{bounds}", _is_met(requirement.name, requirement.specifier)))
    return found


def _is_met(name: str, specifier: SpecifierSet) -> bool:
    from importlib import metadata

    try:
        return metadata.version(name) in specifier
    except metadata.PackageNotFoundError:
        return False
