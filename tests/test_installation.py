"""The pip commands in messages name what works wherever mien came from: packages, folders, files, repositories."""

from __future__ import annotations

import json
import re
from importlib import metadata
from types import SimpleNamespace

import pytest

from mien.errors import MissingExtraError, install_command, reinstall_command

REQUIRES = [
    "numpy<3,>=2.0",
    "keras<4,>=3.15.1; extra == 'train'",
    "tensorflow-cpu<3,>=2.20; (sys_platform == 'here' or sys_platform != 'here') and extra == 'train'",
    "tensorflow<3,>=2.20; sys_platform == 'elsewhere' and extra == 'train'",
    "ray[data]<3,>=2.44; extra == 'scale'",
    "fancy; extra == 'plain'",
]


@pytest.fixture
def installed(monkeypatch):
    """Sets which distributions are installed, and the requirements of mien."""

    def set_to(**versions):
        def version(name):
            if name not in versions:
                raise metadata.PackageNotFoundError(name)
            return versions[name]

        monkeypatch.setattr(metadata, "requires", lambda name: REQUIRES)
        monkeypatch.setattr(metadata, "version", version)

    return set_to


@pytest.mark.parametrize(
    ("versions", "extra", "command"),
    [
        ({}, "train", "pip install 'keras>=3.15.1,<4' 'tensorflow-cpu>=2.20,<3'"),
        ({"keras": "3.16"}, "train", "pip install 'tensorflow-cpu>=2.20,<3'"),
        ({"keras": "3.1", "tensorflow-cpu": "2.21"}, "train", "pip install 'keras>=3.15.1,<4'"),
        # all are there, but one is broken
        (
            {"keras": "3.16", "tensorflow-cpu": "2.21"},
            "train",
            "pip install 'keras>=3.15.1,<4' 'tensorflow-cpu>=2.20,<3'",
        ),
        ({}, "scale", "pip install 'ray[data]>=2.44,<3'"),
        ({}, "plain", "pip install fancy"),
        ({}, "of a newer mien", "pip install package"),
    ],
)
def test_an_extra_is_named_by_the_packages_that_it_lacks(installed, versions, extra, command):
    installed(**versions)
    assert install_command(extra, "package") == command


def test_run_from_its_sources_mien_names_the_package(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert str(MissingExtraError("mien serve", "fastapi", "serve")) == (
        "mien serve needs fastapi, which is not installed: pip install fastapi"
    )


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ({"url": "file:///a b/mien", "dir_info": {}}, "pip install --force-reinstall --no-deps 'file:///a b/mien'"),
        ({"url": "file:///a b/mien", "dir_info": {"editable": True}}, "git -C '/a b/mien' restore src"),
        (
            {"url": "file:///tmp/mien-0.2.0-py3-none-any.whl", "archive_info": {}},
            "pip install --force-reinstall --no-deps 'file:///tmp/mien-0.2.0-py3-none-any.whl'",
        ),
        (
            {"url": "https://example.org/mien.git", "vcs_info": {"vcs": "git", "commit_id": "1"}},
            "pip install --force-reinstall --no-deps 'git+https://example.org/mien.git'",
        ),
        (None, "pip install --force-reinstall --no-deps 'mien'"),  # from an index, where it then is
    ],
)
def test_mien_is_installed_again_from_where_it_came(monkeypatch, origin, command):
    text = None if origin is None else json.dumps(origin)
    monkeypatch.setattr(metadata, "distribution", lambda name: SimpleNamespace(read_text=lambda file: text))
    assert reinstall_command() == command


def test_no_message_nor_page_names_mien_on_an_index(repository):
    pages = [repository / "README.md", *(repository / "docs").rglob("*.md"), *(repository / "src").rglob("*.py")]
    named = re.compile(r"pip install (-\S+ )*'?mien\b")
    found = [path for path in pages if named.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in found if path.name != "errors.py"] == []
