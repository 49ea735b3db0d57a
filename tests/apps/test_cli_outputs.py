"""Where commands write: never onto an input, a model, or a file of another kind; through links, pipes and devices."""

from __future__ import annotations

import csv
import io
import os
import shutil
import stat
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mien.apps.cli.drawings import is_drawing, without_drawings
from mien.apps.cli.output_guard import KINDS, Output, check_folder, check_outputs
from mien.errors import UsageError
from videos import swaying_face, write_frames

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
TIMELINES = ("--srt", "--vtt", "--page", "--elan")


@pytest.fixture
def place(tmp_path, monkeypatch, shipped_model, paint):
    """A folder with a video, photos, a model and what else a command could destroy; the working directory."""
    monkeypatch.chdir(tmp_path)
    write_frames(tmp_path / "a.avi", swaying_face(2), fps=10)
    shutil.copy("a.avi", "b.mp4")
    shutil.copy("a.avi", "cam")
    (tmp_path / "m.onnx").write_bytes(shipped_model)
    for name in ("photo.png", "noend", "album/one.png"):
        paint(name)
    (tmp_path / "song.mp3").write_bytes(b"ID3\x03\0\0")
    (tmp_path / "notes.docx").write_bytes(b"PK\x03\x04")
    return tmp_path


def contents(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "command",
    [
        *(f"a.avi {option} b.mp4" for option in ("--csv", "--parquet", *TIMELINES)),
        *(f"b.mp4 {option} b.mp4" for option in ("--csv", "--parquet", *TIMELINES)),
        *(f"a.avi {option} noend" for option in ("--csv", "--parquet", *TIMELINES)),
        "b.mp4 a.avi --csv cam",
        "photo.png --csv ./album/../photo.png",
        "photo.png --csv PHOTO.PNG",
        "photo.png --csv m.onnx --model m.onnx",
        "photo.png --csv m.onnx",
        "photo.png --csv song.mp3",
        "photo.png --csv notes.docx",
        "photo.png --csv new.webm",
        "photo.png --csv new.HEIC",
        "photo.png --csv new.csv.gz",
        "photo.png --csv new.parquet",
        "photo.png --parquet new.csv",
        "a.avi --srt new.vtt",
        "a.avi --page new.srt",
        "photo.png --csv new.csv --parquet new.csv",
        "photo.png --csv new --parquet New",
        "a.avi --srt sub/../new --vtt new",
        "photo.png --csv -",
        "photo.png --csv album",
        "photo.png --draw .",
        "album --draw album",
        "album --draw drawn --anonymize drawn",
        "photo.png --anonymize . --avatar emoji",
        "photo.png --draw m.onnx",
        "album --out photo.png",
        "album --out m.onnx",
    ],
)
def test_predict_refuses_to_replace_anything_else(mien, place, command):
    before = contents(place)
    done = mien("predict", *command.split())
    assert (done.code, done.out) == (2, "")
    assert "expected" in done.err
    assert contents(place) == before


@POSIX
@pytest.mark.parametrize("option", ["--csv", "--parquet", *TIMELINES])
@pytest.mark.parametrize("link", ["symbolic", "to a link", "hard"])
def test_an_input_is_found_under_its_other_names(mien, place, option, link):
    name = f"new.{'html' if option == '--page' else 'eaf' if option == '--elan' else option[2:]}"
    if link == "hard":
        (place / name).hardlink_to("b.mp4")
    else:
        (place / "hop").symlink_to("b.mp4")
        (place / name).symlink_to("hop" if link == "to a link" else "b.mp4")
    before = contents(place)
    done = mien("predict", "b.mp4", option, name)
    assert (done.code, "one of the inputs" in done.err) == (2, True)
    assert contents(place) == before


@pytest.mark.parametrize("link", [False, True], ids=["file", "link"])
def test_a_model_in_use_is_found_under_a_fitting_name(mien, place, link):
    for name in ("model.csv", "detector.csv"):
        shutil.copy("m.onnx", name)
    target = "link.csv" if link else "model.csv"
    if link:
        Path(target).symlink_to("model.csv")
    before = contents(place)
    assert mien("predict", "photo.png", "--model", "model.csv", "--csv", target).code == 2
    assert mien("predict", "photo.png", "--csv", "detector.csv").code == 2  # by its content
    assert contents(place) == before


def test_a_run_directory_is_guarded(mien, place):
    Path("run").mkdir()
    shutil.copy("m.onnx", "run/model.onnx")
    before = contents(place)
    done = mien("predict", "photo.png", "--model", "run", "--csv", "run/model.onnx")
    assert (done.code, "one of the inputs" in done.err) == (2, True)
    assert contents(place) == before


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--csv", "f.csv"),
        ("--csv", "F.CSV"),
        ("--csv", "f.txt"),
        ("--csv", "plain"),
        ("--csv", "f.csv.tmp"),
        ("--csv", "f.2026-11-21"),
        ("--csv", "deep/er/f.csv"),
        ("--parquet", "f.pq"),
        ("--srt", "f.srt"),
        ("--page", "f.htm"),
        ("--elan", "f.eaf"),
    ],
)
def test_a_fitting_name_is_written_and_written_again(mien, place, option, name):
    for _ in range(2):
        done = mien("predict", "a.avi", option, name)
        assert (done.code, f"written: {Path(name)}" in done.err) == (0, True), done.err
    assert Path(name).stat().st_size


@pytest.mark.parametrize(
    "command",
    [
        "evaluate --data report/report.html --out report",
        "explain photo.png --out m.onnx",
        "explain album/index.png report/page.html --out report",
        "data info album --out album/x",
        "data audit audit.json --out .",
        "data crop classes --out classes",
        "data crop classes --out classes/crops",
        "train --data faces.csv --out m.onnx",
        "train --data faces.csv --out run --teacher run/model.onnx",
        "train --data faces.csv --out run --weights run/model.onnx",
        "train --data faces.csv --out run --config run/config.toml",
        "soft-labels run --out faces.csv",
        "runs run --csv run/config.toml",
        "bench detectors album --plot m.onnx",
        "bench detectors album --plot album/one.png",
        "live --out m.onnx",
        "demo --out m.onnx",
    ],
)
def test_other_commands_refuse_too(mien, place, paint, command):
    for name in ("report/report.html", "report/page.html", "audit.json", "faces.csv"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text("mine")
    Path("run").mkdir()
    shutil.copy("m.onnx", "run/model.onnx")
    Path("run/config.toml").write_text('network = "compact"\n')
    paint("classes/happy/1.png")
    paint("album/x/1.png")
    before = contents(place)
    done = mien(*command.split())
    assert (done.code, done.out) == (2, "")
    assert "expected" in done.err
    assert contents(place) == before


def test_an_explanation_next_to_its_image_leaves_it(mien, place, paint, portrait):
    path = paint("face.png", portrait)
    before = path.read_bytes()
    assert mien("explain", path, "--out", ".").code == 0
    assert path.read_bytes() == before
    assert Path("face.html").is_file()
    assert Path("face-2.png").is_file()


@POSIX
@pytest.mark.parametrize("command", ["explain face.png --out why", "data info faces.csv --out sheets"])
def test_a_link_among_the_outputs_to_an_input_leaves_it(mien, place, paint, portrait, command):
    paint("face.png", portrait)
    Path("faces.csv").write_text(f"emotion,pixels\n3,{' '.join('7' * 64)}\n")
    for link, target in (("why/face.png", "face.png"), ("sheets/all.png", "faces.csv")):
        (place / link).parent.mkdir()
        (place / link).symlink_to(place / target)
    before = {name: Path(name).read_bytes() for name in ("face.png", "faces.csv")}
    mien(*command.split())
    assert {name: Path(name).read_bytes() for name in before} == before


@pytest.mark.parametrize("name", ["photo.png", "photo.xlsx", "photo"])
def test_a_batch_says_which_tables_it_writes(mien, place, name):
    done = mien("predict", "photo.png", "--out", name)
    assert (done.code, done.out) == (2, "")
    assert "expected a table as .parquet, .csv, .jsonl; received photo" in done.err


def test_names_are_compared_without_their_case(tmp_path):
    with pytest.raises(UsageError, match="one of the inputs"):
        check_outputs([Output("--csv", tmp_path / "FACES.csv", KINDS["csv"])], [tmp_path / "faces.CSV"])
    with pytest.raises(UsageError, match="--a writes too"):
        check_outputs([Output("--a", tmp_path / "caf\u00e9"), Output("--b", tmp_path / "CAFE\u0301")], [])


@pytest.mark.parametrize(
    ("kind", "content", "good"),
    [
        ("csv", b"", True),
        ("csv", "é,日本\r\n".encode(), True),
        ("csv", "é,ß".encode("latin-1"), True),
        ("csv", b"\x89PNG\r\n\x1a\n", False),
        ("csv", b"\x08\x08\x12\x07pytorch", False),
        ("csv", b"PAR1" + bytes(9), False),
        ("parquet", b"PAR1" + bytes(9), True),
        ("parquet", b"a,b\n", False),
        ("png", b"\x89PNG\r\n\x1a\n", True),
        ("npz", b"PK\x03\x04", True),
        ("npz", b"\x89HDF", False),
    ],
)
def test_an_existing_file_is_of_the_kind_of_its_content(tmp_path, kind, content, good):
    path = tmp_path / "plain"
    path.write_bytes(content)
    if good:
        check_outputs([Output("--out", path, KINDS[kind])], [])
    else:
        with pytest.raises(UsageError, match="another kind, by its content"):
            check_outputs([Output("--out", path, KINDS[kind])], [])


def test_a_folder_of_results_is_no_class_of_the_data(tmp_path, paint):
    paint("faces/happy/1.png")
    (tmp_path / "pixels").mkdir()
    (tmp_path / "pixels" / "fer2013.csv").write_text("emotion,pixels\n")
    check_folder("--out", tmp_path / "sheets", tmp_path / "faces")
    check_folder("--out", tmp_path / "pixels" / "sheets", tmp_path / "pixels")
    for name in ("faces", "faces/sheets", "faces/happy"):
        with pytest.raises(UsageError, match="outside of the images"):
            check_folder("--out", tmp_path / name, tmp_path / "faces")


# -- drawings of an earlier run


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_drawings_of_an_earlier_run_are_no_inputs(mien, place, paint, portrait, suffix):
    paint(f"photos/face.{suffix}", portrait)
    first = mien("predict", "photos", "--json", "--draw", "photos/out", "--anonymize", "photos/anonymous")
    drawn = contents(place / "photos" / "out")
    second = mien("predict", "photos", "--json", "--draw", "photos/out", "--anonymize", "photos/anonymous")
    assert (first.code, second.code) == (0, 0), second.err
    assert second.out == first.out
    assert "2 files skipped: annotated by an earlier run" in second.err
    assert contents(place / "photos" / "out") == drawn


def test_a_photo_among_drawings_is_an_input_and_stays(mien, place, paint):
    paint("photos/a.png")
    assert mien("predict", "photos", "--draw", "photos/out").code == 0
    paint("photos/out/mine.png")
    before = contents(place)
    done = mien("predict", "photos", "--draw", "photos/out")
    assert (done.code, "mine.png would take the place of one of the inputs" in done.err) == (2, True)
    assert contents(place) == before


def test_a_drawn_video_is_drawn_again(mien, place):
    for _ in range(2):
        assert mien("predict", "a.avi", "--draw", "drawn").code == 0
    assert [path.name for path in Path("drawn").iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("suffix", ["mp4", "m4v", "mov", "mkv", "png", "jpg", "jpeg", "webp"])
@pytest.mark.parametrize("option", ["--draw", "--anonymize"])
def test_every_kind_of_drawing_is_marked(mien, place, paint, suffix, option):
    source = shutil.copy("a.avi", f"x.{suffix}") if suffix in ("mp4", "m4v", "mov", "mkv") else paint(f"x.{suffix}")
    assert mien("predict", source, option, "drawn").code == 0
    (drawing,) = Path("drawn").iterdir()
    assert (drawing.name, is_drawing(drawing), is_drawing(Path(source))) == (f"x.{suffix}", True, False)
    assert without_drawings([drawing, Path(source)], [Path()], [Path("drawn")]) == ([Path(source)], 1)
    assert without_drawings([drawing], [drawing], [Path("drawn")]) == ([drawing], 0)
    assert without_drawings([drawing], [Path("drawn")], [Path("drawn")]) == ([drawing], 0)


def test_the_table_of_an_earlier_batch_is_no_input(mien, place):
    for _ in range(2):
        done = mien("predict", "album", "--out", "album/faces.parquet", "--processes", 1, "-d", "whole")
        assert done.code == 0, done.err
    assert pq.read_table("album/faces.parquet").num_rows == 1


# -- links, pipes and devices


@POSIX
@pytest.mark.parametrize("option", ["--csv", "--parquet", "--srt", "--page"])
def test_a_pipe_gets_the_whole_file(mien, place, option):
    os.mkfifo("pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append(Path("pipe").read_bytes()))
    reader.start()
    done = mien("predict", "a.avi", option, "pipe")
    reader.join(timeout=60)
    assert done.code == 0, done.err
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
    (content,) = received
    mien("predict", "a.avi", option, "plain")
    assert content == Path("plain").read_bytes()


@POSIX
def test_a_link_to_a_private_file_keeps_both(mien, place):
    Path("deep").mkdir()
    Path("deep/real.csv").write_text("old")
    Path("deep/real.csv").chmod(0o600)
    Path("link.csv").symlink_to("deep/real.csv")
    assert mien("predict", "photo.png", "--csv", "link.csv").code == 0
    assert Path("link.csv").is_symlink()
    assert stat.S_IMODE(Path("deep/real.csv").stat().st_mode) == 0o600
    assert Path("deep/real.csv").read_text().startswith("source,")


@POSIX
@pytest.mark.parametrize(("option", "rows"), [("--csv", 3), ("--parquet", 2)])
def test_stdout_as_a_file_holds_the_file_alone(process, place, option, rows):
    """By a link of the test's own, as /dev/stdout is one: a failure must not replace the machine's."""
    Path("stdout").symlink_to("/dev/fd/1")
    with process("predict", "a.avi", option, "stdout", "-d", "whole") as started:
        out, err = started.communicate(timeout=120)
    assert started.returncode == 0, err
    if option == "--csv":
        assert len(list(csv.reader(io.StringIO(out.decode(), newline="")))) == rows
    else:
        assert pq.read_table(io.BytesIO(out)).num_rows == rows


@POSIX
def test_a_device_stays_a_device(mien, place):
    """A link to it, so that a failure replaces the link and not the machine's own."""
    Path("null").symlink_to(os.devnull)
    assert mien("predict", "photo.png", "--csv", "null", "--parquet", "null").code == 0
    assert Path("null").is_symlink()
    assert stat.S_ISCHR(Path("null").stat().st_mode)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /dev/full")
def test_a_full_disk_is_an_error_without_a_traceback(mien, place):
    Path("full").symlink_to("/dev/full")
    done = mien("predict", "photo.png", "--csv", "full")
    assert (done.code, "No space left" in done.err) == (2, True)


def test_the_mark_of_drawings_is_in_their_metadata(mien, place, paint):
    from PIL import ExifTags, Image

    paint("x.jpg", np.full((64, 64, 3), 128, np.uint8))
    mien("predict", "x.jpg", "--draw", "drawn")
    with Image.open("drawn/x.jpg") as image:
        assert image.getexif()[ExifTags.Base.Software] == "annotated by mien"
