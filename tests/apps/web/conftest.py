"""A real Chromium, a camera that shows a portrait, and a server with a real recognizer behind."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from browser import CHROMIUM, QUIET, RUNTIME, npm_package, swaying, write_camera
from fake_server import FakeServer

from mien.recognizer import Recognizer


def lacking(words):
    """Fails where all must be there, else skips."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {words}")
    pytest.skip(f"needs {words}")


@pytest.fixture(scope="session")
def camera(tmp_path_factory):
    return write_camera(tmp_path_factory.mktemp("camera") / "camera.y4m", swaying())


@pytest.fixture(scope="session")
def chromium(camera):
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("playwright: pip install playwright")
    if shutil.which(CHROMIUM) is None:
        lacking("Chromium: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=[*QUIET, f"--use-file-for-fake-video-capture={camera}"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def npm(request):
    """Gets a package of npm; where it can't, says why."""

    def get(name):
        try:
            return npm_package(name, request.config.cache.mkdir("npm"))
        except FileNotFoundError:
            lacking("npm: apt-get install npm")
        except subprocess.CalledProcessError as error:
            lacking(f"{name} from npm ({error.stderr.decode(errors='replace').strip()[-200:]})")

    return get


@pytest.fixture(scope="session")
def recognizer():
    return Recognizer.load()


@pytest.fixture(scope="session")
def runtime(npm):
    return npm(RUNTIME) / "dist"


@pytest.fixture
def server(recognizer):
    """One without the browser's runtime."""
    made = FakeServer(recognizer)
    yield made
    made.close()


@pytest.fixture
def full_server(recognizer, runtime):
    made = FakeServer(recognizer, runtime)
    yield made
    made.close()


class Visit:
    """A page that was opened, and what came of it.

    Attributes:
        page: Playwright's.
        asked: the address of every request.
        faults: errors of scripts, and what the security policy refused.
    """

    def __init__(self, page):
        self.page, self.asked, self.faults = page, [], []
        page.set_default_timeout(40_000)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self._heard(message.text))

    def _heard(self, text):
        if "Content Security Policy" in text or "Uncaught" in text:
            self.faults.append(text)

    def sees(self, selector, words):
        """Waits until an element says so."""
        self.page.wait_for_function(
            "([at, words]) => [...document.querySelectorAll(at)].some((one) => one.checkVisibility()"
            " && one.textContent.includes(words))",
            arg=[selector, words],
        )

    def has_read(self, more=1):
        """Waits until so many more frames were read."""
        count = "() => parseInt(document.getElementById('kept').textContent.replace(',', '')) || 0"
        now = self.page.evaluate(count)
        self.page.wait_for_function(f"(least) => ({count})() >= least", arg=now + more)


@pytest.fixture
def visit(chromium):
    """Opens the page of a server; no script may have failed in the end."""
    contexts, visits = [], []

    def open_page(address, path="/", *, before=None, **how):
        context = chromium.new_context(**how)
        contexts.append(context)
        if before:
            context.add_init_script(before)
        visits.append(Visit(context.new_page()))
        visits[-1].page.goto(address + path)
        return visits[-1]

    yield open_page
    for context in contexts:
        context.close()
    assert [fault for one in visits for fault in one.faults] == []
