from __future__ import annotations

import os

import numpy as np
import pytest

from mien.data import folders
from mien.emotions import FER2013
from mien.errors import DatasetError
from mien.media.image import write as write_image


def drawn(height: int = 48, width: int = 48, seed: int = 0, colours: int = 1) -> np.ndarray:
    """A frame of noise: grey where ``colours`` is 1."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, colours), np.uint8)
    return np.repeat(pixels, 3 // colours, axis=2)


@pytest.fixture
def tree(tmp_path):
    """Writes small images at the paths given, below a folder that is returned."""

    def make(*names: str):
        root = tmp_path / "faces"
        for seed, name in enumerate(names):
            write_image(root / name, drawn(seed=seed))
        root.mkdir(exist_ok=True)
        return root

    return make


def test_class_folders_are_read_in_the_order_of_names(tree):
    data = folders.read_crops(tree("happy/b.png", "happy/a.png", "angry/z.png"))
    assert data.rows.tolist() == ["angry/z.png", "happy/a.png", "happy/b.png"]
    assert data.splits.tolist() == ["Training"] * 3
    assert data.name == "faces"
    truth = data.truths[0]
    assert (truth.head, truth.labels) == ("fer2013", tuple(FER2013))
    assert [truth.labels[answer] for answer in truth.class_ids] == ["angry", "happy", "happy"]
    assert (data.rejected, truth.evaluated.all(), truth.weights.tolist()) == ((), True, [1.0, 1.0, 1.0])


def test_a_grey_image_of_the_size_is_the_crop_itself(tree):
    data = folders.read_crops(tree("happy/a.png", "happy/b.png"))
    for seed, crop in enumerate(data.crops):
        np.testing.assert_array_equal(crop, drawn(seed=seed)[..., :1])


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "Training"),
        ("Training", "Training"),
        ("val", "PublicTest"),
        ("VALID", "PublicTest"),
        ("validation", "PublicTest"),
        ("PublicTest", "PublicTest"),
        ("test", "PrivateTest"),
        ("privatetest", "PrivateTest"),
        ("fold 3", "fold 3"),
    ],
)
def test_split_folders(tree, name, split):
    data = folders.read_crops(tree(f"{name}/happy/a.png", f"{name}/sad/b.png"))
    assert data.splits.tolist() == [split, split]
    assert data.rows.tolist() == [f"{name}/happy/a.png", f"{name}/sad/b.png"]


def test_a_split_without_classes_is_rejected_not_taken_for_a_class(tree):
    data = folders.read_crops(tree("train/happy/a.png", "test/b.png", "train/stray.png"))
    assert data.rows.tolist() == ["train/happy/a.png"]
    assert [(bad.place, "root/split/class/image" in bad.reason) for bad in data.rejected] == [
        ("test/b.png", True),
        ("train/stray.png", True),
    ]


def test_a_folder_in_a_class_makes_it_no_split(tree):
    data = folders.read_crops(tree("happy/a.png", "happy/old/b.png", "c.png"))
    assert data.rows.tolist() == ["happy/a.png"]
    assert [bad.place for bad in data.rejected] == ["c.png", "happy/old/b.png"]


@pytest.mark.parametrize(
    ("classes", "head", "labels"),
    [
        (["Anger", "HAPPINESS", "calm"], "fer2013", tuple(FER2013)),
        (["sad", "sadness"], "fer2013", tuple(FER2013)),
        (["contempt", "happy", "angry"], "classes", ("angry", "happy", "contempt")),
        (["happy", "frown"], "classes", ("frown", "happy")),
        (["b", "a", "C"], "classes", ("C", "a", "b")),
    ],
)
def test_labels(tree, classes, head, labels):
    truth = folders.read_crops(tree(*(f"{word}/x.png" for word in classes))).truths[0]
    assert (truth.head, truth.labels) == (head, labels)


def test_synonyms_are_one_label(tree):
    truth = folders.read_crops(tree("Sad/a.png", "sadness/b.png", "mad/c.png")).truths[0]
    assert [truth.labels[answer] for answer in truth.class_ids] == ["sad", "angry", "sad"]


@pytest.mark.parametrize(("size", "channels"), [(48, 1), (64, 3), (8, 1)])
def test_any_image_becomes_a_crop_of_the_size(tree, size, channels):
    root = tree("happy/a.png")
    for name, shape in {"b.jpg": (300, 200), "c.webp": (5, 31), "d.png": (1, 1)}.items():
        write_image(root / "happy" / name, drawn(*shape, colours=3))
    data = folders.read_crops(root, size, channels)
    assert data.crops.shape == (4, size, size, channels)
    assert data.rejected == ()


def test_areas_are_averaged(tmp_path):
    frame = drawn(96, 96, colours=3)
    write_image(tmp_path / "a" / "x.png", frame)
    means = frame.reshape(48, 2, 48, 2, 3).mean(axis=(1, 3))
    crops = folders.read_crops(tmp_path, channels=3).crops
    assert np.abs(crops[0] - means).max() <= 0.5


def test_grey_is_the_luma_of_bt_601(tmp_path):
    frame = np.broadcast_to(np.array([200, 100, 50], np.uint8), (48, 48, 3))
    write_image(tmp_path / "a" / "x.png", frame)
    assert np.unique(folders.read_crops(tmp_path).crops).tolist() == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]


def test_a_image_that_is_no_square_is_centred_and_its_edge_repeated(tmp_path):
    frame = drawn(48, 24)
    write_image(tmp_path / "a" / "x.png", frame)
    crop = folders.read_crops(tmp_path).crops[0, :, :, 0]
    grey = frame[:, :, 0]
    np.testing.assert_array_equal(crop, np.pad(grey, ((0, 0), (12, 12)), mode="edge"))


def test_what_is_no_image_is_rejected_with_its_reason(tree):
    root = tree("happy/a.png", "happy/cut.png")
    cut = root / "happy" / "cut.png"
    cut.write_bytes(cut.read_bytes()[:500])
    (root / "happy" / "page.jpg").write_text("<html>")
    (root / "happy" / "notes.txt").write_text("a note")
    (root / "happy" / ".hidden.png").write_text("not seen")
    (root / ".git" / "happy").mkdir(parents=True)
    (root / ".git" / "happy" / "x.png").write_text("not seen")
    data = folders.read_crops(root)
    assert data.rows.tolist() == ["happy/a.png"]
    assert [bad.place for bad in data.rejected] == ["happy/cut.png", "happy/notes.txt", "happy/page.jpg"]
    assert all(bad.reason for bad in data.rejected)


def test_links_that_lead_outside_are_not_followed(tree, tmp_path):
    root = tree("happy/a.png", "happy/c.png")
    write_image(tmp_path / "outside" / "secret.png", drawn())
    (root / "happy" / "b.png").symlink_to(tmp_path / "outside" / "secret.png")
    (root / "happy" / "d.png").symlink_to("c.png")
    (root / "happy" / "gone.png").symlink_to("nowhere.png")
    (root / "happy" / "loop.png").symlink_to("loop.png")
    (root / "sad").symlink_to(tmp_path / "outside")
    data = folders.read_crops(root)
    assert data.rows.tolist() == ["happy/a.png", "happy/c.png", "happy/d.png"]
    assert [(bad.place, "link" in bad.reason) for bad in data.rejected] == [
        ("happy/b.png", True),
        ("happy/gone.png", True),
        ("happy/loop.png", True),
        ("sad", True),
    ]


def test_a_root_that_is_a_link_is_the_folder_it_names(tree, tmp_path):
    (tmp_path / "link").symlink_to(tree("happy/a.png"))
    assert folders.read_crops(tmp_path / "link").rows.tolist() == ["happy/a.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_not_waited_for(tree):
    root = tree("happy/a.png")
    os.mkfifo(root / "happy" / "b.png")
    assert [bad.place for bad in folders.read_crops(root).rejected] == ["happy/b.png"]


@pytest.mark.parametrize("name", ["absent", "a file", "empty", "bad"])
def test_a_folder_without_images_is_refused(tmp_path, name):
    (tmp_path / "a file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad" / "happy").mkdir(parents=True)
    (tmp_path / "bad" / "happy" / "x.png").write_text("no image")
    with pytest.raises(DatasetError, match="images"):
        folders.read_crops(tmp_path / name)


def test_the_digest_covers_names_and_content(tree):
    root = tree("happy/a.png", "sad/b.png")
    first = folders.read_crops(root).digest
    assert folders.read_crops(root).digest == first
    (root / "sad" / "b.png").rename(root / "sad" / "c.png")
    renamed = folders.read_crops(root).digest
    write_image(root / "sad" / "c.png", drawn(seed=9))
    assert len({first, renamed, folders.read_crops(root).digest}) == 3
