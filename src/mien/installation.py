"""How mien and its extras were installed, for the commands in messages.

mien is on no package index, where ``pip install 'mien[serve]'`` would need it: an extra is named by its packages, and
mien by the folder, file or repository that it came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet


def install_command(extra: str, package: str) -> str:
    """The command that installs the packages of an extra, without those that are there.

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
    """What an extra needs on this machine, such as "av>=15,<20", and whether it is installed."""
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
