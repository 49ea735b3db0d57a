from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from skimage.data import astronaut

from mien.data import crops
from mien.data import load as load_dataset
from mien.data.crops import CROPPED, NO_FACE, SEVERAL, UNREADABLE, CropSettings, count_by_status, crop_photos
from mien.detection import HaarDetector, WholeImageDetector
from mien.errors import DatasetError, UsageError
from mien.media.image import encode
from mien.media.image import read as read_image
from mien.media.image import write as write_image
from mien.models.card import CropRule
from mien.recognizer import Recognizer
from mien.structures import Box, Face

RULE = CropRule(factor=0.95)
PORTRAIT = astronaut()[:256, 96:352]


class Marked:
    """A detector for drawn photos: as many faces as their first pixel says, each smaller than the last."""

    def __init__(self) -> None:
        self.asked = 0

    def detect(self, frame):
        self.asked += 1
        return [Face(Box(8.5, 9.25, 40 - at, 44.5 - at)) for at in range(int(frame[0, 0, 0]))]


class Recording:
    """A classifier that keeps the face crops it is given."""

    def __init__(self, classifier) -> None:
        self.card = classifier.card
        self.classifier = classifier
        self.face_crops = []

    def predict(self, face_crops, labels):
        self.face_crops.append(face_crops)
        return self.classifier.predict(face_crops, labels)


def photo(faces: int = 1, seed: int = 0) -> np.ndarray:
    frame = np.random.default_rng(seed).integers(0, 256, (60, 50, 3), np.uint8)
    frame[0, 0] = faces
    return frame


@pytest.fixture
def detector():
    return Marked()


@pytest.fixture
def cutting(detector):
    return CropSettings(detector, RULE)


@pytest.fixture
def photos(tmp_path):
    """Writes drawn photos: names, each with its number of faces, or None for a torn file."""

    def make(folder: str = "photos", seed: int = 0, **faces: int | None):
        for at, (name, count) in enumerate(faces.items()):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if count is None:
                path.write_bytes(b"\x89PNG\r\n\x1a\n torn")
            else:
                path.write_bytes(encode(photo(count, seed + at), "png"))
        return tmp_path / folder

    return make


def listed(out):
    with (out / "crops.csv").open(newline="", encoding="utf-8") as file:
        return {row["source"]: row for row in csv.DictReader(file)}


def tree(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*.png"))}


def test_what_can_be_cut_is_cut_and_everything_is_listed(photos, cutting, tmp_path):
    root = photos(**{"happy/a.png": 1, "happy/b.png": 0, "sad/c.png": 2, "sad/d.png": None, "sad/e.txt": None})
    out = tmp_path / "crops"
    fates = crop_photos(root, out, cutting)
    expected = {
        "happy/a.png": CROPPED,
        "happy/b.png": NO_FACE,
        "sad/c.png": SEVERAL,
        "sad/d.png": UNREADABLE,
        "sad/e.txt": UNREADABLE,
    }
    assert {fate.source: fate.status for fate in fates} == expected
    assert {source: row["status"] for source, row in listed(out).items()} == expected
    assert count_by_status(fates) == {CROPPED: 1, NO_FACE: 1, SEVERAL: 1, UNREADABLE: 2}
    assert list(tree(out)) == ["happy/a.png"]
    row = listed(out)["happy/a.png"]
    assert [float(row[edge]) for edge in ("left", "top", "right", "bottom")] == [8.5, 9.25, 40, 44.5]
    assert (row["file"], len(row["sha256"])) == ("happy/a.png", 64)
    assert listed(out)["sad/c.png"]["reason"] == "2 faces"


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["happy/a.png", "sad/b.png"], ["Training", "Training"]),
        (["test/sad/b.png", "train/happy/a.png"], ["PrivateTest", "Training"]),
    ],
)
def test_the_crops_are_a_data_set(photos, cutting, tmp_path, names, splits):
    crop_photos(photos(**dict.fromkeys(names, 1)), tmp_path / "crops", cutting)
    data = load_dataset(tmp_path / "crops")
    assert data.rows.tolist() == names
    assert data.splits.tolist() == splits
    assert data.rejected == ()
    assert data.crops.shape == (2, 48, 48, 1)


@pytest.mark.parametrize("kind", [HaarDetector, WholeImageDetector])
def test_the_crops_are_those_that_predict_classifies(tmp_path, classifier, kind):
    for place, frame in {"happy/a.png": PORTRAIT, "sad/b.png": PORTRAIT[:, ::-1], "sad/c.png": PORTRAIT // 2}.items():
        write_image(tmp_path / "photos" / place, frame)
    detector = kind()
    crop_photos(
        tmp_path / "photos", tmp_path / "crops", CropSettings(detector, classifier.card.crop, classifier.card.size)
    )
    data = load_dataset(tmp_path / "crops")
    assert len(data) == 3
    seen = Recording(classifier)
    recognizer = Recognizer(detector, seen)
    for row in data.rows:
        recognizer.predict(tmp_path / "photos" / row)
    np.testing.assert_array_equal(np.concatenate(seen.face_crops), data.crops)


def test_a_legend_gives_the_folders(photos, cutting, tmp_path):
    root = photos(**{"a.png": 1, "b.png": 1, "c.png": 0})
    (root / "legend.csv").write_text("image,emotion\na.png,HAPPINESS\nb.png,anger\nc.png,fear\nd.png,sad\n")
    fates = crop_photos(root, tmp_path / "crops", cutting)
    assert list(tree(tmp_path / "crops")) == ["angry/b.png", "happy/a.png"]
    assert [(fate.source, fate.status) for fate in fates if fate.status == UNREADABLE] == [("legend.csv:5", UNREADABLE)]


def test_a_legend_with_splits_gives_their_folders(photos, cutting, tmp_path):
    root = photos(**{"a.png": 1, "b.png": 1, "c.png": 1, "d.png": 1})
    rows = ["image,emotion,split", "a.png,happy,train", "b.png,sad,val_set", "c.png,fear,../..", "d.png,fear,"]
    (root / "legend.csv").write_text("\n".join(rows))
    crop_photos(root, tmp_path / "crops", cutting)
    data = load_dataset(tmp_path / "crops")
    assert dict(zip(data.rows.tolist(), data.splits.tolist(), strict=True)) == {
        "PublicTest/sad/b.png": "PublicTest",
        "Training/happy/a.png": "Training",
        "unnamed/fear/c.png": "unnamed",
        "unnamed/fear/d.png": "unnamed",
    }


def test_the_largest_of_several_is_taken_on_request(photos, cutting, detector, tmp_path):
    root, out = photos(**{"happy/a.png": 3, "happy/b.png": 1}), tmp_path / "crops"
    crop_photos(root, out, cutting)
    first = tree(out)
    crop_photos(root, out, replace(cutting, largest=True))
    assert detector.asked == 3  # the photo of one face was not asked for again
    assert list(tree(out)) == ["happy/a.png", "happy/b.png"]
    assert tree(out)["happy/b.png"] == first["happy/b.png"]
    assert float(listed(out)["happy/a.png"]["right"]) == 40


def test_a_run_that_was_broken_off_goes_on(photos, detector, tmp_path):
    names = [f"happy/{at}.png" for at in range(6)]
    root, out = photos(**dict.fromkeys(names, 1)), tmp_path / "crops"
    crop_photos(root, tmp_path / "whole", CropSettings(Marked(), RULE))

    def break_off(share):
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crop_photos(root, out, CropSettings(detector, RULE), break_off)
    assert len(tree(out)) == 3
    shares = []
    crop_photos(root, out, CropSettings(detector, RULE), shares.append)
    assert detector.asked == 6
    assert tree(out) == tree(tmp_path / "whole")
    assert (out / "crops.csv").read_bytes() == (tmp_path / "whole" / "crops.csv").read_bytes()
    assert shares == pytest.approx([at / 6 for at in range(1, 7)])


def test_a_run_killed_before_its_list_was_written_makes_no_second_crops(photos, cutting, tmp_path):
    root, out = photos(**{"happy/a.png": 1, "sad/b.png": 1}), tmp_path / "crops"
    crop_photos(root, out, cutting)
    before = tree(out)
    (out / "crops.csv").unlink()
    crop_photos(root, out, cutting)
    assert tree(out) == before
    assert len(listed(out)) == 2


def test_a_lost_crop_is_made_again_under_its_name(photos, cutting, tmp_path):
    root, out = photos(**{"happy/a.png": 1, "happy/b.png": 1}), tmp_path / "crops"
    crop_photos(root, out, cutting)
    before = tree(out)
    (out / "happy" / "a.png").unlink()
    crop_photos(root, out, cutting)
    assert tree(out) == before


def test_photos_of_one_stem_have_a_crop_each(photos, cutting, tmp_path):
    root, out = photos(**{"happy/a.png": 1, "happy/a.bmp": 1, "happy/A.gif": 1, "happy/a-2.png": 1}), tmp_path / "crops"
    for _ in range(2):
        crop_photos(root, out, cutting)
        files = [row["file"] for row in listed(out).values()]
        assert len({file.lower() for file in files}) == len(tree(out)) == 4
    face_crops = {source: tree(out)[row["file"]] for source, row in listed(out).items()}
    assert len(set(face_crops.values())) == 4


def test_no_file_that_is_there_is_written_over(photos, cutting, tmp_path):
    root, out = photos(**{"happy/a.png": 1}), tmp_path / "crops"
    (out / "happy").mkdir(parents=True)
    (out / "happy" / "a.png").write_bytes(b"mine")
    crop_photos(root, out, cutting)
    assert tree(out)["happy/a.png"] == b"mine"
    assert listed(out)["happy/a.png"]["file"] == "happy/a-2.png"


def test_a_photo_that_changed_and_one_from_elsewhere_are_new_ones(photos, cutting, tmp_path):
    out = tmp_path / "crops"
    crop_photos(photos(**{"happy/a.png": 1}), out, cutting)
    before = tree(out)
    crop_photos(photos("others", seed=9, **{"happy/a.png": 1}), out, cutting)
    after = tree(out)
    assert list(after) == ["happy/a-2.png", "happy/a.png"]
    assert after["happy/a.png"] == before["happy/a.png"] != after["happy/a-2.png"]


def test_a_photo_that_is_mended_is_listed_once(photos, cutting, tmp_path):
    out = tmp_path / "crops"
    crop_photos(photos(**{"happy/a.png": None, "happy/b.png": 1}), out, cutting)
    assert listed(out)["happy/a.png"]["status"] == UNREADABLE
    crop_photos(photos(**{"happy/a.png": 1}), out, cutting)
    with (out / "crops.csv").open(encoding="utf-8") as file:
        assert [line.split(",")[:2] for line in file][1:] == [["happy/a.png", CROPPED], ["happy/b.png", CROPPED]]


@pytest.mark.parametrize("change", [{"size": 64}, {"rule": CropRule(1.1)}, {"detector": WholeImageDetector()}])
def test_crops_cut_otherwise_are_not_mixed(photos, cutting, tmp_path, change):
    root, out = photos(**{"happy/a.png": 1}), tmp_path / "crops"
    crop_photos(root, out, cutting)
    before = tree(out)
    with pytest.raises(DatasetError, match="Name another folder"):
        crop_photos(root, out, replace(cutting, **change))
    assert tree(out) == before


@pytest.mark.parametrize("size", [8, 64, 256])
def test_the_size_is_that_asked_for(photos, detector, tmp_path, size):
    crop_photos(photos(**{"happy/a.png": 1}), tmp_path / "crops", CropSettings(detector, RULE, size))
    assert read_image(tmp_path / "crops" / "happy" / "a.png").shape == (size, size, 3)


@pytest.mark.parametrize("size", [0, 7, 257, -48])
def test_sizes_that_no_data_set_has_are_refused(detector, size):
    with pytest.raises(UsageError, match="8 to 256"):
        CropSettings(detector, RULE, size)


@pytest.mark.parametrize("out", ["photos", "photos/crops", "."])
def test_folders_within_each_other_are_refused(photos, cutting, tmp_path, out):
    root = photos(**{"happy/a.png": 1})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match="outside the photos"):
        crop_photos(root, tmp_path / out, cutting)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_in_the_crops_folder_leads_nowhere(photos, cutting, tmp_path):
    root, out, elsewhere = photos(**{"happy/a.png": 1}), tmp_path / "crops", tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    (out / "happy").symlink_to(elsewhere)
    with pytest.raises(DatasetError, match="leads outside"):
        crop_photos(root, out, cutting)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not,the,list\n1,2,3\n",
        b"\xff\0\xfe",
        ",".join(crops.COLUMNS).encode() + b"\na.png,cropped\n",
        ",".join(crops.COLUMNS).encode() + b"\nhappy/a.png,cropped,../../a.png,1,1,2,2,x,,\n",
        ",".join(crops.COLUMNS).encode() + b"\nhappy/a.png,cropped,/etc/a.png,1,1,2,2,x,,\n",
        ",".join(crops.COLUMNS).encode() + b"\nhappy/a.png,cropped,..\\a.png,1,1,2,2,x,,\n",
    ],
)
def test_another_file_by_the_list_s_name_is_kept_and_refused(photos, cutting, tmp_path, content):
    root, out = photos(**{"happy/a.png": 1}), tmp_path / "crops"
    out.mkdir()
    (out / "crops.csv").write_bytes(content)
    with pytest.raises(DatasetError, match="list of an earlier run"):
        crop_photos(root, out, cutting)
    assert (out / "crops.csv").read_bytes() == content
    assert tree(out) == {}


def test_a_folder_without_photos_is_refused(cutting, tmp_path):
    (tmp_path / "photos" / "happy").mkdir(parents=True)
    with pytest.raises(DatasetError, match="there are none"):
        crop_photos(tmp_path / "photos", tmp_path / "crops", cutting)
    assert not (tmp_path / "crops").exists()


@pytest.mark.shared
def test_real_photos_become_crops(shared_data, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    names = sorted(path.name for path in (shared_data / "photos").glob("*.jpg"))[:12]
    for name in names:
        shutil.copy(shared_data / "photos" / name, photos)
    legend = (shared_data / "photos" / "legend.csv").read_text(encoding="utf-8").splitlines()
    chosen = [line for line in legend if any(name in line for name in names)]
    (photos / "legend.csv").write_text("\n".join([legend[0], *chosen]))
    fates = crop_photos(photos, tmp_path / "crops", CropSettings(HaarDetector(), RULE))
    assert len(fates) == 12
    assert count_by_status(fates)[CROPPED] >= 10
    data = load_dataset(tmp_path / "crops")
    assert len(data) == count_by_status(fates)[CROPPED]
    assert data.truths[0].head == "fer2013"
