"""What Python users do with recognizers and results: copies, processes, dictionaries, labels, paths, cameras."""

from __future__ import annotations

import copy
import io
import json
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

import mien
from mien.apps.cli.first_steps import PORTRAIT
from mien.apps.server.errors import ApiError
from mien.classification.classifier import Classifier
from mien.data import load
from mien.detection import HaarDetector, MienDetector, WholeImageDetector, find_detector
from mien.emotions import FER2013, SYNONYMS, Emotion
from mien.media.image import encode, write
from mien.media.video import FileSource, Sampling, VideoFrame
from mien.models.store import ModelStore
from mien.outputs import from_dict, to_dict, to_json_line, write_csv
from mien.structures import Box, Face, FrameResult, Landmarks, Point, Prediction
from mien.tracking import Timeline, to_eaf
from videos import swaying_face, write_frames

DUPLICATES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "pickle protocol 2": lambda value: pickle.loads(pickle.dumps(value, 2)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "twice": lambda value: copy.deepcopy(pickle.loads(pickle.dumps(value))),
}


@pytest.fixture(scope="module")
def recognizer():
    return mien.Recognizer.load()


@pytest.fixture(scope="module")
def result(recognizer):
    return recognizer.predict(PORTRAIT)


# -- copies and other processes


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
@pytest.mark.parametrize("detector", [None, WholeImageDetector])
def test_a_copy_of_a_recognizer_predicts_the_same(recognizer, duplicate, detector):
    original = recognizer if detector is None else mien.Recognizer(detector(), recognizer.classifier, "ferplus")
    found = duplicate(original)
    assert found.labels == original.labels
    assert found.predict(PORTRAIT) == original.predict(PORTRAIT)


def test_a_copy_of_a_detector_keeps_its_settings():
    detector = MienDetector(ModelStore().load("faces"), score_threshold=0.8, threads=2)
    twin = pickle.loads(pickle.dumps(detector))
    assert vars(twin).keys() == vars(detector).keys()
    assert twin._min_score == 0.8
    assert twin._session.get_session_options().intra_op_num_threads == 2
    assert twin.detect(astronaut()) == detector.detect(astronaut())


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_haar_cascades_that_have_run_can_be_copied(duplicate):
    detector, frame = HaarDetector(), np.zeros((64, 64, 3), np.uint8)
    assert detector.detect(frame) == duplicate(detector).detect(frame) == []


def test_a_recognizer_works_in_a_process_that_starts_anew(recognizer, result):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(recognizer.predict, [str(PORTRAIT)]) == [result]


def test_a_recognizer_works_in_the_processes_of_joblib(recognizer, result):
    joblib = pytest.importorskip("joblib", reason="needs joblib")
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(recognizer.predict)(PORTRAIT) for _ in range(2))
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    assert found == [result, result]


LANDMARKS = Landmarks(*(Point(float(n), n + 0.5) for n in range(5)))
FACE = Face(Box(1, 2, 30.5, 40), LANDMARKS, 0.75)
PREDICTION = Prediction(FACE, ("happy", "sad"), (0.75, 0.25), 0.5, 3, ("small",), "sad")


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
@pytest.mark.parametrize(
    "value",
    [
        FACE.box,
        LANDMARKS,
        FACE,
        PREDICTION,
        FrameResult("a.jpg", 3, 0.12, (PREDICTION,), None, ("a warning",)),
        FrameResult("b.jpg", error="damaged"),
        mien.Analysis(FrameResult("b.jpg", error="damaged"), None),
        Sampling(every=0.5, end=3.0),
        Emotion.HAPPY,
    ],
    ids=lambda value: type(value).__name__,
)
def test_results_can_be_copied_and_pickled(duplicate, value):
    assert duplicate(value) == value


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
@pytest.mark.parametrize(
    "error",
    [
        *(
            getattr(mien, name)("expected; received")
            for name in mien.__all__
            if name.endswith("Error") and name != "MissingExtraError"
        ),
        mien.MissingExtraError("writing videos", "av", "video"),
        ApiError("busy", "expected; received"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_can_be_copied_and_pickled(duplicate, error):
    found = duplicate(error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)


# -- dictionaries


def test_a_result_as_a_dictionary_is_the_line_of_json(result):
    assert result.to_dict() == to_dict(result) == json.loads(to_json_line(result))
    assert [face.to_dict() for face in result.predictions] == result.to_dict()["faces"]
    assert from_dict(result.to_dict()).predictions[0].probabilities == result.predictions[0].probabilities


@pytest.mark.parametrize(
    "value",
    [
        FrameResult("a.jpg", 3, float("nan"), (PREDICTION, PREDICTION), None, ("a warning",)),
        FrameResult("b.jpg", error="damaged"),
        FrameResult("ü\udce4.jpg"),
    ],
)
def test_any_result_is_its_line_of_json(value):
    assert value.to_dict() == json.loads(to_json_line(value))
    assert [face.to_dict() for face in value.predictions] == value.to_dict()["faces"]


# -- labels

SEVEN = Prediction(FACE, tuple(map(str, FER2013)), (0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1))


@pytest.mark.parametrize("label", ["happy", "Happy", "HAPPY", " happy ", "happiness", "Joy", Emotion.HAPPY])
def test_a_label_is_found_in_any_case_and_by_its_synonyms(label):
    assert SEVEN.probability_of(label) == 0.4


@pytest.mark.parametrize(("word", "emotion"), SYNONYMS.items())
def test_every_synonym_is_a_label(word, emotion):
    expected = SEVEN.probabilities[FER2013.index(emotion)] if emotion in FER2013 else 0.0
    assert SEVEN.probability_of(word.title()) == expected


def test_an_expression_that_the_model_does_not_have_has_no_probability():
    assert SEVEN.probability_of("contempt") == SEVEN.probability_of(Emotion.CONTEMPT) == 0.0
    assert PREDICTION.probability_of("surprise") == 0.0


def test_the_labels_of_a_model_of_one_s_own_come_first():
    own = Prediction(FACE, ("Joy", "Straße", "happy"), (0.5, 0.3, 0.2))
    assert [own.probability_of(label) for label in ("Joy", "joy", "STRASSE", "happy", "Happy")] == [
        0.5,
        0.5,
        0.3,
        0.2,
        0.2,
    ]
    assert own.probability_of("smile") == 0.2


@pytest.mark.parametrize("label", ["hapy", "", "happy.", "0", 3, None])
def test_an_unknown_label_is_refused_with_the_labels(label):
    with pytest.raises(mien.UsageError, match=r"expected one of the labels angry, disgust, fear, happy, .*received"):
        SEVEN.probability_of(label)


# -- several images


@pytest.mark.parametrize("wrong", ["x.jpg", PORTRAIT, b"bytes", io.BytesIO(), astronaut(), None, 3])
def test_one_image_in_place_of_several_is_refused_at_once(recognizer, wrong):
    with pytest.raises(mien.UsageError, match="expected several images"):
        recognizer.predict_many(wrong)


def test_a_batch_gives_a_result_for_each_of_its_images(recognizer, result):
    frames = np.stack([np.zeros_like(astronaut()), astronaut()])
    black, face = recognizer.predict_many(frames)
    assert (len(black.predictions), len(face.predictions)) == (0, 1)


def test_open_files_none_and_floats_among_several_images_keep_the_others(recognizer, result):
    images = [None, io.BytesIO(PORTRAIT.read_bytes()), astronaut() / 255, PORTRAIT.read_bytes(), ["a.jpg"]]
    found = list(recognizer.predict_many(images))
    assert [one.error is None for one in found] == [False, True, False, True, False]
    assert found[1].predictions == found[3].predictions == result.predictions


# -- paths as text


@pytest.mark.parametrize("form", [str, Path])
def test_paths_may_be_text_everywhere(tmp_path, form):
    store = ModelStore()
    model = tmp_path / "mine.onnx"
    model.write_bytes(store.load("faces"))
    assert isinstance(find_detector(form(model), store), MienDetector)
    assert isinstance(MienDetector(form(model)), MienDetector)
    assert ModelStore(cache=form(tmp_path / "cache")).add(form(model)).name == "faces"
    assert ModelStore.describe(form(model)).kind == "detector"
    (tmp_path / "expressions.onnx").write_bytes(store.load("nano"))
    recognizer = mien.Recognizer.load(form(tmp_path / "expressions.onnx"), detector=form(model))
    assert Classifier(store.load(form(tmp_path / "expressions.onnx"))).card == recognizer.classifier.card
    clip = write_frames(tmp_path / "clip.avi", swaying_face(3))
    results = list(recognizer.stream(form(clip)))
    timeline = Timeline()
    for one in results:
        timeline.add(one)
    assert to_eaf(timeline.tracks(), form(clip)) is not None
    write(form(tmp_path / "out.png"), astronaut())
    write_csv(results, form(tmp_path / "out.csv"), recognizer.labels)
    assert (tmp_path / "out.csv").read_text().count("\n") == 4
    with pytest.raises(mien.DatasetError, match="no such file"):
        load(form(tmp_path / "absent.csv"))


# -- cameras


class Camera:
    """A camera that gives frames ten times a second, and stops after some."""

    live = True

    def __init__(self, count):
        self.count, self.read_so_far, self.closed = count, 0, False

    def read(self):
        number, self.read_so_far = self.read_so_far, self.read_so_far + 1
        return None if number == self.count else VideoFrame(number, number / 10, astronaut())

    def close(self):
        self.closed = True


def test_frames_of_a_camera_are_read_one_by_one_until_the_iterator_is_closed(recognizer):
    camera = Camera(100)
    results = recognizer.watch(camera, "camera 1")
    first, second = (next(results)[1] for _ in range(2))
    assert camera.read_so_far == 2
    assert (first.source, first.index, second.index, second.seconds) == ("camera 1", 0, 1, 0.1)
    assert [one.track for one in second.predictions] == [1]
    results.close()
    assert camera.closed


@pytest.mark.parametrize(
    ("sampling", "indices"),
    [
        (Sampling(), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Sampling(stride=3), [0, 3, 6]),
        (Sampling(every=0.25), [0, 3, 6]),
        (Sampling(start=0.2, end=0.5), [2, 3, 4, 5]),
    ],
)
def test_frames_of_a_camera_are_sampled(recognizer, sampling, indices):
    camera = Camera(8)
    assert [result.index for _, result in recognizer.watch(camera, "camera 1", sampling)] == indices
    assert camera.closed


def test_a_camera_that_is_not_there_is_refused(recognizer):
    with pytest.raises(mien.VideoError, match="camera"):
        next(recognizer.stream(4321))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "received None"),
        (b"bytes", "received a bytes. Save the video as a file first"),
        (io.BytesIO(), "received a BytesIO"),
        (astronaut(), "received an array"),
        (["a.mp4"], "received a list"),
        ("rtsp://camera.example/1", "received the address 'rtsp://camera.example/1'. mien fetches nothing"),
        ("https://example.org/a.mp4", "received the address"),
    ],
)
def test_what_is_no_video_is_refused(recognizer, wrong, message):
    with pytest.raises(mien.UsageError, match=message):
        next(recognizer.stream(wrong))


@pytest.mark.parametrize("path", ["C://videos/talk.mp4", "talks/a://b.mp4", "://b.mp4"])
def test_a_path_is_not_taken_for_an_address(recognizer, path):
    with pytest.raises(mien.VideoError, match="there is none"):
        next(recognizer.stream(path))
    with pytest.raises(mien.ImageError, match="no such file"):
        recognizer.predict(path)


def test_a_source_can_be_opened_by_a_text(tmp_path):
    source = FileSource(str(write_frames(tmp_path / "clip.avi", swaying_face(2))))
    assert source.read().index == 0
    source.close()
    with pytest.raises(mien.VideoError, match="there is none"):
        FileSource(str(tmp_path / "absent.mp4"))


def test_an_encoded_image_in_memory_is_an_image(recognizer):
    assert recognizer.predict(io.BytesIO(encode(astronaut(), "png"))).source == "<file>"
