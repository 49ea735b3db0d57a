"""Servers that tests share; a test that breaks one starts its own."""

from __future__ import annotations

import pytest
from servers import FAKE_WORKER, SMALL_LIMITS, face, served


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
    """A server with one fake worker and small limits."""
    with served(FAKE_WORKER, limits=SMALL_LIMITS, page=str(page_folder)) as one:
        yield one


@pytest.fixture
def client(server):
    with server.client() as one:
        yield one
