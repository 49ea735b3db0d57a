"""A real Chromium, a fake camera that shows a portrait, and a server with a real recognizer."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from browser import CHROMIUM, CHROMIUM_ARGS, RUNTIME, npm_package, swaying_astronaut, write_camera
from fake_server import FakeServer

from mien.recognizer import Recognizer


def skip_without(tool):
    """Skips the test, or fails it in CI, which must have every tool."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {tool}")
    pytest.skip(f"needs {tool}")


@pytest.fixture(scope="session")
def camera(tmp_path_factory):
    return write_camera(tmp_path_factory.mktemp("camera") / "camera.y4m", swaying_astronaut())


@pytest.fixture(scope="session")
def chromium(camera):
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_without("playwright: pip install playwright")
    if shutil.which(CHROMIUM) is None:
        skip_without("Chromium: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=[*CHROMIUM_ARGS, f"--use-file-for-fake-video-capture={camera}"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def npm(request):
    """Returns the folder of an npm package, or skips with the reason."""

    def get(name):
        try:
            return npm_package(name, request.config.cache.mkdir("npm"))
        except FileNotFoundError:
            skip_without("npm: apt-get install npm")
        except subprocess.CalledProcessError as error:
            skip_without(f"{name} from npm ({error.stderr.decode(errors='replace').strip()[-200:]})")

    return get


@pytest.fixture(scope="session")
def recognizer():
    return Recognizer.load()


@pytest.fixture(scope="session")
def runtime(npm):
    return npm(RUNTIME) / "dist"


@pytest.fixture
def server(recognizer):
    """A server without onnxruntime-web."""
    fake = FakeServer(recognizer)
    yield fake
    fake.close()


@pytest.fixture
def full_server(recognizer, runtime):
    fake = FakeServer(recognizer, runtime)
    yield fake
    fake.close()


class Visit:
    """A page that was opened, with its requests and errors.

    Attributes:
        page: Playwright's.
        urls: the URL of every request.
        errors: errors of scripts, and violations of the Content Security Policy.
    """

    def __init__(self, page):
        self.page, self.urls, self.errors = page, [], []
        page.set_default_timeout(40_000)
        page.on("request", lambda request: self.urls.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._check(message.text))

    def _check(self, text):
        if "Content Security Policy" in text or "Uncaught" in text:
            self.errors.append(text)

    def wait_for_text(self, selector, text):
        """Waits until a visible element contains a text."""
        self.page.wait_for_function(
            "([selector, text]) => [...document.querySelectorAll(selector)].some((element) => element.checkVisibility()"
            " && element.textContent.includes(text))",
            arg=[selector, text],
        )

    def wait_for_results(self, more=1):
        """Waits until so many more frames were analyzed."""
        count = "() => parseInt(document.getElementById('result-count').textContent.replace(',', '')) || 0"
        now = self.page.evaluate(count)
        self.page.wait_for_function(f"(min) => ({count})() >= min", arg=now + more)


@pytest.fixture
def visit(chromium):
    """Opens pages; at the end none may have had an error."""
    contexts, visits = [], []

    def open_page(address, path="/", *, init_script=None, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        if init_script:
            context.add_init_script(init_script)
        visits.append(Visit(context.new_page()))
        visits[-1].page.goto(address + path)
        return visits[-1]

    yield open_page
    for context in contexts:
        context.close()
    assert [error for opened in visits for error in opened.errors] == []
