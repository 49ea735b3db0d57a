"""A real browser draws the page, has nothing to complain of, and asks for nothing else."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from drawn_predictions import random_predictions

from browsing import shown
from mien.evaluation.comparison import compare
from mien.evaluation.evaluate import Evaluation
from mien.evaluation.html_report import report_page


@pytest.fixture
def server(tmp_path):
    """A server of ``tmp_path``: its address, and the paths that it was asked for."""
    asked = []

    class Listens(SimpleHTTPRequestHandler):
        def log_request(self, *_):
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Listens, directory=tmp_path)) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()


@pytest.fixture
def seen(browser, server, tmp_path):
    """Shows a page: its pixels, what the browser said on its console, and what it asked the server for."""

    def show(page, width=1200):
        (tmp_path / "report.html").write_text(page, encoding="utf-8")
        address, asked = server
        pixels, said = shown(browser, f"{address}/report.html", tmp_path, width)
        return pixels, said, set(asked) - {"/favicon.ico"}

    return show


@pytest.fixture(scope="module")
def page():
    pixels = np.random.default_rng(0).integers(0, 256, (200, 48, 48, 1)).astype(np.uint8)
    models = (random_predictions("first"), random_predictions("second", right=0.9))
    return report_page(Evaluation(models, lambda row: pixels[row], (), compare(models)), np.arange(200) < 9)


@pytest.mark.parametrize("width", [420, 1200])
def test_it_is_drawn_without_a_complaint_and_nothing_is_fetched(seen, page, width):
    shot, said, asked = seen(page, width)
    assert (said, asked) == ([], {"/report.html"})
    assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize("smuggled", ['<img src="/spy.png" />', "<script>console.log('spy')</script>"])
def test_what_is_smuggled_into_a_page_is_stopped_by_its_policy(seen, page, smuggled):
    _, said, asked = seen(page.replace("<main>", f"<main>{smuggled}"))
    assert asked == {"/report.html"}
    assert len(said) == 1
    assert "Content Security Policy" in said[0]
