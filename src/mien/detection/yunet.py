"""YuNet on ONNX Runtime: boxes, five landmarks and scores, decoded without OpenCV's DNN module.

Source: Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector", and its dynamic export in
github.com/ShiqiYu/libfacedetection.train (Apache-2.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.detection.grid import STRIDES, GridDetector
from mien.detection.orientation import turn_upright
from mien.errors import ModelError
from mien.models.onnx_file import check_onnx, open_session, read_onnx

if TYPE_CHECKING:
    from pathlib import Path

    from mien.structures import Face, Frame

OUTPUT_KINDS = ("cls", "obj", "bbox", "kps")
OUTPUTS = tuple(f"{kind}_{stride}" for kind in OUTPUT_KINDS for stride in STRIDES)

SCORE_THRESHOLD = 0.7
"""On 1,000 images of things and animals, most candidates between 0.6 and 0.7 are no faces."""

NMS_THRESHOLD = 0.3


class YuNetDetector(GridDetector):
    """Finds faces with YuNet; safe to call from several threads.

    Example:
        After ``mien models pull yunet``::

            detector = YuNetDetector(ModelStore().load("yunet"))
            faces = detector.detect(frame)
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        score_threshold: float = SCORE_THRESHOLD,
        nms_threshold: float = NMS_THRESHOLD,
        threads: int = 1,
    ) -> None:
        """Load the network.

        Args:
            model: the .onnx file, or its bytes.
            score_threshold: least score of a face, 0 to 1.
            nms_threshold: IoU above which the lesser of two boxes is removed.
            threads: of ONNX Runtime within one call; 0: one per core. One is the fastest for images one by one: 17 ms
                against 26 on two (docs/benchmarks.md).

        Raises:
            ModelError: there is no such file, or it is no YuNet.
        """
        super().__init__(score_threshold, nms_threshold)
        self._session = _session(model, threads)

    def grid_cells(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Run the network; see ``GridDetector.grid_cells``."""
        bgr = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2), np.float32)
        outputs = self._session.run(OUTPUTS, {self._session.get_inputs()[0].name: bgr})
        return cells_from(dict(zip(OUTPUTS, outputs, strict=True)))

    def rescore(self, frame: Frame, faces: list[Face]) -> list[Face]:
        """All candidates, upright."""
        return turn_upright(self, frame, faces)


def cells_from(outputs: dict[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Convert YuNet's twelve output maps to grid cells; the score of a cell is sqrt(cls obj).

    Args:
        outputs: by name, each (count, cells, values): cls_8 and obj_8 (1), bbox_8 (4), kps_8 (10), and so on.

    Returns:
        float32 (count, cells, 15).
    """
    cls, obj, bbox, kps = (
        np.concatenate([outputs[f"{kind}_{stride}"] for stride in STRIDES], axis=1) for kind in OUTPUT_KINDS
    )
    return np.concatenate([np.sqrt(cls.clip(0, 1) * obj.clip(0, 1)), bbox, kps], axis=2)


def _session(model: Path | bytes, threads: int) -> Any:
    content = model if isinstance(model, bytes) else read_onnx(model)
    check_onnx(content)
    session = open_session(content, threads)
    names = {output.name for output in session.get_outputs()}
    if not names.issuperset(OUTPUTS):
        raise ModelError(f"expected YuNet with the outputs {', '.join(OUTPUTS)}; received {', '.join(sorted(names))}")
    return session
