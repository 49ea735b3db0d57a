"""Images with boxed faces: read as they are labelled, or refused with the line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mien.data.scenes import MAX_IMAGE_PX, NO_FACES, BoxedFaces, concatenated, read
from mien.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

FACE = {"box": [10, 20, 30, 50], "landmarks": [15, 30, 25, 30, 20, 36, 16, 42, 24, 42], "score": 0.9}


def write(root: Path, *labels: object, size: tuple[int, int] = (64, 64)) -> Path:
    """A folder with a grey image a label."""
    root.mkdir(exist_ok=True)
    for number in range(len(labels)):
        Image.new("RGB", size, (128, 128, 128)).save(root / f"{number}.png")
    (root / "labels.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))
    return root


def label(number: int, *faces: dict[str, object]) -> dict[str, object]:
    return {"image": f"{number}.png", "faces": list(faces)}


def test_faces_are_read_as_labelled(tmp_path):
    hand = {key: value for key, value in FACE.items() if key != "score"}
    scenes = read(write(tmp_path / "set", label(0, FACE, hand), label(1)))
    frame, faces = scenes.images[0]
    assert (scenes.name, len(scenes), frame.shape) == ("set", 2, (64, 64, 3))
    np.testing.assert_array_equal(faces.boxes, [FACE["box"]] * 2)
    np.testing.assert_array_equal(faces.points[0], np.reshape(FACE["landmarks"], (5, 2)))
    np.testing.assert_allclose(faces.scores, [0.9, 1.0])
    np.testing.assert_array_equal(faces.sides, [30, 30])
    assert len(scenes.images[1][1]) == 0


def test_large_images_are_kept_small_and_their_faces_with_them(tmp_path):
    scenes = read(write(tmp_path / "set", label(0, FACE), size=(MAX_IMAGE_PX * 2, MAX_IMAGE_PX)))
    frame, faces = scenes.images[0]
    assert frame.shape == (MAX_IMAGE_PX // 2, MAX_IMAGE_PX, 3)
    np.testing.assert_allclose(faces.boxes, [[5, 10, 15, 25]])
    np.testing.assert_allclose(faces.points[0, 0], [7.5, 15])


def test_a_tenth_is_held_out_and_stays_the_same(tmp_path):
    scenes = read(write(tmp_path / "set", *(label(number) for number in range(60))))
    learnt, held = scenes.split()
    assert len(learnt) + len(held) == 60
    assert 1 <= len(held) <= 15
    assert {scene.name for scene in held.scenes}.isdisjoint(scene.name for scene in learnt.scenes)
    fewer = write(tmp_path / "set", *(label(number) for number in range(40)))
    assert {scene.name for scene in read(fewer).split()[1].scenes} <= {scene.name for scene in held.scenes}


def test_splits_that_are_named_are_kept(tmp_path):
    words = ["train"] * 6 + ["val_set"] * 3 + ["TEST"] * 2 + ["mine"]
    root = write(tmp_path / "set", *({**label(number), "split": word} for number, word in enumerate(words)))
    scenes = read(root)
    assert ["1 rows of the split 'mine'" in note for note in scenes.notes] == [True]
    training, validation = scenes.split()
    assert [scene.name for scene in training.scenes] == [f"{number}.png" for number in range(6)]
    assert [scene.name for scene in validation.scenes] == [f"{number}.png" for number in range(6, 9)]


@pytest.mark.parametrize("form", ["split", "Usage", "set", "{}/{}.png", "{}_{}.png"])
def test_the_images_of_a_test_are_found_by_any_key_or_by_their_paths(tmp_path, form):
    root, labels = write(tmp_path / "set", *map(label, range(60))), []
    for number in range(60):
        split = ("train", "test", "val")[number % 3]
        named = {"image": form.format(split, number)} if "{" in form else {form: split}
        labels.append({**label(number), **named})
        path = root / str(labels[-1]["image"])
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (9, 9)).save(path)
    (root / "labels.jsonl").write_text("".join(json.dumps(one) + "\n" for one in labels))
    training, validation = read(root).split()
    assert [scene.name for scene in training.scenes] == [str(one["image"]) for one in labels[::3]]
    assert [scene.name for scene in validation.scenes] == [str(one["image"]) for one in labels[2::3]]


@pytest.mark.parametrize("word", ["test", "val", "mine"])
def test_scenes_without_a_training_image_are_refused(tmp_path, word):
    root = write(tmp_path / "set", *({**label(number), "split": word} for number in range(30)))
    with pytest.raises(DatasetError, match="0 of the split Training among 30"):
        read(root).split()


def test_a_test_image_is_never_held_out_to_validate_on(tmp_path):
    words = ["training", "PrivateTest"] * 40
    root = write(tmp_path / "set", *({**label(number), "split": word} for number, word in enumerate(words)))
    training, validation = read(root).split()
    assert {int(scene.name.split(".")[0]) % 2 for scene in (*training.scenes, *validation.scenes)} == {0}
    assert len(training) + len(validation) == 40


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"image": "0.png", "faces": [], "split": ""}', "Usage"),
        ("{", "line 2"),
        ("[]", "line 2"),
        ('{"image": "0.png"}', "faces"),
        ('{"image": "gone.png", "faces": []}', "gone.png"),
        ('{"image": "../0.png", "faces": []}', r"\.\./0.png"),
        ('{"image": "/etc/passwd", "faces": []}', "/etc/passwd"),
        (json.dumps(label(0, {**FACE, "box": [10, 20, 10, 50]})), "a box is empty"),
        (json.dumps(label(0, {**FACE, "box": [10, 20]})), "line 2"),
        (json.dumps(label(0, {**FACE, "landmarks": [1]})), "line 2"),
        (json.dumps(label(0, {**FACE, "score": 2})), "not from 0 to 1"),
        (json.dumps(label(0, {**FACE, "box": [1, 2, float("nan"), 4]})), "not a number"),
    ],
)
def test_what_is_no_label_is_refused_by_its_line(tmp_path, line, words):
    root = write(tmp_path / "set", label(0))
    with (root / "labels.jsonl").open("a") as listing:
        listing.write(line + "\n")
    with pytest.raises(DatasetError, match=words):
        read(root)


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_folder_without_labels_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "labels.jsonl").write_text(content)
    with pytest.raises(DatasetError, match=r"labels\.jsonl"):
        read(tmp_path)


def test_too_few_images_to_hold_any_out(tmp_path):
    with pytest.raises(DatasetError, match="hold a tenth out"):
        read(write(tmp_path / "set", label(0))).split()


def faces(*rows: dict[str, object]) -> BoxedFaces:
    return BoxedFaces(
        np.array([row["box"] for row in rows], np.float32),
        np.array([row["landmarks"] for row in rows], np.float32).reshape(-1, 5, 2),
        np.array([row["score"] for row in rows], np.float32),
    )


def test_a_mirrored_face_has_its_right_eye_on_the_other_side():
    mirrored = faces(FACE).transformed(np.array([[-1.0, 0.0, 100.0], [0.0, 1.0, 0.0]]))
    np.testing.assert_allclose(mirrored.boxes, [[70, 20, 90, 50]])
    np.testing.assert_allclose(mirrored.points[0, :2], [[75, 30], [85, 30]])
    assert mirrored.points[0, 3, 0] < mirrored.points[0, 4, 0]


def test_a_quarter_turn_swaps_the_sides_of_a_box():
    turned = faces(FACE).transformed(np.array([[0.0, -1.0, 100.0], [1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(turned.boxes, [[50, 10, 80, 30]], atol=1e-5)


def test_an_eighth_turn_makes_the_box_of_the_turned_ellipse():
    round_face = faces({**FACE, "box": [10, 10, 30, 30]})
    half = np.sqrt(0.5)
    turned = round_face.transformed(np.array([[half, -half, 0.0], [half, half, 0.0]]))
    np.testing.assert_allclose(turned.sides, [20], rtol=1e-5)


def test_faces_of_several_in_one():
    assert len(concatenated([])) == 0
    assert len(concatenated([NO_FACES, faces(FACE), faces(FACE, FACE)])) == 3


def test_unequal_counts_are_refused():
    with pytest.raises(DatasetError, match="as many faces"):
        BoxedFaces(np.zeros((2, 4), np.float32), np.zeros((1, 5, 2), np.float32), np.zeros(1, np.float32))
