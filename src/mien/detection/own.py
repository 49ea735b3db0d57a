"""mien's own face detector: one small network, its card inside the file, shipped in the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mien.detection.cell_detector import CellDetector, Look
from mien.detection.cells import CELL
from mien.errors import ModelError
from mien.onnx_guard import check_onnx, detector_card_in, open_session, read_onnx
from mien.probabilities import sigmoid

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


class OwnDetector(CellDetector):
    """Finds faces with a detector that ``mien train --model face-detector`` taught; several threads may share it.

    Attributes:
        card: its threshold, the framing of its boxes, and where it came from.
    """

    smallest = 16.0
    """Of less no expression can be read, and half of all false faces are as small: enlarged, a hand or a letter looks
    like one."""

    looks = (Look(640, enlarge=2.0, most=0.4), Look(320, least=0.25))

    def __init__(self, model: Path | bytes, *, score: float | None = None, threads: int = 1) -> None:
        """Loads the network.

        Args:
            model: the .onnx file, or its bytes.
            score: the least score of a face, 0 to 1; None: the card's.
            threads: of ONNX Runtime within one call; 0: one a core.

        Raises:
            ModelError: there is no such file, or it is no detector of mien's.
        """
        content = model if isinstance(model, bytes) else read_onnx(model)
        check_onnx(content)
        self._session = open_session(content, threads)
        self.card = detector_card_in(self._session)
        super().__init__(self.card.score if score is None else score, self.card.overlap)
        outputs = self._session.get_outputs()
        if len(outputs) != 1 or outputs[0].shape[-1] != CELL:
            raise ModelError(f"expected one output of {CELL} numbers a cell; received {[o.shape for o in outputs]}")

    def cells(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """As ``CellDetector`` asks."""
        cells: npt.NDArray[np.float32] = self._session.run(None, {self._session.get_inputs()[0].name: pictures})[0]
        cells[..., 0] = sigmoid(cells[..., 0])
        cells[..., 3:5] += np.log(self.card.framing)
        return cells
