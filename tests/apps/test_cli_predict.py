"""``mien predict``: what it prints and writes for whatever it is given."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mien.apps.cli.drawings import Drawings
from mien.apps.cli.file_reader import FileReader
from mien.emotions import FER2013, FERPLUS
from mien.errors import UsageError
from mien.media.image import read
from mien.media.video import Sampling
from mien.recognizer import Analysis
from mien.structures import FrameResult
from videos import swaying_face, write_frames


def lines_of(out):
    return [json.loads(line) for line in out.splitlines()]


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- what it prints


def test_a_line_of_json_has_the_schema(mien, paint, portrait):
    path = paint("team.png", portrait)
    code, out, _ = mien("predict", path, "--json")
    assert code == 0
    (line,) = lines_of(out)
    assert list(line) == ["schema", "source", "index", "seconds", "error", "faces"]
    assert (line["source"], line["index"], line["seconds"], line["error"]) == (str(path), 0, None, None)
    (face,) = line["faces"]
    assert list(face) == [
        "box", "landmarks", "confidence", "emotion", "probability", "unsure", "unsure_below", "turned_away", "reasons",
        "quality_issues", "track", "probabilities",
    ]  # fmt: skip
    left, top, right, bottom = face["box"]
    assert all(isinstance(edge, int) for edge in face["box"])
    assert left < 128 < right
    assert top < 120 < bottom
    assert 0 < face["confidence"] <= 1
    assert list(face["probabilities"]) == list(FER2013)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["probability"] == max(face["probabilities"].values()) == face["probabilities"]["happy"]
    assert (face["emotion"], face["unsure"], face["track"]) == ("happy", False, None)


def test_several_faces_are_several_entries_of_one_line(mien, paint, portrait):
    path = paint("pair.png", np.hstack([portrait, portrait[:, ::-1]]))
    (line,) = lines_of(mien("predict", path, "--json").out)
    assert sorted(face["box"][0] > 256 for face in line["faces"]) == [False, True]


def test_none_unreadable_and_missing_among_good(mien, paint, portrait, tmp_path):
    (tmp_path / "torn.jpg").write_bytes(paint("whole.jpg", portrait).read_bytes()[:2000])
    (tmp_path / "text.jpg").write_text("no image")
    paint("grey.png")
    names = ["whole.jpg", "torn.jpg", "gone.jpg", "grey.png", "text.jpg"]
    code, out, _ = mien("predict", *(tmp_path / name for name in names), "--json")
    assert code == 1
    lines = lines_of(out)
    assert [line["source"] for line in lines] == [str(tmp_path / name) for name in names]
    assert [len(line["faces"]) for line in lines] == [1, 0, 0, 0, 0]
    assert [line["error"] is None for line in lines] == [True, False, False, True, False]
    assert "no such file" in lines[2]["error"]


def test_the_table_names_every_image_and_what_it_shows(mien, paint, portrait, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # long paths would be cut to the terminal's width
    code, out, _ = mien("predict", paint("a.png", portrait).name, paint("b.png").name, "c.png")
    assert code == 1
    for image, parts in (("a.png", "happy"), ("b.png", "no face found"), ("c.png", "no such file")):
        assert any(image in line and parts in line for line in out.splitlines()), out


@pytest.mark.parametrize(("labels", "names"), [("fused", FER2013), ("fer2013", FER2013), ("ferplus", FERPLUS)], ids=str)
def test_label_sets(mien, paint, labels, names):
    (line,) = lines_of(mien("predict", paint("a.png"), "--json", "-d", "whole", "--head", labels).out)
    assert set(line["faces"][0]["probabilities"]) == set(names)


@pytest.mark.shared
@pytest.mark.parametrize(("name", "fewest", "most"), [("couple.jpg", 2, 3), ("no-faces.jpg", 0, 1)])
def test_groups(mien, shared, name, fewest, most):
    (line,) = lines_of(mien("predict", shared / "data" / "groups" / name, "--json").out)
    assert fewest <= len(line["faces"]) <= most


class InterruptedAtTheThird:
    """A recognizer that finds nothing, until somebody presses Ctrl-C."""

    def __init__(self):
        self.seen = 0

    def analyze(self, sources):
        for name, image in sources:
            self.seen += 1
            if self.seen == 3:
                raise KeyboardInterrupt
            yield Analysis(FrameResult(name), read(image))


def test_ctrl_c_leaves_the_table_so_far(paint, capsys):
    images = [paint(f"{number}.png") for number in range(4)]
    with pytest.raises(KeyboardInterrupt):
        FileReader(InterruptedAtTheThird(), Sampling(), table=True).read(images)
    out = capsys.readouterr().out
    assert [path.name in out for path in images] == [True, True, False, False]


# -- what it is given


def test_folders_are_searched_in_natural_order_without_what_is_hidden(mien, paint, tmp_path):
    wanted = ["photos/2.png", "photos/10.png", "photos/b/1.png", "photos/b/c/2.JPG"]
    for name in [*wanted, "photos/.hidden.png", "photos/.git/3.png"]:
        paint(name)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    lines = lines_of(mien("predict", tmp_path / "photos", "--json").out)
    assert [line["source"] for line in lines] == [str(tmp_path / name) for name in wanted]


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids these names")
@pytest.mark.parametrize(
    "name",
    [
        "[ab].png",
        "*.png",
        "a b.png",
        "two\nlines.png",
        "日本 é.png",
        "-x.png",
        "[red]x[bold].png",
        ":smile:.png",
        "x\x1b[2J.png",
    ],
)
def test_names_are_taken_literally(mien, paint, tmp_path, monkeypatch, name):
    for decoy in ("a.png", "b.png", name):
        paint(decoy)
    monkeypatch.chdir(tmp_path)
    code, out, _ = mien("predict", "--json", "--csv", "faces.csv", "--draw", "drawn", "--", name)
    assert code == 0
    assert [line["source"] for line in lines_of(out)] == [name]
    assert [row["source"] for row in rows_of(tmp_path / "faces.csv")] == [name]
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == [name]
    table = mien("predict", "--", name).out
    assert name.encode("unicode_escape").decode() in table or name in table
    assert "\x1b" not in table


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_of_undecodable_bytes(ran, paint, tmp_path):
    path = paint(b"caf\xe9.png")
    code, out, err = ran("predict", path, "--json", "--csv", "f.csv", "--parquet", "f.parquet", "--draw", "drawn")
    assert (code, "Traceback" in err) == (0, False)
    assert os.fsencode(json.loads(out)["source"]) == os.fsencode(path)
    assert rows_of(tmp_path / "f.csv")[0]["source"].endswith("caf\\udce9.png")
    assert pq.read_table(tmp_path / "f.parquet")["source"][0].as_py().endswith("caf\\udce9.png")
    assert [os.fsencode(path.name) for path in (tmp_path / "drawn").iterdir()] == [b"caf\xe9.png"]
    assert "caf\\udce9.png" in ran("predict", path).out


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--model", "nope"], ["compact", "'nope'"]),
        (["--model", "no/such.onnx"], ["no/such.onnx"]),
        (["--detector", "nope"], ["auto", "yunet", "haar", "whole", "'nope'"]),
        (["--detector", "yunet"], ["mien models pull yunet"]),
        (["--head", "nope"], ["fused", "fer2013", "ferplus", "'nope'"]),
        (["--csv", "first.jpg"], ["expected a file for results", "first.jpg"]),
        (["--parquet", "FIRST.JPEG"], ["expected a file for results", "FIRST.JPEG"]),
        (["--csv", "."], ["expected a file for results", "a folder"]),
        (["--bogus"], ["--bogus"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_names_the_choices(mien, paint, options, parts):
    code, out, err = mien("predict", paint("a.png"), *options)
    assert (code, out) == (2, "")
    assert all(part in err for part in parts), err


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("https://example.org/a.jpg", "the address https://example.org/a.jpg. Download it first"),
        ("http://example.org/a.mp4?x=1", "the address http://example.org/a.mp4?x=1. Download"),
        ("rtsp://camera.local/1", "the address rtsp://camera.local/1. Download"),
        ("s3://bucket/a.png", "the address s3://bucket/a.png. Download"),
        ("file:///home/me/a.png", "the address file:///home/me/a.png. Name the path alone"),
        ("0", "0, a camera. mien live --camera 1"),
        ("1", "1, a camera"),
        ("/dev/video7", "/dev/video7, a camera"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "explain"])
def test_what_is_no_file_is_refused_with_its_remedy(mien, paint, command, source, words):
    code, out, err = mien(command, paint("a.png"), source)
    assert (code, out, words in err) == (2, "", True), err


@pytest.mark.parametrize("name", ["0", "12", "-"])
def test_a_file_of_such_a_name_is_a_file(mien, paint, tmp_path, monkeypatch, name):
    paint(name)
    monkeypatch.chdir(tmp_path)
    (line,) = lines_of(mien("predict", "--json", name).out)
    assert (line["source"], line["error"]) == (name, None)


class Stdin(io.TextIOWrapper):
    """Bytes on stdin, from a pipe or a terminal."""

    def __init__(self, content, terminal=False):
        super().__init__(io.BytesIO(content))
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_an_image_on_stdin(mien, paint, portrait, tmp_path, monkeypatch, name):
    content = paint(name, portrait).read_bytes()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Stdin(content))
    code, out, err = mien("predict", "-", "--json", "--csv", "f.csv", "--draw", "drawn")
    assert (code, err) == (0, "written: f.csv\nwritten: drawn\n")
    (line,) = lines_of(out)
    assert (line["source"], len(line["faces"])) == ("-", 1)
    assert [row["source"] for row in rows_of(Path("f.csv"))] == ["-"]
    assert [path.name for path in Path("drawn").iterdir()] == ["stdin.png"]


def test_a_video_on_stdin(mien, paint, tmp_path, monkeypatch):
    content = write_frames(tmp_path / "a.avi", swaying_face(3), fps=10).read_bytes()
    monkeypatch.setattr(sys, "stdin", Stdin(content))
    code, out, err = mien("predict", paint("a.png"), "-", "--json")
    assert code == 0, err
    assert [(line["source"], line["seconds"]) for line in lines_of(out)[1:]] == [("-", 0), ("-", 0.1), ("-", 0.2)]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [(b"", 2, "received nothing"), (None, 2, "a terminal"), (b"no image" * 99, 1, "expected")],
    ids=["nothing", "terminal", "text"],
)
def test_nothing_of_use_on_stdin(mien, tmp_path, monkeypatch, content, code, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Stdin(content or b"", terminal=content is None))
    done = mien("predict", "-")
    assert (done.code, words in done.out + done.err) == (code, True)


def test_no_source_and_no_image_in_the_sources(mien, tmp_path):
    assert mien("predict").code == 2
    (tmp_path / "notes.txt").write_text("no image")
    code, _, err = mien("predict", tmp_path)
    assert code == 2
    assert str(tmp_path) in err
    assert ".jpg" in err


@pytest.mark.parametrize("name", ["compact", "yunet"])
def test_a_folder_in_the_way_does_not_hide_a_model_s_name(mien, paint, tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    _, _, err = mien("predict", paint("a.png"), "--model", name)
    assert "model.onnx" not in err


def test_a_run_directory_stands_for_its_model(mien, paint, shipped_model, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.onnx").write_bytes(shipped_model)
    monkeypatch.chdir(tmp_path)
    assert mien("predict", paint("a.png"), "--model", "run").code == 0


def test_a_run_that_is_not_done_has_no_model_yet(mien, paint, tmp_path):
    (tmp_path / "run").mkdir()
    code, _, err = mien("predict", paint("a.png"), "--model", tmp_path / "run")
    assert code == 2
    assert f"has no model.onnx: a run has one when it is done. Go on with: mien train --out {tmp_path}" in err


# -- what it writes


def test_all_outputs_at_once_agree(mien, paint, portrait, tmp_path):
    pair = np.hstack([portrait, portrait[:, ::-1]])
    sources = [paint("pair.png", pair), paint("grey.png"), tmp_path / "gone.png"]
    table, listing, drawn = tmp_path / "new" / "f.parquet", tmp_path / "new" / "f.csv", tmp_path / "drawn"
    code, out, _ = mien("predict", *sources, "--json", "--csv", listing, "--parquet", table, "--draw", drawn)
    assert code == 1
    lines, rows = lines_of(out), rows_of(listing)
    expected = [(line["source"], face["probability"]) for line in lines for face in line["faces"]]
    assert len(expected) == 2
    assert [(row["source"], float(row["probability"])) for row in rows if row["face"]] == expected
    assert [row["source"] for row in rows] == [str(sources[at]) for at in (0, 0, 1, 2)]
    assert rows[3]["error"] == lines[2]["error"]
    arrow = pq.read_table(table).to_pylist()
    assert [row["source"] for row in arrow] == [row["source"] for row in rows]
    assert [row["probability"] for row in arrow if row["face"] is not None] == [
        probability for _, probability in expected
    ]
    assert sorted(files_in(drawn)) == ["grey.png", "pair.png"]
    assert (read(drawn / "pair.png") != pair).any()
    assert (read(drawn / "grey.png") == 128).all()


def test_the_old_name_of_anonymize_works_and_says_so(mien, paint, portrait, tmp_path):
    path = paint("a.png", portrait)
    done = mien("predict", path, "--mask", tmp_path / "old")
    assert (done.code, "mien: --mask is now --anonymize" in done.err) == (0, True)
    done = mien("predict", path, f"--anonymize={tmp_path / 'new'}")
    assert (done.code, "is now" in done.err) == (0, False)
    assert files_in(tmp_path / "old") == files_in(tmp_path / "new")


def test_files_are_named_on_stderr(mien, paint, tmp_path, monkeypatch):
    paint("a.png")
    monkeypatch.chdir(tmp_path)
    done = mien("predict", "a.png", "--json", "--csv", "f.csv", "--draw", "drawn")
    assert (len(lines_of(done.out)), done.err) == (1, "written: f.csv\nwritten: drawn\n")


def test_drawings_keep_originals_and_share_no_name(mien, paint, tmp_path):
    for name in ("a/x.png", "b/x.png", "c/x.bmp", "d/y.JPG"):
        paint(f"photos/{name}")
    before = files_in(tmp_path / "photos")
    assert mien("predict", tmp_path / "photos", "--draw", tmp_path / "drawn").code == 0
    assert sorted(files_in(tmp_path / "drawn")) == ["x-2.png", "x-3.png", "x.png", "y.jpg"]
    assert files_in(tmp_path / "photos") == before


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        (["a.png"], "."),
        (["a.bmp", "a.png"], "."),
        (["x/a.png", "y/a.png"], "y"),
        (["x/a.png", "y/b.png"], "x/../y"),
        (["x/b.png", "y/b-2.png", "z/b.png"], "y"),
    ],
    ids=" ".join,
)
def test_no_drawing_takes_the_place_of_a_image(mien, paint, tmp_path, monkeypatch, names, folder):
    paths = [paint(name).relative_to(tmp_path) for name in names]
    before = files_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, out, err = mien("predict", *paths, "--draw", folder)
    assert (code, out) == (2, "")
    assert "other than that of the images" in err
    assert files_in(tmp_path) == before


def test_a_link_to_a_image_saves_it_from_a_drawing(paint, tmp_path):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "a.png"
    link.symlink_to(paint("photos/a.png"))
    with pytest.raises(UsageError, match="other than that of the images"):
        Drawings(tmp_path / "photos", [link])


def test_names_that_differ_in_case_are_numbered_too(tmp_path, portrait):
    images = [tmp_path / "x" / "A.png", tmp_path / "y" / "a.png"]
    drawings = Drawings(tmp_path / "drawn", images)
    names = [drawings.write(path, portrait, FrameResult("a")).name for path in images]
    assert names == ["A.png", "a-2.png"]


@pytest.mark.parametrize(("option", "name"), [("--draw", "drawn"), ("--csv", "f.csv"), ("--parquet", "f.parquet")])
def test_a_place_that_can_t_be_written_is_named(mien, paint, tmp_path, monkeypatch, option, name):
    path = paint("a.png")
    monkeypatch.chdir(tmp_path)
    code, _, err = mien("predict", path, option, f"a.png/{name}")
    assert code == 2
    assert "can't write a.png" in err
    assert files_in(tmp_path).keys() == {"a.png"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is closed to root, or by mode")
def test_a_closed_folder_is_named(mien, paint, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    code, _, err = mien("predict", paint("a.png"), "--csv", closed / "f.csv")
    assert code == 2
    assert str(closed) in err


def test_a_full_folder_of_images_and_only_faults_is_1(mien, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    code, out, _ = mien("predict", tmp_path, "--json")
    assert code == 1
    assert "empty file" in lines_of(out)[0]["error"]
