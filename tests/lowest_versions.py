"""Writes pip constraints that pin mien's dependencies to their lower bounds: ``make test-lowest`` installs by them.

python tests/lowest_versions.py EXTRA... > constraints.txt
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest_versions(extras: list[str]) -> list[str]:
    """Lines like "numpy==2.0", of the base install and of some extras.

    Raises:
        ValueError: a requirement has no lower bound, or two of them differ.
    """
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    found: dict[str, str] = {}
    for requirement in map(Requirement, wanted):
        (bound,) = (one.version for one in requirement.specifier if one.operator == ">=")
        if found.setdefault(requirement.name, bound) != bound:
            raise ValueError(
                f"expected one lower bound of {requirement.name}; received {found[requirement.name]}, {bound}"
            )
    return [f"{name}=={version}" for name, version in found.items()]


if __name__ == "__main__":
    print("\n".join(lowest_versions(sys.argv[1:])))  # noqa: T201
