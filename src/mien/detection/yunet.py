"""YuNet on ONNX Runtime: boxes, five landmarks and scores, decoded here so that OpenCV's DNN module is not needed.

Source: Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector", and its dynamic export in
github.com/ShiqiYu/libfacedetection.train (Apache-2.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mien.arrays import Frame, check_frame
from mien.detection.boxes import largest_first, scaled, suppress
from mien.errors import ModelError
from mien.faces import Box, Face, Landmarks, Point
from mien.onnx_guard import check_onnx, open_session, read_onnx

if TYPE_CHECKING:
    from pathlib import Path

STRIDES = (8, 16, 32)
OUTPUTS = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES)

SCORE = 0.7
"""The least score of a face: on 1,000 pictures of things and animals most of what lies between 0.6 and 0.7 is none."""

OVERLAP = 0.3


class Look(NamedTuple):
    """One scale at which the network sees a picture, since it finds faces of about 10 to 300 pixels.

    Attributes:
        longest: side of the picture in pixels.
        enlarge: how many times a small picture may be enlarged to come near that.
        border: black pixels around, for faces cut at the edge.
        least: height of the smallest face that counts, over the picture's longer side.
    """

    longest: int
    enlarge: float = 1.0
    border: int = 0
    least: float = 0.0


LOOKS = (Look(640, enlarge=2.0), Look(320, least=0.3))
"""Both are taken: small faces, then faces that fill the frame."""

LAST_LOOK = Look(160, border=80, least=0.3)
"""Taken where the others found nothing."""


class Found(NamedTuple):
    """What was decoded, in pixels of the network's input.

    Attributes:
        boxes: float32 (count, 4): left, top, right, bottom.
        points: float32 (count, 5, 2): right eye, left eye, nose, right and left mouth corner, each x and y.
        scores: float32 (count,), 0 to 1.
    """

    boxes: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]


class YuNetDetector:
    """Finds faces with YuNet; safe to call from several threads."""

    def __init__(self, model: Path | bytes, *, score: float = SCORE, nms: float = OVERLAP, threads: int = 1) -> None:
        """Loads the network.

        Args:
            model: the .onnx file, or its bytes.
            score: the least score of a face, 0 to 1.
            nms: intersection over union above which the lesser of two boxes goes.
            threads: of ONNX Runtime within one call; 0: one a core. One is the fastest for pictures one by one: 17 ms
                against 26 on two (docs/benchmarks.md).

        Raises:
            ModelError: there is no such file, or it is no YuNet.
        """
        self._session = _session(model, threads)
        self._score = score
        self._nms = nms

    def detect(self, frame: Frame) -> list[Face]:
        """The faces in a frame, largest first, with landmarks.

        Args:
            frame: uint8 (height, width, 3), RGB.

        Raises:
            PictureError: the frame is anything else.
        """
        frame = check_frame(frame)
        faces = [face for look in LOOKS for face in self._seen(frame, look)]
        return self._best(faces or self._seen(frame, LAST_LOOK))

    def _seen(self, frame: Frame, look: Look) -> list[Face]:
        """The candidates of one look, several a face."""
        picture, spans = scaled(frame, look.longest, look.enlarge)
        height, width = picture.shape[:2]
        border, cell = look.border, max(STRIDES)
        right, bottom = border - (width + 2 * border) % -cell, border - (height + 2 * border) % -cell
        padded = cv2.copyMakeBorder(picture, border, bottom, border, right, cv2.BORDER_CONSTANT)
        blue_first = np.ascontiguousarray(padded[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)
        outputs = self._session.run(OUTPUTS, {self._session.get_inputs()[0].name: blue_first})
        found = decode(dict(zip(OUTPUTS, outputs, strict=True)), padded.shape[1], self._score)
        faces = [_face(found, row, border, spans) for row in range(len(found.scores))]
        return [face for face in faces if face.box.height >= look.least * max(frame.shape[:2])]

    def _best(self, faces: list[Face]) -> list[Face]:
        """One candidate a face, largest first."""
        boxes = [(face.box.left, face.box.top, face.box.right, face.box.bottom) for face in faces]
        scores = np.array([face.confidence for face in faces], np.float32)
        kept = suppress(np.array(boxes, np.float32).reshape(-1, 4), scores, self._nms)
        return largest_first([faces[row] for row in kept])


def decode(outputs: dict[str, npt.NDArray[np.float32]], width: int, score: float) -> Found:
    """The candidates in YuNet's twelve output maps, one a cell, before suppression.

    A cell at column c and row r of stride s means a centre of (c + bbox[0], r + bbox[1]) s, a size of
    exp(bbox[2:]) s, landmarks at (c, r) s + kps s, and a score of sqrt(cls obj).

    Args:
        outputs: by name, each (1, cells, values): cls_8 and obj_8 (1), bbox_8 (4), kps_8 (10), and so on.
        width: of the network's input in pixels, a multiple of 32.
        score: the least score that is kept.
    """
    parts = []
    for stride in STRIDES:
        likely, object_, bbox, kps = (outputs[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox", "kps"))
        scores = np.sqrt(likely[:, 0].clip(0, 1) * object_[:, 0].clip(0, 1))
        cells = np.flatnonzero(scores >= score)
        corners = np.stack([cells % (width // stride), cells // (width // stride)], axis=1).astype(np.float32)
        centres = (corners + bbox[cells, :2]) * stride
        halves = np.exp(bbox[cells, 2:]) * (stride / 2)
        points = (corners[:, None] + kps[cells].reshape(-1, 5, 2)) * stride
        parts.append(Found(np.hstack([centres - halves, centres + halves]), points, scores[cells]))
    return Found(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _face(found: Found, row: int, border: int, spans: tuple[float, float]) -> Face:
    across, down = spans
    left, top, right, bottom = (found.boxes[row] - border).tolist()
    return Face(
        Box(left * across, top * down, right * across, bottom * down),
        Landmarks(*(Point(x * across, y * down) for x, y in (found.points[row] - border).tolist())),
        float(found.scores[row]),
    )


def _session(model: Path | bytes, threads: int) -> Any:
    content = model if isinstance(model, bytes) else read_onnx(model)
    check_onnx(content)
    session = open_session(content, threads)
    names = {output.name for output in session.get_outputs()}
    if not names.issuperset(OUTPUTS):
        raise ModelError(f"expected YuNet with the outputs {', '.join(OUTPUTS)}; received {', '.join(sorted(names))}")
    return session
