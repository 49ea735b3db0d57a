"""The page as users get it: from ``mien serve`` itself, with both inference backends, and with a token."""

from __future__ import annotations

import re

import pytest
from browser import RUNTIME
from serving import serving

from mien.models.store import ModelStore

RUNNING = "#boxes .box:not([hidden])"
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def cache(tmp_path_factory, npm):
    """A cache of models that holds onnxruntime-web."""
    folder = tmp_path_factory.mktemp("cache")
    (archive,) = npm(RUNTIME).parent.glob("*.tgz")
    ModelStore(cache=folder / "models").add(archive)
    return folder


@pytest.fixture(scope="module")
def address(cache):
    with serving(cache) as found:
        yield found


def test_inference_on_the_server(visit, address):
    opened = visit(address)
    opened.page.click("#start")
    opened.wait_for_text("#boxes .label", "happy")
    opened.wait_for_results(5)
    assert all(url.startswith((address, "blob:")) for url in opened.urls)


def test_inference_in_the_browser_sends_no_frame(visit, address):
    opened = visit(address)
    opened.page.check("input[name=inference][value=browser]", force=True)
    opened.page.click("#start")
    opened.wait_for_text("#boxes .label", "happy")
    opened.wait_for_results(5)
    paths = {re.sub(r"^[a-z]+:/+[^/]+", "", url) for url in opened.urls}
    assert all(path.startswith(("/assets/", "/ort/", "/v1/models")) for path in paths - {"/"}), paths


def test_the_browser_uses_the_model_of_the_server(visit, cache):
    with serving(cache, "--model", "nano") as nano_address:
        opened = visit(nano_address)
        opened.page.check("input[name=inference][value=browser]", force=True)
        opened.page.click("#start")
        opened.wait_for_text("#boxes .label", "happy")
        files = {url.rpartition("/v1/models/")[2] for url in opened.urls if url.endswith("/file")}
        assert files == {"nano/file", "faces/file"}


def test_with_a_token_only_clients_that_have_it_get_the_page(visit, cache):
    with serving(cache, "--token", TOKEN) as guarded:
        opened = visit(guarded, f"/?token={TOKEN}")
        opened.page.click("#start")
        opened.page.wait_for_selector(RUNNING)
        refused = visit(guarded)
        assert "unauthorized" in refused.page.content()
