"""Servers that tests share; those that break one begin their own."""

from __future__ import annotations

import pytest
from servers import FAKE, SMALL, face, served


@pytest.fixture(scope="session")
def portrait_bytes() -> bytes:
    return face()


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "ui").mkdir()
    (folder / "ui" / "index.html").write_text("<!DOCTYPE html><title>mien</title>")
    (folder / "ui" / "page.mjs").write_text("export const one = 1;")
    for place in (folder, folder.parent):
        (place / "secret.txt").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def server(page_folder):
    """A server with one process that reads, and small limits."""
    with served(FAKE, limits=SMALL, page=str(page_folder)) as one:
        yield one


@pytest.fixture
def client(server):
    with server.client() as one:
        yield one
