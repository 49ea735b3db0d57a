from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from histories import history
from mien.errors import MissingExtraError, UsageError
from mien.training.run.plots import FAINT, HEAD_COLOURS, draw_curves


def colours_of(path):
    """The RGB triples that occur in an image."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        return set(map(tuple, np.asarray(image.convert("RGB")).reshape(-1, 3)))


@pytest.mark.parametrize("epochs", [1, 2, 72, 500])
@pytest.mark.parametrize("heads", [("classes",), ("fer2013", "ferplus")], ids=len)
def test_each_head_is_drawn_in_its_colour(tmp_path, epochs, heads):
    pytest.importorskip("matplotlib")
    draw_curves(tmp_path / "curves.png", history(tuple(np.linspace(0.2, 0.8, epochs)), heads))
    drawn = colours_of(tmp_path / "curves.png")
    for at, colour in enumerate(HEAD_COLOURS):
        assert (tuple(bytes.fromhex(colour[1:])) in drawn) == (at < len(heads)), colour


def test_the_image_replaces_the_one_before_and_leaves_no_other_file(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "curves.png").write_bytes(b"torn")
    draw_curves(tmp_path / "curves.png", history((0.5,)))
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
    assert colours_of(tmp_path / "curves.png")


def dashed_columns(path):
    """Where upright dashed lines stand in an image."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    faint = np.abs(pixels - np.array(tuple(bytes.fromhex(FAINT[1:])))).max(axis=2) < 12
    return np.flatnonzero(faint.sum(axis=0) > 80)


def test_a_dashed_line_stands_at_the_best_epoch_in_each_panel(tmp_path):
    pytest.importorskip("matplotlib")
    columns = []
    for best in (1, 3, 5):
        draw_curves(tmp_path / "curves.png", history(tuple(0.9 if at == best else 0.5 for at in range(1, 6))))
        columns.append(dashed_columns(tmp_path / "curves.png"))
    first, third, fifth = columns
    assert [len(found) for found in columns] == [3, 3, 3]
    assert (fifth - first > 200).all()
    np.testing.assert_allclose(third, (first + fifth) / 2, atol=2)


def test_a_score_that_is_no_number_leaves_a_gap(tmp_path):
    pytest.importorskip("matplotlib")
    draw_curves(tmp_path / "curves.png", history((0.5, float("nan"), 0.6)))
    assert colours_of(tmp_path / "curves.png")


def test_no_epoch_is_refused(tmp_path):
    with pytest.raises(UsageError, match="at least one finished epoch"):
        draw_curves(tmp_path / "curves.png", ())


def test_without_matplotlib_the_pip_line_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="pip install 'matplotlib>="):
        draw_curves(tmp_path / "curves.png", history((0.5,)))
    assert list(tmp_path.iterdir()) == []
