"""docs/server.md: its client runs, and its tables of errors, limits and metrics match the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mien.apps.server import Limits
from mien.apps.server.errors import ERROR_CODES
from mien.apps.server.metrics import COUNTERS, GAUGES, PREDICT_SECONDS

PAGE = (Path(__file__).parents[3] / "docs" / "server.md").read_text()


def test_the_five_line_client_predicts_an_image(server, portrait_bytes, tmp_path):
    (client,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(list(filter(None, client.splitlines()))) == 5
    (tmp_path / "team.jpg").write_bytes(portrait_bytes)
    here = client.replace("http://127.0.0.1:8000/", server.address)
    command = [sys.executable, "-W", "ignore", "-c", here]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("happy 0.9")


def test_the_curl_examples_are_requests_of_the_api(client):
    routes = client.get("/openapi.json").json()["paths"]
    for path in re.findall(r"^curl .*http://127.0.0.1:8000(/[^?'\s]*)", PAGE, re.MULTILINE):
        assert path.replace("/ID", "/{name}") in routes


def test_every_error_code_is_documented():
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert [(code, (int(status), meaning)) for code, status, meaning in rows] == list(ERROR_CODES.items())


@pytest.mark.parametrize(
    "text",
    [
        "{0.body:.0f} MB; {0.images}; {0.pixels:.0f} million",
        "{0.video:.0f} MB; four wait",
        "{0.frame:.0f} MB; {0.sockets}",
        "| {0.waiting} |",
        "| {0.response:g} s |",
        "{0.upload:g} s (a video {0.video_upload:g} s); {0.silence:g} s",
        "| {0.connections} |",
        "| {0.messages}; {0.socket_silence:g} s |",
        "| {0.downloads} |",
    ],
)
def test_the_limits_are_those_of_the_code(text):
    million = {name: getattr(Limits(), name) / 1e6 for name in ("body", "pixels", "video", "frame")}
    limits = type("Scaled", (), {**vars(Limits()), **million})
    assert text.format(limits) in PAGE


@pytest.mark.parametrize("name", [*COUNTERS, *GAUGES, PREDICT_SECONDS])
def test_every_metric_is_documented(name):
    assert f"| `{name}` |" in PAGE
