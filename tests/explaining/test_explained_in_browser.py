"""A real browser draws the page, has nothing to complain of, and asks for nothing else."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from PIL import Image

from mien.explaining import explain
from mien.explaining.page import explanation_page


@pytest.mark.parametrize("width", [420, 1200])
def test_it_is_drawn_without_a_complaint(browser, recognizer, occlusion, smile, tmp_path, width):
    page = tmp_path / "page.html"
    page.write_text(explanation_page("smile.png", explain(recognizer, smile, [occlusion])), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    ran = subprocess.run(
        [
            browser,
            *options,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},1600",
            f"--screenshot={tmp_path / 'shot.png'}",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
    shot = np.asarray(Image.open(tmp_path / "shot.png").convert("RGB"))
    assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 1000
