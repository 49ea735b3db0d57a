"""The page as users get it: from ``mien serve`` itself, in both ways to read, and with a token."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest
from browser import RUNTIME

from mien.models.store import ModelStore

RUNNING = "#boxes .box:not([hidden])"
TOKEN = "0123456789abcdef"


@contextmanager
def serving(cache, *options):
    """The address of a server that runs."""
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--workers", "1", *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, encoding="utf-8", env=os.environ | {"MIEN_CACHE": str(cache)}
    )
    try:
        told = ""
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", told)):
            line = process.stderr.readline()
            assert line, told
            told += line
        yield found[0]
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture(scope="module")
def cache(tmp_path_factory, npm):
    """A folder of models that holds the browser's runtime."""
    folder = tmp_path_factory.mktemp("cache")
    (archive,) = npm(RUNTIME).parent.glob("*.tgz")
    ModelStore(cache=folder / "models").add(archive)
    return folder


@pytest.fixture(scope="module")
def address(cache):
    with serving(cache) as found:
        yield found


def test_the_server_reads_what_the_camera_shows(visit, address):
    one = visit(address)
    one.page.click("#start")
    one.sees("#boxes .label", "happy")
    one.has_read(5)
    assert all(url.startswith((address, "blob:")) for url in one.asked)


def test_the_browser_reads_and_sends_no_frame(visit, address):
    one = visit(address)
    one.page.check("input[name=where][value=browser]", force=True)
    one.page.click("#start")
    one.sees("#boxes .label", "happy")
    one.has_read(5)
    paths = {re.sub(r"^[a-z]+:/+[^/]+", "", url) for url in one.asked}
    assert all(path.startswith(("/assets/", "/ort/", "/v1/models")) for path in paths - {"/"}), paths


def test_the_browser_reads_with_the_model_that_the_server_was_given(visit, cache):
    with serving(cache, "--model", "nano") as small:
        one = visit(small)
        one.page.check("input[name=where][value=browser]", force=True)
        one.page.click("#start")
        one.sees("#boxes .label", "happy")
        files = {url.rpartition("/v1/models/")[2] for url in one.asked if url.endswith("/file")}
        assert files == {"nano/file", "faces/file"}


def test_with_a_token_only_who_has_it_comes_in(visit, cache):
    with serving(cache, "--token", TOKEN) as guarded:
        one = visit(guarded, f"/?token={TOKEN}")
        one.page.click("#start")
        one.page.wait_for_selector(RUNNING)
        refused = visit(guarded)
        assert "unauthorized" in refused.page.content()
