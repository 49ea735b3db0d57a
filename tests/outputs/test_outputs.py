"""The one schema: JSON lines, CSV, Parquet, and the table for terminals."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from mien.emotions import FER2013, Emotion
from mien.errors import UsageError
from mien.outputs import (
    columns,
    from_dict,
    open_csv,
    rows,
    table,
    to_arrow,
    to_dict,
    to_json_line,
    to_pandas,
    write_csv,
    write_parquet,
)
from mien.structures import Box, Face, FrameResult, Landmarks, Point, Prediction

LABELS = ("sad", "happy", "neutral")
UNCERTAIN = (1 / 3, 1 / 3, 1 / 3)
THIRD = str(1 / 3)
BOX = Box(1.4, 2.6, 30.5, 41.9)
TURNED_LANDMARKS = Landmarks(Point(5, 10), Point(15, 10), Point(14.123, 15), Point(6, 20), Point(14, 20))
UNDECODABLE = os.fsdecode(b"caf\xe9.jpg")


def prediction(
    probabilities=(0.125, 0.75, 0.125), box=BOX, track=None, unsure_below=0.4, landmarks=None, quality_issues=()
):
    return Prediction(Face(box, landmarks, confidence=0.5), LABELS, probabilities, unsure_below, track, quality_issues)


RESULTS = [
    FrameResult("team.jpg", predictions=(prediction(),)),
    FrameResult(
        "clip.mp4", 12, 0.4, (prediction(track=3), prediction(UNCERTAIN, track=4, quality_issues=("small", "dark")))
    ),
    FrameResult("nobody.png"),
    FrameResult("torn.jpg", error="expected an image; received 3 bytes"),
    FrameResult('odd, "name"\r[bold]x.jpg', predictions=(prediction(box=Box(-20.5, -3, -20.2, 900)),)),
    FrameResult("=1+1.jpg", predictions=(prediction(),)),
    FrameResult("turned.jpg", predictions=(prediction(landmarks=TURNED_LANDMARKS),)),
]
WARNED = FrameResult("large.jpg", predictions=(prediction(), prediction()), warnings=("read at 1/2", "no [end] mark"))


def interrupted(results, error):
    yield from results
    raise error


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def text_of(value):
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def shown(results, width=110):
    console = Console(file=io.StringIO(), width=width)
    console.print(table(results))
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (
            RESULTS[0],
            (
                '{"schema": 2, "source": "team.jpg", "index": 0, "seconds": null, "error": null, '
                '"warnings": [], "faces": ['
                '{"box": [1, 3, 30, 42], '
                '"landmarks": null, "confidence": 0.5, "emotion": "happy", "probability": 0.75, "unsure": false, '
                '"unsure_below": 0.4, '
                '"turned_away": false, "reasons": [], "quality_issues": [], "track": null, '
                '"probabilities": {"sad": 0.125, "happy": 0.75, "neutral": 0.125}}]}'
            ),
        ),
        (
            RESULTS[1],
            '{"schema": 2, "source": "clip.mp4", "index": 12, "seconds": 0.4, "error": null, '
            '"warnings": [], "faces": ['
            '{"box": [1, 3, 30, 42], '
            '"landmarks": null, "confidence": 0.5, "emotion": "happy", "probability": 0.75, "unsure": false, '
            '"unsure_below": 0.4, '
            '"turned_away": false, "reasons": [], "quality_issues": [], "track": 3, '
            '"probabilities": {"sad": 0.125, "happy": 0.75, "neutral": 0.125}}, {"box": [1, 3, 30, 42], '
            '"landmarks": null, "confidence": 0.5, "emotion": "sad", "probability": THIRD, "unsure": true, '
            '"unsure_below": 0.4, '
            '"turned_away": false, "reasons": ["small", "dark"], "quality_issues": ["small", "dark"], "track": 4, '
            '"probabilities": {"sad": THIRD, "happy": THIRD, "neutral": THIRD}}]}'.replace("THIRD", THIRD),
        ),
        (
            RESULTS[-1],
            (
                '{"schema": 2, "source": "turned.jpg", "index": 0, "seconds": null, "error": null, '
                '"warnings": [], "faces": ['
                '{"box": [1, 3, 30, 42], '
                '"landmarks": [[5.0, 10.0], [15.0, 10.0], [14.12, 15.0], [6.0, 20.0], [14.0, 20.0]], '
                '"confidence": 0.5, "emotion": "happy", "probability": 0.75, "unsure": true, "unsure_below": 0.4, '
                '"turned_away": true, "reasons": ["turned away"], "quality_issues": [], "track": null, '
                '"probabilities": {"sad": 0.125, "happy": 0.75, "neutral": 0.125}}]}'
            ),
        ),
        (
            RESULTS[2],
            (
                '{"schema": 2, "source": "nobody.png", "index": 0, "seconds": null, "error": null, '
                '"warnings": [], "faces": []}'
            ),
        ),
        (
            RESULTS[3],
            (
                '{"schema": 2, "source": "torn.jpg", "index": 0, "seconds": null, '
                '"error": "expected an image; received 3 bytes", "warnings": [], "faces": []}'
            ),
        ),
        (
            FrameResult("日本\n.jpg", seconds=float("nan")),
            (
                '{"schema": 2, "source": "日本\\n.jpg", "index": 0, "seconds": null, "error": null, '
                '"warnings": [], "faces": []}'
            ),
        ),
        (
            FrameResult(UNDECODABLE),
            (
                '{"schema": 2, "source": "caf\\udce9.jpg", "index": 0, "seconds": null, "error": null, '
                '"warnings": [], "faces": []}'
            ),
        ),
        (
            FrameResult("a.jpg", warnings=("no end mark", "10 bits")),
            (
                '{"schema": 2, "source": "a.jpg", "index": 0, "seconds": null, "error": null, '
                '"warnings": ["no end mark", "10 bits"], "faces": []}'
            ),
        ),
    ],
    ids=["face", "two-tracks", "turned", "no-face", "error", "unicode-and-nan", "undecodable-name", "warnings"],
)
def test_a_json_line_is_exactly_the_schema(result, line):
    assert to_json_line(result) == line
    line.encode()


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.source[:6])
def test_a_result_comes_back_from_its_json_line(result):
    back = from_dict(json.loads(to_json_line(result)))
    assert to_dict(back) == to_dict(result)
    assert [one.probabilities for one in back.predictions] == [one.probabilities for one in result.predictions]
    assert [one.unsure for one in back.predictions] == [one.unsure for one in result.predictions]
    assert [one.unsure_below for one in back.predictions] == [one.unsure_below for one in result.predictions]
    assert [one.quality_issues for one in back.predictions] == [one.quality_issues for one in result.predictions]


def test_quality_issues_of_a_confident_prediction_come_back():
    result = FrameResult("a.jpg", predictions=(prediction(quality_issues=("small",)),))
    (back,) = from_dict(json.loads(to_json_line(result))).predictions
    assert (back.unsure, back.reasons, back.quality_issues) == (False, (), ("small",))


@pytest.mark.parametrize(("unsure", "threshold"), [(True, 1.0), (False, 0.0)])
def test_schema_1_is_read_with_the_threshold_that_gives_its_outcome(unsure, threshold):
    values = to_dict(RESULTS[0]) | {"schema": 1}
    (face,) = values["faces"]
    face |= {"unsure": unsure, "reasons": ["ambiguous", "dark"] if unsure else []}
    del face["unsure_below"], face["quality_issues"]
    (back,) = from_dict(values).predictions
    assert (back.unsure, back.unsure_below) == (unsure, threshold)
    assert back.quality_issues == (("dark",) if unsure else ())


def test_warnings_come_back_and_files_without_them_are_read():
    values = to_dict(WARNED)
    assert from_dict(values).warnings == WARNED.warnings
    del values["warnings"]
    assert from_dict(values).warnings == ()


def test_an_undecodable_name_comes_back_exactly():
    assert from_dict(json.loads(to_json_line(FrameResult(UNDECODABLE)))).source == UNDECODABLE


def test_numpy_numbers_become_plain_ones():
    values = tuple(np.array([0.25, 0.5, 0.25], np.float32))
    assert '"probabilities": {"sad": 0.25, "happy": 0.5, "neutral": 0.25}' in to_json_line(
        FrameResult("a.jpg", predictions=(prediction(values),))
    )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"source": "a"},
        [],
        {**to_dict(RESULTS[0]), "faces": [1]},
        {**to_dict(RESULTS[0]), "faces": None},
        {**to_dict(RESULTS[0]), "warnings": "dark"},
        {**to_dict(RESULTS[0]), "warnings": [1]},
        *(
            {**to_dict(RESULTS[-1]), "faces": [{**to_dict(RESULTS[-1])["faces"][0], "landmarks": wrong}]}
            for wrong in ([[1, 2, 3]] * 5, "abcde", [["a", "b"]] * 5, [[None, None]] * 5, [[1, 2]])
        ),
        *(
            {**to_dict(RESULTS[0]), "faces": [{**to_dict(RESULTS[0])["faces"][0], name: wrong}]}
            for name, wrong in (("unsure_below", None), ("unsure_below", "x"), ("quality_issues", "dark"))
        ),
    ],
)
def test_what_is_no_result_is_refused(values):
    with pytest.raises(UsageError, match="expected a result"):
        from_dict(values)


def test_a_result_of_a_newer_mien_is_refused():
    with pytest.raises(UsageError, match="expected schema 2 or older; received 3, of a newer mien"):
        from_dict(to_dict(RESULTS[0]) | {"schema": 3})


@pytest.mark.parametrize("results", [RESULTS, RESULTS[2:4], []], ids=["all", "no faces", "none"])
def test_arrow_and_pandas_hold_what_parquet_does(tmp_path, results):
    pytest.importorskip("pandas", reason="needs pandas: pip install 'mien[pandas]'")
    write_parquet(results, tmp_path / "out.parquet", LABELS)
    stored = pq.read_table(tmp_path / "out.parquet")
    arrow = to_arrow(results, LABELS)
    assert arrow.equals(stored)
    assert arrow.schema.metadata[b"mien.schema"] == b"2"
    frame = to_pandas(results, LABELS)
    assert list(frame.columns) == list(columns(LABELS))
    assert frame["emotion"].dropna().tolist() == [face.emotion for one in results for face in one.predictions]


def test_arrow_refuses_results_of_another_model():
    with pytest.raises(UsageError, match="which fix the columns"):
        to_arrow(RESULTS, FER2013)


def test_columns_follow_the_labels():
    assert " ".join(columns(FER2013)) == (
        "source index seconds face left top right bottom confidence emotion probability unsure unsure_below "
        "turned_away reasons quality_issues track p_angry p_disgust p_fear p_happy p_sad p_surprise p_neutral "
        "error schema"
    )


def test_csv_holds_every_source_and_face(tmp_path):
    write_csv(RESULTS, tmp_path / "out.csv", LABELS)
    read = read_csv(tmp_path / "out.csv")
    assert [row["source"] for row in read] == [
        "team.jpg", "clip.mp4", "clip.mp4", "nobody.png", "torn.jpg", 'odd, "name"\r[bold]x.jpg', "=1+1.jpg",
        "turned.jpg",
    ]  # fmt: skip
    assert read[0] == {
        "source": "team.jpg", "index": "0", "seconds": "", "face": "0", "left": "1", "top": "3", "right": "30",
        "bottom": "42", "confidence": "0.5", "emotion": "happy", "probability": "0.75", "unsure": "false",
        "unsure_below": "0.4", "turned_away": "false", "reasons": "", "quality_issues": "", "track": "",
        "p_sad": "0.125", "p_happy": "0.75", "p_neutral": "0.125", "error": "", "schema": "2",
    }  # fmt: skip
    assert (read[2]["face"], read[2]["track"], read[2]["unsure"]) == ("1", "4", "true")
    assert read[2]["reasons"] == read[2]["quality_issues"] == "small; dark"
    assert float(read[2]["p_sad"]) == 1 / 3
    assert {key for key, value in read[3].items() if value} == {"source", "index", "schema"}
    assert {key for key, value in read[4].items() if value} == {"source", "index", "error", "schema"}
    assert (read[5]["left"], read[5]["right"]) == ("-20", "-19")


def test_parquet_holds_the_same_as_csv(tmp_path):
    write_csv(RESULTS, tmp_path / "out.csv", LABELS)
    write_parquet(RESULTS, tmp_path / "out.parquet", LABELS)
    stored = pq.read_table(tmp_path / "out.parquet")
    as_text = [{key: text_of(value) for key, value in row.items()} for row in stored.to_pylist()]
    assert as_text == read_csv(tmp_path / "out.csv")
    assert stored.schema.metadata[b"mien.schema"] == b"2"
    assert {name: str(stored.schema.field(name).type) for name in ("seconds", "face", "unsure", "p_sad", "error")} == {
        "seconds": "double", "face": "int32", "unsure": "bool", "p_sad": "double", "error": "string",
    }  # fmt: skip


def test_parquet_is_written_in_groups_while_results_come(tmp_path):
    many = (FrameResult("clip.mp4", index) for index in range(20_000))
    write_parquet(many, tmp_path / "out.parquet", LABELS)
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert file.num_row_groups == 3
    assert file.read(["index"])["index"].to_pylist() == list(range(20_000))


@pytest.mark.parametrize(
    ("write", "read"), [(write_csv, read_csv), (write_parquet, lambda p: pq.read_table(p).to_pylist())]
)
class TestInterrupted:
    def test_ctrl_c_keeps_what_was_written(self, tmp_path, write, read):
        with pytest.raises(KeyboardInterrupt):
            write(interrupted(RESULTS[:2], KeyboardInterrupt), tmp_path / "out", LABELS)
        assert [row["source"] for row in read(tmp_path / "out")] == ["team.jpg", "clip.mp4", "clip.mp4"]
        assert names_in(tmp_path) == ["out"]

    def test_ctrl_c_before_the_first_result_leaves_a_valid_empty_file(self, tmp_path, write, read):
        with pytest.raises(KeyboardInterrupt):
            write(interrupted([], KeyboardInterrupt), tmp_path / "out", LABELS)
        assert read(tmp_path / "out") == []

    def test_an_error_keeps_the_old_file(self, tmp_path, write, read):
        (tmp_path / "out").write_text("old")
        with pytest.raises(OSError, match="disk"):
            write(interrupted(RESULTS[:2], OSError("disk")), tmp_path / "out", LABELS)
        assert (tmp_path / "out").read_text() == "old"
        assert names_in(tmp_path) == ["out"]

    def test_other_labels_are_refused(self, tmp_path, write, read):
        with pytest.raises(UsageError, match=r"expected predictions with the labels \['happy', 'cat'\]"):
            write(RESULTS, tmp_path / "out", ("happy", "cat"))
        assert names_in(tmp_path) == []

    def test_an_undecodable_name_is_escaped(self, tmp_path, write, read):
        write([FrameResult(UNDECODABLE, error=UNDECODABLE)], tmp_path / "out", LABELS)
        (row,) = read(tmp_path / "out")
        assert (row["source"], row["error"]) == (r"caf\udce9.jpg", r"caf\udce9.jpg")


def test_csv_takes_results_one_by_one(tmp_path):
    with open_csv(tmp_path / "new" / "out.csv", LABELS) as writer:
        assert not (tmp_path / "new" / "out.csv").exists()
        for result in RESULTS:
            writer.write(result)
    assert len(read_csv(tmp_path / "new" / "out.csv")) == 8


def test_probabilities_follow_the_given_order_of_labels():
    (row,) = rows(RESULTS[0], ("happy", "neutral", "sad"))
    assert row[-5:] == (0.75, 0.125, 0.125, None, 2)


def test_a_missing_pyarrow_is_named(tmp_path):
    code = (
        "import sys, pathlib; sys.modules['pyarrow'] = None\n"
        "from mien.errors import MissingExtraError\n"
        "from mien.outputs import write_parquet\n"
        "try: write_parquet([], pathlib.Path(sys.argv[1]), ('happy',))\n"
        "except MissingExtraError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "x"], capture_output=True, text=True, check=True)
    assert run.stdout == "a Parquet or Arrow table needs pyarrow, which is not installed: pip install 'pyarrow>=17'\n"
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("result", "texts"),
    [
        (RESULTS[0], ["team.jpg", "1", "😄 happy", "━━━━━━━━", "75%", "12%"]),
        (RESULTS[1], ["clip.mp4 @ 0.40 s", "2", "😢 sad?", "33%", "neutral 33%, small, dark"]),
        (RESULTS[2], ["nobody.png", "no face found"]),
        (RESULTS[3], ["torn.jpg", "expected an image"]),
        (RESULTS[4], ['odd, "name"\\r[bold]x.jpg']),
        (WARNED, ["large.jpg", "warning: read at 1/2", "warning: no [end] mark"]),
        (FrameResult(UNDECODABLE), ["caf\\udce9.jpg"]),
        (FrameResult("\x1b[31mred.jpg"), ["\\x1b[31mred.jpg"]),
        (FrameResult("[/] [link=x]a[/link].jpg"), ["[/] [link=x]a[/link].jpg"]),
    ],
    ids=["face", "video", "no-face", "error", "line-break", "warnings", "undecodable", "escape-code", "markup"],
)
def test_a_table_shows(result, texts):
    text = shown([result])
    assert [part for part in texts if part not in text] == []
    text.encode()


def test_a_table_of_one_class_has_no_second_best():
    alone = Prediction(Face(Box(0, 0, 9, 9)), (Emotion.HAPPY,), (1.0,))
    assert "100%" in shown([FrameResult("a.jpg", predictions=(alone,))])
