"""A real browser renders the report without console messages or further requests."""

from __future__ import annotations

import numpy as np
import pytest

from browsing import shown
from mien.explain import explain
from mien.explain.page import explanation_page


@pytest.mark.parametrize("width", [420, 1200])
def test_it_renders_without_console_messages(browser, recognizer, occlusion, smile, tmp_path, width):
    page = tmp_path / "page.html"
    page.write_text(explanation_page("smile.png", explain(recognizer, smile, [occlusion])), encoding="utf-8")
    shot, messages = shown(browser, page.as_uri(), tmp_path, width)
    assert messages == []
    assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 1000
