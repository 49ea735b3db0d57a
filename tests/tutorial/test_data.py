"""The data sets of the tutorials: real where a folder is set, else drawn, in the same form."""

from __future__ import annotations

import numpy as np
import pytest

from mien.data import PUBLIC_TEST, TRAINING, pixel_csv
from mien.emotions import FER2013
from mien.errors import DatasetError, UsageError
from mien.tutorial import data as tutorial_data
from mien.tutorial.data import drawn_digits, drawn_faces


@pytest.fixture
def no_folder(monkeypatch):
    for variable in (tutorial_data.DATA_VARIABLE, tutorial_data.OLD_DATA_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def data_folder(monkeypatch, tmp_path):
    """The folder in the environment variable."""
    monkeypatch.setenv(tutorial_data.DATA_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("draw", "side", "labels"), [(drawn_digits, 28, tuple("0123456789")), (drawn_faces, 48, tuple(FER2013))]
)
def test_drawn_data_has_the_form_of_the_real(draw, side, labels):
    data = draw(training=140, validation=70)
    assert data.crops.shape == (210, side, side, 1)
    assert data.truths[0].labels == labels
    assert set(data.truths[0].class_ids.tolist()) == set(range(len(labels)))
    assert (len(data.split(TRAINING)), len(data.split(PUBLIC_TEST))) == (140, 70)
    again, other = draw(training=140, validation=70), draw(training=140, validation=70, seed=1)
    assert (again.crops == data.crops).all()
    assert again.digest == data.digest != other.digest


def test_drawn_images_are_all_different():
    crops = drawn_faces(training=60, validation=10).crops
    assert len(np.unique(crops.reshape(len(crops), -1), axis=0)) == len(crops)


def test_without_a_folder_the_data_is_drawn_and_labelled_as_such(no_folder, tmp_path):
    assert tutorial_data.folder() is None
    assert tutorial_data.origin().startswith("DRAWN DATA")
    for splits in (tutorial_data.digits(30, 20), tutorial_data.faces(30, 20)):
        assert [len(part) for part in splits] == [30, 20]
        assert all("drawn" in part.name for part in splits)


def test_a_drawn_csv_is_read_as_it_was_drawn(no_folder, tmp_path):
    read = pixel_csv.read_fer2013(tutorial_data.faces_csv(tmp_path / "fer2013.csv", training=20, validation=10))
    drawn = drawn_faces(20, 10)
    assert (read.crops == drawn.crops).all()
    assert (read.truths[0].class_ids == drawn.truths[0].class_ids).all()
    assert (read.splits == drawn.splits).all()


def test_the_folder_in_the_variable_is_used(data_folder, tmp_path):
    data = drawn_faces(training=40, validation=20, seed=3)
    tutorial_data.write_csv(data, data_folder / "fer2013" / "fer2013.csv")
    assert tutorial_data.origin().startswith("REAL DATA")
    assert tutorial_data.faces_csv(tmp_path / "not.csv", 5, 5) == data_folder / "fer2013" / "fer2013.csv"
    train, held_out = tutorial_data.faces(training=30, validation=99)
    assert (len(train), len(held_out)) == (30, 20)
    assert (train.crops == data.crops[:30]).all()


@pytest.mark.shared
def test_mnist_is_read_from_the_folder(monkeypatch, shared):
    monkeypatch.setenv(tutorial_data.DATA_VARIABLE, str(shared / "data"))
    train, held_out = tutorial_data.digits(300, 100)
    assert (train.name, len(train), len(held_out)) == ("mnist", 300, 100)
    assert not set(train.rows) & set(held_out.rows)


def test_missing_data_is_reported(data_folder, monkeypatch):
    with pytest.raises(DatasetError, match="fer2013"):
        tutorial_data.faces(10, 10)
    with pytest.raises(DatasetError, match="mnist"):
        tutorial_data.digits(10, 10)
    monkeypatch.setenv(tutorial_data.DATA_VARIABLE, str(data_folder / "nothing"))
    with pytest.raises(UsageError, match="MIEN_TUTORIAL_DATA"):
        tutorial_data.folder()


def test_the_old_variable_is_still_read(no_folder, monkeypatch, tmp_path):
    monkeypatch.setenv(tutorial_data.OLD_DATA_VARIABLE, str(tmp_path))
    assert tutorial_data.folder() == tmp_path
