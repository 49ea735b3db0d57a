"""Inference in the browser agrees with Python: avatars, face crops, tracks, whole images."""

from __future__ import annotations

import base64
import io
import json
import random
from dataclasses import asdict

import cv2
import matplotlib.cbook
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.apps.web import constants
from mien.classification.face_crop import crop
from mien.classification.quality import quality_issues
from mien.models.card import CropRule
from mien.outputs import to_dict
from mien.outputs.schema import points_of
from mien.structures import Box, Face, FrameResult, Landmarks, Point, Prediction
from mien.tracking.tracker import Tracker
from mien.visualization.avatar import POSES, pose, shapes

LABELS = tuple(map(str, POSES))
PROBABILITY_TOLERANCE, PIXEL_TOLERANCE = 0.02, 2

OUTLINES = """async (rows) => {
  const [{ shapes }, { pose }] = await Promise.all([import("/assets/ui/outlines.js"), import("/assets/ui/avatar.js")]);
  return JSON.stringify(rows.map(([labels, probabilities]) => shapes(pose(labels, probabilities))));
}"""

CROPS = """async ([image, cases]) => {
  const { crop } = await import("/assets/inference/face_crop.js");
  const { qualityIssues } = await import("/assets/inference/quality.js");
  const data = Uint8Array.from(atob(image.data), (sign) => sign.charCodeAt(0));
  return cases.map(({ face, rule, size, channels }) => {
    const faceCrop = crop({ ...image, channels: 3, data }, face, rule, size, channels);
    return [[...faceCrop.data], qualityIssues(face, faceCrop)];
  });
}"""

TRACKS = """async (frames) => {
  const { Tracker } = await import("/assets/inference/tracker.js");
  const { toResult } = await import("/assets/inference/predictions.js");
  const tracker = new Tracker();
  return frames.map(([seconds, found], index) => toResult("", index, seconds, tracker.follow(found, seconds)));
}"""

PREDICT = """async (bytes) => {
  const image = new Blob([Uint8Array.from(atob(bytes), (sign) => sign.charCodeAt(0))]);
  const { BrowserBackend } = await import("/assets/ui/backends.js");
  window.backend ??= new BrowserBackend("", { onStatus: () => {}, onResult: () => {} });
  return window.backend.predictPhoto(new File([image], "photo.png"));
}"""


def test_constants_are_up_to_date():
    assert constants.CONSTANTS_FILE.read_text(encoding="utf-8") == constants.to_javascript(), (
        "run python -m mien.apps.web.constants"
    )


def test_avatar_outlines_are_those_of_python(visit, server):
    rng = random.Random(0)
    rows = [[[label], [1.0]] for label in (*LABELS, "happiness", "sleepy")]
    rows += [[list(LABELS), [rng.random() ** 3 for _ in LABELS]] for _ in range(60)]
    drawn = json.loads(visit(server.address).page.evaluate(OUTLINES, rows))  # as text, which is far faster
    for row, outlines in zip(rows, drawn, strict=True):
        expected = shapes(pose(*row))
        assert len(outlines) == len(expected)
        for outline, shape in zip(outlines, expected, strict=True):
            assert np.allclose(outline["points"], shape.points, rtol=0, atol=1e-9)
            colours = tuple(list(colour) if colour else None for colour in (shape.fill, shape.stroke))
            assert (outline["fill"], outline["stroke"]) == colours
            assert outline["width"] == pytest.approx(shape.width)


def face_to_js(face: Face) -> dict:
    edges = {name: getattr(face.box, name) for name in ("left", "top", "right", "bottom")}
    return {"box": edges, "landmarks": [list(point) for point in points_of(face.landmarks)] if face.landmarks else None}


@pytest.mark.parametrize("channels", [1, 3])
def test_face_crops_are_those_of_python(visit, server, channels):
    image = np.ascontiguousarray(astronaut()[:300, 100:400])
    leaning = Landmarks(Point(100, 110), Point(140, 90), Point(125, 120), Point(110, 140), Point(140, 130))
    rolled = Landmarks(Point(140, 90), Point(100, 100), Point(122, 80), Point(138, 60), Point(104, 66))
    cases = [
        (Face(Box(62.3, 40.7, 190.2, 205.5)), CropRule(1.2), 48),
        (Face(Box(-60, -40, 50, 70)), CropRule(1.2), 48),  # reaches outside
        (Face(Box(100, 100, 117.5, 120)), CropRule(1.0), 48),  # grows
        (Face(Box(62, 40, 190, 205), leaning), CropRule(1.2, 10.0), 48),  # is turned upright
        (Face(Box(5, 5, 295, 295)), CropRule(1.2), 8),  # is halved first
        (Face(Box(62, 40, 190, 205), rolled), CropRule(1.2), 48),  # likewise, by the default rule
    ]
    height, width = image.shape[:2]
    requests = [
        {"face": face_to_js(face), "rule": asdict(rule), "size": size, "channels": channels}
        for face, rule, size in cases
    ]
    sent = {"width": width, "height": height, "data": base64.b64encode(image.tobytes()).decode()}
    crops = visit(server.address).page.evaluate(CROPS, [sent, requests])
    for (face, rule, size), (data, issues) in zip(cases, crops, strict=True):
        face_crop = crop(image, face, rule, size, channels)
        assert np.abs(np.array(data).reshape(face_crop.shape) - face_crop.astype(int)).max() <= 1
        assert tuple(issues) == quality_issues(face, face_crop)


def test_tracks_are_those_of_python(visit, server):
    rng = random.Random(1)
    labels, tracker, requests, expected = ("happy", "sad", "neutral"), Tracker(), [], []
    for index in range(80):
        seconds, predictions = 0.07 * index + (2.0 if index > 60 else 0.0), []
        for place in range(3):
            if rng.random() < 0.8:
                x, y = 100 * place + 30 * np.sin(index / 5), 50 + 3 * rng.random()
                row = np.array([rng.random() ** 2 + 0.01 for _ in labels])
                face = Face(Box(x, y, x + 60, y + 70), confidence=(0.5, 0.9, 0.7)[place])
                predictions.append(Prediction(face, labels, tuple(row / row.sum()), 0.6))
        requests.append([seconds, [prediction_to_js(prediction) for prediction in predictions]])
        expected.append(to_dict(FrameResult("", index, seconds, tracker.follow(predictions, seconds))))
    results = visit(server.address).page.evaluate(TRACKS, requests)
    for result, right in zip(results, expected, strict=True):
        assert_agrees(result, right, 1e-4, 0)


def prediction_to_js(prediction: Prediction) -> dict:
    return {
        "face": {**face_to_js(prediction.face), "confidence": prediction.face.confidence}, "labels": prediction.labels,
        "probabilities": prediction.probabilities, "unsureBelow": prediction.unsure_below,
        "qualityIssues": [], "stableLabel": None,
    }  # fmt: skip


def assert_agrees(result, right, probable, pixels):
    """Compares a result of the page with one of Python."""
    assert [face["emotion"] for face in result["faces"]] == [face["emotion"] for face in right["faces"]]
    for one, other in zip(result["faces"], right["faces"], strict=True):
        assert list(one) == list(other)
        assert np.abs(np.subtract(one["box"], other["box"])).max() <= pixels
        if other["landmarks"]:
            assert np.abs(np.subtract(one["landmarks"], other["landmarks"])).max() <= pixels
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=probable)
        assert one["confidence"] == pytest.approx(other["confidence"], abs=probable)
        assert one["unsure_below"] == pytest.approx(other["unsure_below"])
        for name in ("unsure", "turned_away", "reasons", "quality_issues", "track"):
            assert one[name] == other[name]
    assert {**result, "faces": []} == {**right, "faces": []}


def images():
    hopper = Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    hopper, whole = np.asarray(hopper), astronaut()
    drawn = np.full((240, 320, 3), 90, np.uint8)
    cv2.ellipse(drawn, (160, 120), (60, 75), 0, 0, 360, (230, 200, 180), -1)
    cv2.circle(drawn, (135, 105), 7, (20, 20, 20), -1)
    cv2.circle(drawn, (185, 105), 7, (20, 20, 20), -1)
    cv2.ellipse(drawn, (160, 155), (25, 10), 0, 0, 180, (120, 30, 30), 4)
    return {
        "whole": whole,
        "hopper": hopper,
        "two": np.hstack([whole[:400], hopper[:400]]),
        "small": cv2.resize(whole, (141, 139), interpolation=cv2.INTER_AREA),
        "fills the image": hopper[60:330, 150:400],
        "blurred": cv2.GaussianBlur(whole, (0, 0), 4),
        "leaning": np.asarray(Image.fromarray(hopper).rotate(20)),
        "dark": whole // 8,
        "cut at the edge": whole[:170, 180:330],
        "drawn": drawn,
        "blank": np.full((100, 60, 3), 255, np.uint8),
        "upside down": np.ascontiguousarray(hopper[::-1, ::-1]),
        "on its side": np.rot90(whole),
        "rolled by 60 degrees": np.asarray(Image.fromarray(hopper).rotate(-60, Image.Resampling.BICUBIC, expand=True)),
        "panorama": np.hstack([np.full((512, 3500, 3), 90, np.uint8), whole]),
        "strip": np.vstack([np.full((1200, 512, 3), 90, np.uint8), whole, np.full((900, 512, 3), 90, np.uint8)]),
    }


def test_results_are_those_of_python(visit, full_server, recognizer):
    page = visit(full_server.address).page
    found = 0
    for image in images().values():
        encoded = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(image)).save(encoded, "PNG")
        result = page.evaluate(PREDICT, base64.b64encode(encoded.getvalue()).decode())
        predictions = recognizer.predict(np.ascontiguousarray(image)).predictions
        right = json.loads(json.dumps(to_dict(FrameResult("photo.png", predictions=predictions))))
        assert_agrees(result, right, PROBABILITY_TOLERANCE, PIXEL_TOLERANCE)
        found += len(right["faces"])
    assert found >= 12
    # no frame left the page: it requested itself, the runtime and the models
    assert {method for method, _ in full_server.requests} == {"GET"}
    assert all(path.startswith(("/assets/", "/ort/", "/v1/models")) or path == "/" for _, path in full_server.requests)
