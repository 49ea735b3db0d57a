"""What the page reads by itself, beside what Python reads: avatars, face crops, tracks, whole images."""

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
PROBABLE, PIXELS = 0.02, 2

OUTLINES = """async (rows) => {
  const [{ shapes }, { pose }] = await Promise.all([import("/assets/outlines.js"), import("/assets/poses.js")]);
  return JSON.stringify(rows.map(([labels, probabilities]) => shapes(pose(labels, probabilities))));
}"""

CROPS = """async ([image, cases]) => {
  const [{ crop }, { flaws }] = await Promise.all([import("/assets/cropping.js"), import("/assets/quality.js")]);
  const data = Uint8Array.from(atob(image.data), (sign) => sign.charCodeAt(0));
  return cases.map(({ face, rule, size, channels }) => {
    const face crop = crop({ ...image, channels: 3, data }, face, rule, size, channels);
    return [[...face crop.data], flaws(face, face crop)];
  });
}"""

TRACKS = """async (frames) => {
  const { Tracker } = await import("/assets/tracking.js");
  const { resultOf } = await import("/assets/predictions.js");
  const tracker = new Tracker();
  return frames.map(([seconds, some], index) => resultOf("", index, seconds, tracker.follow(some, seconds)));
}"""

READ = """async (bytes) => {
  const image = new Blob([Uint8Array.from(atob(bytes), (sign) => sign.charCodeAt(0))]);
  const { BrowserReader } = await import("/assets/readers.js");
  window.reader ??= new BrowserReader("", { state: () => {}, result: () => {} });
  return window.reader.photo(new File([image], "photo.png"));
}"""


def test_the_description_is_what_python_says():
    assert constants.DESCRIPTION.read_text(encoding="utf-8") == constants.written(), (
        "run python -m mien.apps.web.constants"
    )


def test_avatars_have_the_outlines_of_python(visit, server):
    dice = random.Random(0)
    rows = [[[label], [1.0]] for label in (*LABELS, "happiness", "sleepy")]
    rows += [[list(LABELS), [dice.random() ** 3 for _ in LABELS]] for _ in range(60)]
    told = json.loads(visit(server.address).page.evaluate(OUTLINES, rows))  # as text, which is far faster
    for row, drawn in zip(rows, told, strict=True):
        wanted = shapes(pose(*row))
        assert len(drawn) == len(wanted)
        for one, shape in zip(drawn, wanted, strict=True):
            assert np.allclose(one["points"], shape.points, rtol=0, atol=1e-9)
            assert (one["fill"], one["stroke"]) == tuple(list(it) if it else None for it in (shape.fill, shape.stroke))
            assert one["width"] == pytest.approx(shape.width)


def as_js(face: Face) -> dict:
    edges = {name: getattr(face.box, name) for name in ("left", "top", "right", "bottom")}
    return {"box": edges, "landmarks": [list(point) for point in points_of(face.landmarks)] if face.landmarks else None}


@pytest.mark.parametrize("channels", [1, 3])
def test_crops_are_cut_as_python_cuts_them(visit, server, channels):
    image = np.ascontiguousarray(astronaut()[:300, 100:400])
    leaning = Landmarks(Point(100, 110), Point(140, 90), Point(125, 120), Point(110, 140), Point(140, 130))
    cases = [
        (Face(Box(62.3, 40.7, 190.2, 205.5)), CropRule(1.2), 48),
        (Face(Box(-60, -40, 50, 70)), CropRule(1.2), 48),  # reaches outside
        (Face(Box(100, 100, 117.5, 120)), CropRule(1.0), 48),  # grows
        (Face(Box(62, 40, 190, 205), leaning), CropRule(1.2, 10.0), 48),  # is turned upright
        (Face(Box(5, 5, 295, 295)), CropRule(1.2), 8),  # is halved first
    ]
    height, width = image.shape[:2]
    asked = [
        {"face": as_js(face), "rule": asdict(rule), "size": size, "channels": channels} for face, rule, size in cases
    ]
    sent = {"width": width, "height": height, "data": base64.b64encode(image.tobytes()).decode()}
    told = visit(server.address).page.evaluate(CROPS, [sent, asked])
    for (face, rule, size), (data, spoilt) in zip(cases, told, strict=True):
        face_crop = crop(image, face, rule, size, channels)
        assert np.abs(np.array(data).reshape(face_crop.shape) - face_crop.astype(int)).max() <= 1
        assert tuple(spoilt) == quality_issues(face, face_crop)


def test_tracks_are_those_of_python(visit, server):
    dice = random.Random(1)
    labels, tracker, asked, wanted = ("happy", "sad", "neutral"), Tracker(), [], []
    for index in range(80):
        seconds, predictions = 0.07 * index + (2.0 if index > 60 else 0.0), []
        for place in range(3):
            if dice.random() < 0.8:
                x, y = 100 * place + 30 * np.sin(index / 5), 50 + 3 * dice.random()
                row = np.array([dice.random() ** 2 + 0.01 for _ in labels])
                face = Face(Box(x, y, x + 60, y + 70), confidence=(0.5, 0.9, 0.7)[place])
                predictions.append(Prediction(face, labels, tuple(row / row.sum()), 0.6))
        asked.append([seconds, [plain(one) for one in predictions]])
        wanted.append(to_dict(FrameResult("", index, seconds, tracker.follow(predictions, seconds))))
    for told, right in zip(visit(server.address).page.evaluate(TRACKS, asked), wanted, strict=True):
        agrees(told, right, 1e-4, 0)


def plain(prediction: Prediction) -> dict:
    return {
        "face": {**as_js(prediction.face), "confidence": prediction.face.confidence}, "labels": prediction.labels,
        "probabilities": prediction.probabilities, "unsureBelow": prediction.unsure_below,
        "qualityIssues": [], "stableLabel": None,
    }  # fmt: skip


def agrees(told, right, probable, pixels):
    """Whether two results in the schema say the same."""
    assert [face["emotion"] for face in told["faces"]] == [face["emotion"] for face in right["faces"]]
    for one, other in zip(told["faces"], right["faces"], strict=True):
        assert list(one) == list(other)
        assert np.abs(np.subtract(one["box"], other["box"])).max() <= pixels
        if other["landmarks"]:
            assert np.abs(np.subtract(one["landmarks"], other["landmarks"])).max() <= pixels
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=probable)
        assert one["confidence"] == pytest.approx(other["confidence"], abs=probable)
        for name in ("unsure", "turned_away", "reasons", "track"):
            assert one[name] == other[name]
    assert {**told, "faces": []} == {**right, "faces": []}


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
    }


def test_the_page_reads_what_python_reads(visit, full_server, recognizer):
    page = visit(full_server.address).page
    found = 0
    for image in images().values():
        encoded = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(image)).save(encoded, "PNG")
        told = page.evaluate(READ, base64.b64encode(encoded.getvalue()).decode())
        predictions = recognizer.predict(np.ascontiguousarray(image)).predictions
        right = json.loads(json.dumps(to_dict(FrameResult("photo.png", predictions=predictions))))
        agrees(told, right, PROBABLE, PIXELS)
        found += len(right["faces"])
    assert found >= 9
    # no frame left the page: what was asked for is the page itself, the runtime and the models
    assert {method for method, _ in full_server.sent} == {"GET"}
    assert all(path.startswith(("/assets/", "/ort/", "/v1/models")) or path == "/" for _, path in full_server.sent)
