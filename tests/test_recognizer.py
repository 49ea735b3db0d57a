"""An image goes in, in any form; its faces and the expression each shows come out, in order."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import io
import itertools
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image
from skimage.data import astronaut

from mien.classification.face_crop import crop
from mien.detection import (
    SHIPPED_DETECTOR,
    HaarDetector,
    MienDetector,
    WholeImageDetector,
    YuNetDetector,
    find_detector,
)
from mien.detection.yunet import OUTPUTS
from mien.emotions import FER2013, FERPLUS
from mien.errors import ImageError, ModelError, ModelMissingError, UsageError
from mien.media.video import FileSource, Sampling, VideoFrame
from mien.models.card import CropRule, FusedOutput, Head, ModelCard
from mien.models.manifest import Entry, to_json
from mien.models.store import MANIFEST, ModelStore
from mien.recognizer import Analysis, Recognizer
from mien.structures import Box, Face, FrameResult, Prediction
from mien.tracking import Timeline
from mien.tracking.tracker import Tracker, TrackerConfig
from mien.visualization.report.curves import Curves
from videos import swaying_face, write_frames

CARD = ModelCard(
    name="fake",
    size=8,
    channels=1,
    crop=CropRule(factor=2.0),
    heads=(Head("doors", ("open", "shut"), unsure_below=0.9), Head("gates", ("shut", "open"), unsure_below=0.1)),
    fused=FusedOutput(("open", "shut"), (("doors", 1.0),), unsure_below=0.7),
)
BOX = Box(178, 65, 270, 176)


class FixedDetector:
    """A detector that finds the same faces in every frame, and records the frames."""

    def __init__(self, *boxes):
        self.faces = [Face(box, confidence=0.5) for box in boxes]
        self.frames = []

    def detect(self, frame):
        self.frames.append(frame)
        return self.faces


class BrightnessClassifier:
    """A classifier that calls a face crop "open" by its mean brightness, and records the face crops."""

    card = CARD

    def __init__(self):
        self.crops = []
        self.heads = []

    def predict(self, crops, head="fused"):
        self.crops.append(crops)
        self.heads.append(head)
        bright = crops.reshape(len(crops), 64).mean(axis=1) / 255
        rows = np.stack([bright, 1 - bright], axis=1).astype(np.float32)
        return rows if CARD.output(head).labels[0] == "open" else rows[:, ::-1]


@pytest.fixture(scope="module")
def haar():
    return HaarDetector()


@pytest.fixture(scope="module")
def recognizer(haar, classifier):
    return Recognizer(haar, classifier)


@pytest.fixture(scope="module")
def whole(classifier):
    return Recognizer(WholeImageDetector(), classifier)


@pytest.fixture
def empty_store(tmp_path):
    """The store of a machine to which nothing was fetched."""
    return ModelStore(cache=tmp_path / "cache")


@pytest.fixture
def store_with_yunet(tmp_path):
    """A store that has mien's own detector and a "yunet": a graph with its inputs and outputs, which sees nothing."""
    onnx = pytest.importorskip("onnx", reason="onnx makes the detector of this test: pip install 'mien[train]'")
    make, real = onnx.helper, onnx.TensorProto.FLOAT
    widths = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    zeros = [np.zeros((1, 1, widths[name.split("_")[0]]), np.float32) for name in OUTPUTS]
    graph = make.make_graph(
        [make.make_node("Identity", [f"zeros {name}"], [name]) for name in OUTPUTS],
        "sees nothing",
        [make.make_tensor_value_info("input", real, [1, 3, "height", "width"])],
        [make.make_tensor_value_info(name, real, None) for name in OUTPUTS],
        [onnx.numpy_helper.from_array(array, f"zeros {name}") for array, name in zip(zeros, OUTPUTS, strict=True)],
    )
    opset = [make.make_opsetid("", 17)]
    model = make.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    own = ModelStore().load(SHIPPED_DETECTOR)
    entries = []
    for name, content in (("faces", own), ("yunet", model)):
        (shipped / f"{name}.onnx").write_bytes(content)
        entries.append(Entry(name, "detector", f"{name}.onnx", len(content), hashlib.sha256(content).hexdigest()))
    (shipped / MANIFEST).write_text(to_json(entries))
    return ModelStore(shipped, tmp_path / "cache")


def encoded(image, name="PNG", **options):
    target = io.BytesIO()
    image.save(target, name, **options)
    return target.getvalue()


def flat(colour, height=20, width=20):
    return np.full((height, width, 3), colour, np.uint8)


# -- the parts, by plain fakes


def test_the_detector_s_faces_are_cropped_by_the_card_and_read_in_their_order():
    frame = flat(0, 60, 60)
    frame[30:, 30:] = 255
    detector, classifier = (
        FixedDetector(Box(45, 45, 50, 50), Box(5, 5, 25, 25), Box(40, 40, 52, 52)),
        BrightnessClassifier(),
    )
    result = Recognizer(detector, classifier).predict(frame)
    assert detector.frames[0] is frame
    assert [prediction.face for prediction in result.predictions] == detector.faces
    assert [prediction.emotion for prediction in result.predictions] == ["open", "shut", "open"]
    assert all(isinstance(value, float) for value in result.predictions[0].probabilities)
    (crops,) = classifier.crops
    assert np.array_equal(crops, np.stack([crop(frame, face, CARD.crop, 8, 1) for face in detector.faces]))


def test_no_faces_give_no_predictions():
    result = Recognizer(FixedDetector(), BrightnessClassifier()).predict(flat(128))
    assert result == FrameResult("<array>", index=0, seconds=None, predictions=(), error=None)


@pytest.mark.parametrize(
    ("head", "names", "unsure_below"),
    [("fused", ("open", "shut"), 0.7), ("doors", ("open", "shut"), 0.9), ("gates", ("shut", "open"), 0.1)],
)
def test_the_head_gives_the_labels_and_the_threshold(head, names, unsure_below):
    classifier = BrightnessClassifier()
    recognizer = Recognizer(FixedDetector(Box(2, 2, 9, 9)), classifier, head)
    (prediction,) = recognizer.predict(flat(204)).predictions
    assert recognizer.labels == prediction.labels == names
    assert classifier.heads == [head]
    assert prediction.unsure_below == unsure_below
    assert prediction.emotion == "open"
    assert prediction.probability == pytest.approx(0.8)
    assert dataclasses.replace(prediction, quality_issues=()).unsure == (
        unsure_below > 0.8
    )  # a flat image counts as blurred


def test_an_unknown_head_is_refused_with_the_choices():
    with pytest.raises(ModelError, match=r"\['fused', 'doors', 'gates'\].*received 'windows'"):
        Recognizer(FixedDetector(), BrightnessClassifier(), "windows")


# -- faces that the caller knows


def test_own_boxes_are_used_as_given_and_the_detector_does_not_run():
    detector, classifier = FixedDetector(Box(0, 0, 5, 5)), BrightnessClassifier()
    small, large = Box(1, 1, 4, 4), Face(Box(0, 0, 20, 20), confidence=0.3)
    result = Recognizer(detector, classifier).predict(flat(9), boxes=[small, large])
    assert [prediction.face for prediction in result.predictions] == [Face(small), large]
    assert detector.frames == []


def test_an_empty_list_of_boxes_means_no_faces():
    detector = FixedDetector(Box(0, 0, 5, 5))
    assert Recognizer(detector, BrightnessClassifier()).predict(flat(9), boxes=[]).predictions == ()
    assert detector.frames == []


@pytest.mark.parametrize("wrong", [(1, 2, 3, 4), [1, 2, 3, 4], {"left": 1}, np.float32([1, 2, 3, 4]), None, "face"])
def test_a_box_of_another_kind_is_refused(wrong):
    with pytest.raises(UsageError, match=r"expected boxes as mien\.Box\(left, top, right, bottom\) or mien\.Face"):
        Recognizer(FixedDetector(), BrightnessClassifier()).predict(flat(9), boxes=[Box(1, 1, 2, 2), wrong])


@pytest.mark.parametrize("box", [Box(-900, -900, -800, -800), Box(0.2, 0.2, 0.4, 0.4), Box(-1e5, -1e5, 1e5, 1e5)])
def test_a_box_anywhere_gives_a_defined_result(recognizer, box):
    (prediction,) = recognizer.predict(astronaut(), boxes=[box]).predictions
    assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-6)


def test_more_faces_than_go_to_the_runtime_at_once(recognizer):
    boxes = [Box(178 + shift, 65, 270 + shift, 176) for shift in range(-70, 70)]
    predictions = recognizer.predict(astronaut(), boxes=boxes).predictions
    assert [prediction.face.box for prediction in predictions] == boxes
    (alone,) = recognizer.predict(astronaut(), boxes=[boxes[135]]).predictions
    assert predictions[135].probabilities == pytest.approx(alone.probabilities, abs=1e-5)


# -- whole images


def test_whole_hands_a_crop_on_untouched_and_own_boxes_are_cropped_by_the_card():
    image = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    frame = np.repeat(image[..., None], 3, axis=2)
    classifier = BrightnessClassifier()
    recognizer = Recognizer(WholeImageDetector(), classifier)
    recognizer.predict(frame)
    recognizer.predict(frame, boxes=[Box(0, 0, 8, 8)])
    found, given = classifier.crops
    assert np.array_equal(found[0, ..., 0], image)
    assert np.array_equal(given[0], crop(frame, Face(Box(0, 0, 8, 8)), CARD.crop, 8, 1))
    assert not np.array_equal(found, given)


# -- any form of an image


def test_a_path_bytes_and_an_array_give_the_same(recognizer, tmp_path):
    file = tmp_path / "astronaut.png"
    content = encoded(Image.fromarray(astronaut()))
    file.write_bytes(content)
    forms = [str(file), file, content, bytearray(content), memoryview(content), astronaut()]
    results = [recognizer.predict(form) for form in forms]
    assert [result.source for result in results] == [str(file)] * 2 + ["<bytes>"] * 3 + ["<array>"]
    assert {result.predictions for result in results} == {results[0].predictions}
    assert len(results[0].predictions) == 1


@pytest.mark.parametrize(("colour", "luma"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)])
@pytest.mark.parametrize("form", ["path", "bytes", "array"])
def test_red_and_blue_swapped_anywhere_on_the_way_would_show_in_the_crop(tmp_path, form, colour, luma):
    frame = flat(colour)
    (tmp_path / "flat.png").write_bytes(encoded(Image.fromarray(frame)))
    forms = {"path": tmp_path / "flat.png", "bytes": encoded(Image.fromarray(frame)), "array": frame}
    detector, classifier = FixedDetector(Box(2, 2, 9, 9)), BrightnessClassifier()
    Recognizer(detector, classifier).predict(forms[form])
    assert tuple(detector.frames[0][0, 0]) == colour
    assert np.unique(classifier.crops[0]) == [luma]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"no image", "the 8 bytes given"),
        ("absent.jpg", "'absent.jpg'.*no such file"),
        (np.zeros((4, 4, 2), np.uint8), "in RGB order; received an array of uint8 with shape"),
        (np.zeros((4, 4, 3)), "received an array of float64"),
        (7, "received an int"),
    ],
)
def test_what_is_no_image_is_refused(wrong, message):
    with pytest.raises(ImageError, match=message):
        Recognizer(FixedDetector(), BrightnessClassifier()).predict(wrong)


UNDO = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", UNDO)
def test_the_eight_orientations_of_exif_give_the_same(recognizer, orientation):
    """Reliability 4; PNG, so that the pixels are the same however the image is stored."""
    upright = Image.fromarray(astronaut()[:400])
    stored = upright if UNDO[orientation] is None else upright.transpose(UNDO[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    (expected,) = recognizer.predict(np.asarray(upright)).predictions
    (found,) = recognizer.predict(encoded(stored, exif=exif)).predictions
    assert dataclasses.astuple(found.face.box) == pytest.approx(dataclasses.astuple(expected.face.box), abs=2)
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)


def in_mode(frame, mode):
    """An encoded image that holds a frame in one of Pillow's modes."""
    if mode == "I;16":
        grey = np.asarray(Image.fromarray(frame).convert("L")).astype(np.uint16) * 257
        return encoded(Image.fromarray(grey))
    return encoded(Image.fromarray(frame).convert(mode), "TIFF" if mode == "CMYK" else "PNG")


MODES = ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 10_000), (10_000, 1)])
def test_the_smallest_and_thinnest_images_of_every_mode_give_defined_results(recognizer, whole, mode, height, width):
    image = in_mode(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8), mode)
    assert recognizer.predict(image) == FrameResult("<bytes>")
    (prediction,) = whole.predict(image).predictions
    assert prediction.face == Face(Box(0, 0, width, height))
    assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("mode", MODES[1:])  # one bit a pixel leaves no face that a cascade would find
def test_a_face_in_every_mode_is_found_and_read(recognizer, mode):
    (prediction,) = recognizer.predict(in_mode(astronaut()[:300, 80:380], mode)).predictions
    assert prediction.face.box.iou(Box(98, 65, 190, 176)) > 0.5
    assert prediction.emotion == "happy"


# -- real faces


@pytest.mark.parametrize(("head", "names"), [("fused", FER2013), ("fer2013", FER2013), ("ferplus", FERPLUS)])
def test_the_astronaut_shows_a_smile(haar, classifier, head, names):
    recognizer = Recognizer(haar, classifier, head)
    (prediction,) = recognizer.predict(astronaut()).predictions
    assert prediction.labels == recognizer.labels == tuple(map(str, names))
    assert {type(label) for label in prediction.labels} == {str}
    assert prediction.face.box.iou(BOX) > 0.5
    assert (prediction.emotion, prediction.unsure) == ("happy", False)
    assert prediction.unsure_below == classifier.card.output(head).unsure_below


def test_the_largest_face_comes_first(recognizer):
    frame = np.full((512, 800, 3), 128, np.uint8)
    frame[:256, :256] = cv2.resize(astronaut(), (256, 256), interpolation=cv2.INTER_AREA)
    frame[:, 288:] = astronaut()
    large, small = recognizer.predict(frame).predictions
    assert large.face.box.area > 3 * small.face.box.area
    assert large.face.box.left > 288 > small.face.box.right


def test_a_photograph_by_its_path(recognizer):
    with get_sample_data("grace_hopper.jpg") as photograph:
        result = recognizer.predict(photograph.name)
    assert Path(result.source).name == "grace_hopper.jpg"
    assert len(result.predictions) == 1
    assert result.error is None


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK"])
def test_a_pillow_image_gives_what_its_file_gives(recognizer, mode):
    image = Image.fromarray(astronaut()[:300, 80:380]).convert(mode)
    (found,) = recognizer.predict(image).predictions
    (expected,) = recognizer.predict(encoded(image, "TIFF" if mode == "CMYK" else "PNG")).predictions
    assert (found.face, found.probabilities) == (expected.face, expected.probabilities)


def test_a_pillow_image_is_turned_upright_and_has_the_name_of_its_file(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(flat(9, 10, 30)), exif=exif))
    detector = FixedDetector()
    with Image.open(tmp_path / "a.png") as image:
        result = Recognizer(detector, BrightnessClassifier()).predict(image)
    assert (result.source, detector.frames[0].shape) == (str(tmp_path / "a.png"), (30, 10, 3))
    assert Recognizer(detector, BrightnessClassifier()).predict(Image.fromarray(flat(9))).source == "<image>"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.new("F", (4, 4)), "the Pillow image of 4 x 4: expected pixels of 8 or 16 bits"),
        (Image.new("L", (8000, 8000)), "expected 1 to 40,000,000 pixels"),
        (Image.new("L", (0, 4)), "expected 1 to 40,000,000 pixels"),
        (Image.open(io.BytesIO(encoded(Image.fromarray(astronaut()))[:-3000])), "can't be decoded"),
    ],
    ids=["float", "large", "empty", "cut short"],
)
def test_a_pillow_image_that_can_t_be_used_is_refused(image, message):
    with pytest.raises(ImageError, match=message):
        Recognizer(FixedDetector(), BrightnessClassifier()).predict(image)


# -- many images


def test_analyze_names_each_image_and_keeps_its_frame():
    def torn():
        raise ImageError("row 7 holds no image")

    image = flat(255)
    sources = [("a", image), ("b", lambda: image), ("c", torn), ("d", b"no image"), ("e", lambda: b"neither")]
    results = list(Recognizer(FixedDetector(Box(2, 2, 9, 9)), BrightnessClassifier()).analyze(sources))
    assert [analysis.result.source for analysis in results] == ["a", "b", "c", "d", "e"]
    assert [analysis.frame is image for analysis in results] == [True, True, False, False, False]
    assert [len(analysis.result.predictions) for analysis in results] == [1, 1, 0, 0, 0]
    assert results[2] == Analysis(FrameResult("c", error="row 7 holds no image"), None)
    assert "the 8 bytes given" in results[3].result.error


def test_analyze_passes_on_what_is_no_fault_of_an_image():
    def broken():
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(Recognizer(FixedDetector(), BrightnessClassifier()).analyze([("a", broken)]))


def test_a_notebook_shows_the_image_and_a_table(recognizer):
    (face,) = recognizer.analyze([("<me>.png", astronaut())])
    shown = face._repr_html_()
    assert shown.startswith('<img src="data:image/png;base64,iVBOR')
    assert shown.endswith(face.result._repr_html_())
    table = face.result._repr_html_()
    (prediction,) = face.result.predictions
    for words in ("&lt;me&gt;.png", "<td>happy", f"{prediction.probability:.0%}", "rgb(236, 172, 32)"):
        assert words in table
    assert FrameResult("a<b")._repr_html_() == "<p>a&lt;b: no face found</p>"
    warned = FrameResult("a", warnings=("10 & 12 bits", "cut"))._repr_html_()
    assert warned == "<p>a: no face found</p><p>Warning: 10 &amp; 12 bits</p><p>Warning: cut</p>"
    torn = Analysis(FrameResult("a", error="torn & gone"), None)
    assert torn._repr_html_() == torn.result._repr_html_() == "<p>a: torn &amp; gone</p>"


def test_many_images_keep_their_order_and_one_that_fails_stops_none(tmp_path):
    good = encoded(Image.fromarray(flat(255)))
    (tmp_path / "good.png").write_bytes(good)
    (tmp_path / "cut.png").write_bytes(good[:40])
    images = [
        tmp_path / "good.png",
        str(tmp_path / "absent.png"),
        good,
        b"no image",
        tmp_path / "cut.png",
        np.zeros((3, 3)),
        flat(0),
    ]
    results = list(Recognizer(FixedDetector(Box(2, 2, 9, 9)), BrightnessClassifier()).predict_many(images))
    names = [str(tmp_path / name) for name in ("good.png", "absent.png", "cut.png")]
    assert [result.source for result in results] == [*names[:2], "<bytes>", "<bytes>", names[2], "<array>", "<array>"]
    assert [result.error is None for result in results] == [True, False, True, False, False, False, True]
    assert [len(result.predictions) for result in results] == [1, 0, 1, 0, 0, 0, 1]
    assert "no such file" in results[1].error
    assert [results[at].predictions[0].emotion for at in (0, 2, 6)] == ["open", "open", "shut"]


def test_many_images_are_read_one_at_a_time():
    detector = FixedDetector()
    results = Recognizer(detector, BrightnessClassifier()).predict_many(itertools.repeat(flat(7)))
    assert len(list(itertools.islice(results, 3))) == 3
    assert len(detector.frames) == 3


# -- the default recognizer


def test_the_default_recognizer_works_offline_right_after_installation(empty_store):
    usual = Recognizer.load(store=empty_store, threads=1)
    assert usual.classifier.card.name == "compact"
    assert usual.labels == tuple(map(str, FER2013))
    (prediction,) = usual.predict(astronaut()).predictions
    assert isinstance(prediction, Prediction)
    assert prediction.emotion == "happy"


@pytest.mark.parametrize("as_text", [True, False])
def test_a_model_by_its_path(shipped_model, empty_store, tmp_path, as_text):
    file = tmp_path / "mine.onnx"
    file.write_bytes(shipped_model)
    model = str(file) if as_text else file
    recognizer = Recognizer.load(model, detector="whole", head="ferplus", store=empty_store)
    assert recognizer.labels == tuple(map(str, FERPLUS))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"model": "collosal"},
            ModelError,
            r"one of the models \['compact', .*'faces', 'yunet', .*received 'collosal'",
        ),
        ({"model": Path("absent.onnx")}, ModelError, "there is none at absent.onnx"),
        ({"detector": "mtcnn"}, UsageError, "auto, yunet, haar, whole, or an .onnx file; received 'mtcnn'"),
        ({"detector": "yunet"}, ModelMissingError, "mien models pull yunet"),
        ({"head": "affectnet"}, ModelError, r"\['fused', 'fer2013', 'ferplus'\].*received 'affectnet'"),
    ],
)
def test_what_can_t_be_loaded_is_refused(empty_store, arguments, error, message):
    with pytest.raises(error, match=message):
        Recognizer.load(store=empty_store, **{"detector": "whole", **arguments})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("auto", MienDetector),
        ("faces", MienDetector),
        ("haar", HaarDetector),
        ("whole", WholeImageDetector),
        ("yunet", YuNetDetector),
    ],
)
def test_a_detector_by_name(store_with_yunet, name, kind):
    assert isinstance(find_detector(name, store_with_yunet), kind)


def test_yunet_from_the_store_is_taken_as_it_is(store_with_yunet):
    assert find_detector("yunet", store_with_yunet).detect(flat(9, 32, 32)) == []


def test_the_shipped_pipeline_on_the_astronaut(empty_store):
    (prediction,) = Recognizer.load(store=empty_store).predict(astronaut()).predictions
    assert prediction.face.landmarks is not None
    assert prediction.emotion == "happy"


@pytest.mark.shared
def test_the_real_yunet_from_the_store(shared, empty_store):
    empty_store.add(shared / "models" / "yunet_n_dynamic.onnx")
    recognizer = Recognizer.load(detector="yunet", store=empty_store)
    assert isinstance(recognizer.detector, YuNetDetector)
    (prediction,) = recognizer.predict(astronaut()).predictions
    assert prediction.face.landmarks is not None
    assert prediction.emotion == "happy"


# -- videos


def test_a_video_is_read_frame_by_frame_as_its_frames_alone(tmp_path):
    frames = [flat(20 * number, 24, 32) for number in range(11)]
    clip = write_frames(tmp_path / "clip.avi", frames, fps=10)
    detector, classifier = FixedDetector(Box(2, 2, 14, 14), Box(18, 2, 30, 14)), BrightnessClassifier()
    results = list(
        Recognizer(detector, classifier).stream(clip, tracker=Tracker(TrackerConfig(0.0, 1.0, 0.0, 0.0, 0.0)))
    )
    assert [result.index for result in results] == list(range(11))
    assert [result.seconds for result in results] == pytest.approx([number / 10 for number in range(11)], abs=1e-3)
    assert {result.source for result in results} == {str(clip)}
    assert all([one.track for one in result.predictions] == [1, 2] for result in results)
    for number, result in enumerate(results):
        for one in result.predictions:
            assert one.probability_of("open") == pytest.approx(max(20 * number / 255, 1e-3), abs=0.02)
    assert max(len(crops) for crops in classifier.crops) > 2  # faces of several frames in one go


def test_sampling_skips_frames_of_a_video(tmp_path):
    clip = write_frames(tmp_path / "clip.avi", [flat(9, 24, 32)] * 11, fps=10)
    detector = FixedDetector(Box(2, 2, 14, 14))
    results = list(Recognizer(detector, BrightnessClassifier()).stream(clip, Sampling(stride=4)))
    assert [result.index for result in results] == [0, 4, 8]
    assert len(detector.frames) == 3


def test_analyze_video_passes_each_frame_to_its_consumers_and_yields_progress(tmp_path):
    clip = write_frames(tmp_path / "clip.avi", [flat(9, 24, 32)] * 10, fps=10)
    recognizer, calls = Recognizer(FixedDetector(Box(2, 2, 14, 14)), BrightnessClassifier()), []
    consumers = [lambda frame, result: calls.append(("a", frame.index, result)), lambda *_: calls.append(("b",))]
    shares = list(recognizer.analyze_video(FileSource(clip), "clip", Sampling(stride=3), consumers))
    assert [call[0] for call in calls] == ["a", "b"] * 4
    frames = [(index, result.index, result.source) for _, index, result in calls[::2]]
    assert frames == [(index, index, "clip") for index in (0, 3, 6, 9)]
    assert shares == pytest.approx([0.0, 0.3, 0.6, 0.9], abs=1e-3)


def test_a_closed_stream_ends_its_threads(tmp_path):
    clip = write_frames(tmp_path / "clip.avi", [flat(9, 24, 32)] * 40)
    results = Recognizer(FixedDetector(Box(2, 2, 14, 14)), BrightnessClassifier()).stream(clip)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "mien prefetch"]


def test_an_error_in_the_middle_of_a_video_is_raised_where_it_is_read(tmp_path):
    class Torn(FixedDetector):
        def detect(self, frame):
            if len(self.frames) == 6:
                raise ModelError("torn")
            return super().detect(frame)

    clip = write_frames(tmp_path / "clip.avi", [flat(9, 24, 32)] * 20)
    results = Recognizer(Torn(Box(2, 2, 14, 14)), BrightnessClassifier()).stream(clip)
    with pytest.raises(ModelError, match="torn"):
        list(results)
    assert not [thread for thread in threading.enumerate() if thread.name == "mien prefetch"]


def test_the_shipped_pipeline_tracks_a_face_through_a_clip(tmp_path):
    clip = write_frames(tmp_path / "face.avi", swaying_face(30))
    results = list(Recognizer.load().stream(clip))
    assert [[(one.track, one.emotion) for one in result.predictions] for result in results] == [[(1, "happy")]] * 30


class Looped:
    """Ten minutes of a clip, again and again, opened and closed each time."""

    def __init__(self, clip):
        self.clip, self.seconds = clip, 600.0

    def frames(self, sampling):
        numbers, begun = itertools.count(), 0.0
        while begun < self.seconds:
            source = FileSource(self.clip)
            for frame in source.frames(sampling):
                last = begun + frame.seconds
                yield VideoFrame(next(numbers), last, frame.image)
            source.close()
            begun = last + 1 / source.fps

    def close(self):
        """Nothing is open between the loops."""


@pytest.mark.long
def test_ten_minutes_of_video_leave_memory_threads_and_files_as_they_were(tmp_path):
    def used():
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096 / 1e6, len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    timeline, curves, figures = Timeline(), Curves(), []
    source = Looped(write_frames(tmp_path / "face.avi", swaying_face(250), fps=25))
    for frame, result in Recognizer.load().watch(source, "loop"):
        timeline.add(result)
        curves.add(frame.image, result)
        if frame.index % 1000 == 500:  # the threads are there yet
            figures.append(used())
    assert frame.index == 14_999
    memory, files, threads = zip(*figures, strict=True)
    assert memory[-1] - memory[2] < 5, memory
    assert max(files) - min(files) <= 1, files  # the clip is open, or between two loops
    assert len(set(threads)) == 1, threads
    (track,) = timeline.tracks()
    assert track.segments
