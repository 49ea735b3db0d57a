from __future__ import annotations

import json

import numpy as np
import pytest

from mien.media.image import read as read_image


def test_reports_images_and_an_overview(here, paint, portrait, tmp_path):
    paint("photos/one.png", portrait)
    paint("photos/none.png")
    (tmp_path / "photos" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    done = here("explain", "photos")
    assert done.code == 1
    assert "happy" in done.out
    assert "mouth" in done.out
    assert "no face found" in done.out
    assert "torn.png" in done.err
    folder = tmp_path / "explained"
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "none.html", "one.html", "one.png"]
    assert read_image(folder / "one.png").shape == (336, 680, 3)
    assert 'href="one.html"' in (folder / "index.html").read_text()


def test_json_alone_writes_nothing(here, paint, portrait, tmp_path):
    paint("one.png", portrait)
    done = here("explain", "one.png", "--json", "--expression", "sad")
    assert done.code == 0, done.err
    (face,) = json.loads(done.out)["faces"]
    assert (face["emotion"], face["explained"], len(face["maps"])) == ("happy", "sad", 1)
    assert not (tmp_path / "explained").exists()


def test_two_images_of_the_same_name_have_two_reports(here, paint, portrait, tmp_path):
    paint("a/index.png", portrait)
    paint("b/index.png", np.ascontiguousarray(portrait[:, ::-1]))
    assert here("explain", "a", "b", "--out", "why").code == 0
    written = {path.name for path in (tmp_path / "why").iterdir()}
    assert written == {"index.html", "index-2.html", "index-2.png", "index-3.html", "index-3.png"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "tea-leaves"], "expected a method of occlusion, grad-cam, integrated-gradients"),
        (["--method", "grad-cam"], "expected a run directory"),
        (["--expression", "glad"], "received 'glad'"),
        (["--head", "nobody"], "received 'nobody'"),
        (["--model", "absent"], "absent"),
    ],
)
def test_what_can_t_be_explained_is_wrong_usage(here, paint, portrait, options, words):
    paint("one.png", portrait)
    done = here("explain", "one.png", *options)
    assert done.code == 2
    assert words in done.err


def test_a_video_is_wrong_usage(here, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"")
    done = here("explain", "clip.mp4")
    assert done.code == 2
    assert "received a video" in done.err
