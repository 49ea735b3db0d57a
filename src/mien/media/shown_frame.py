"""From a decoded frame to the image that a player shows: without fields, with square pixels, upright, in RGB.

FFmpeg's own filters do it, so that colours and geometry equal those of ``ffmpeg``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import struct
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import VideoError
from mien.media.header import MAX_PIXELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mien.structures import Frame

UPRIGHT = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
"""The display matrix of a frame that is shown as it is stored."""

UNSPECIFIED = 2
"""FFmpeg's number for a colour matrix, transfer function or set of primaries that is not stated."""

MATRICES = {0: 0, 1: 1, 4: 4, 5: 5, 6: 6, 7: 7, 9: 9, 10: 9}
"""The colour matrices that FFmpeg's filters take; constant luminance (10) is read as the other kind of BT.2020."""

PIXEL_ASPECTS = (Fraction(1, 8), Fraction(8))
"""Pixel aspects between which a header is believed; no camera has others."""

VERTICAL_FLIP = (("vflip", ""), ("copy", ""))
"""The filter only counts the rows backwards, so they are copied."""

MIN_DEINTERLACED = (3, 4)
"""Width and height from which FFmpeg's deinterlacer works."""


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A frame as the decoder gave it, and what is needed to show it.

    Attributes:
        index: frame number, from 0.
        seconds: timestamp, counted from the first frame.
        frame: PyAV's frame.
        pixel_aspect: width of a pixel by its height.
        matrix: the nine numbers of the display matrix, as FFmpeg stores it.
    """

    index: int
    seconds: float
    frame: Any
    pixel_aspect: Fraction = Fraction(1)
    matrix: tuple[int, ...] = UPRIGHT


class Deinterlacer:
    """Fills the two fields of each interlaced frame up to a whole image; progressive frames pass as they are.

    A frame comes out when the next one goes in, since it is needed for the motion; no frame is added or lost.

    Args:
        first_field: "tff" or "bff" where the container says that all frames are interlaced, top or bottom field first;
            None where each frame says so itself.
        errors: what PyAV raises; frames that its filter refuses pass as they are.
    """

    def __init__(self, first_field: str | None = None, errors: tuple[type[Exception], ...] = ()) -> None:
        self._first_field, self._errors = first_field, errors
        self._graph: _Graph | None = None
        self._key: tuple[Any, ...] = ()
        self._waiting: deque[DecodedFrame] = deque()

    def push(self, decoded: DecodedFrame) -> Iterator[DecodedFrame]:
        """Take a frame; yields those that are ready, in order."""
        frame = _settled(decoded.frame)
        if self._key and self._key != _layout(frame):
            yield from self.flush()
        if self._graph is None:
            large = frame.width >= MIN_DEINTERLACED[0] and frame.height >= MIN_DEINTERLACED[1]
            if not large or not (frame.interlaced_frame or self._first_field):
                yield decoded
                return
            by_container = self._first_field and not frame.interlaced_frame
            chosen = f"parity={self._first_field}:deint=all" if by_container else "parity=auto:deint=interlaced"
            try:
                self._graph = _Graph(frame, [("bwdif", f"mode=send_frame:{chosen}")])
            except self._errors:
                yield decoded
                return
            self._key = _layout(frame)
        frame.pts = decoded.index  # the filter needs times that rise
        self._waiting.append(decoded)
        yield from self._ready(frame)

    def flush(self) -> Iterator[DecodedFrame]:
        """The frames that still wait."""
        yield from self._ready(None)
        yield from self._waiting
        self._waiting.clear()
        self._graph, self._key = None, ()

    def _ready(self, frame: Any) -> Iterator[DecodedFrame]:
        """The frames that are whole once PyAV's frame goes in, or None at the end."""
        with contextlib.suppress(*self._errors):
            for whole in self._graph.push(frame) if self._graph else ():
                if self._waiting:
                    yield dataclasses.replace(self._waiting.popleft(), frame=whole)


class Converter:
    """Makes the RGB images of frames; size, pixel format, colours and rotation may change from frame to frame."""

    def __init__(self) -> None:
        self._graph: _Graph | None = None
        self._key: tuple[Any, ...] = ()

    def rgb(self, decoded: DecodedFrame) -> Frame:
        """The image of a frame as a player shows it, in memory of its own.

        Returns:
            uint8 (height, width, 3), RGB.

        Raises:
            VideoError: the shown image has too many pixels.
        """
        frame = _settled(decoded.frame)
        key = (*_layout(frame), decoded.pixel_aspect, decoded.matrix)
        if self._graph is None or key != self._key:
            width, height = _shown_size(frame.width, frame.height, decoded.pixel_aspect)
            scale = ("scale", f"w={width}:h={height}:flags=bicubic")
            self._graph, self._key = _Graph(frame, [scale, ("format", "rgb24"), *_turns(decoded.matrix)]), key
        (shown,) = self._graph.push(frame)
        (plane,) = shown.planes
        rows = np.frombuffer(plane, np.uint8)[: plane.line_size * shown.height].reshape(shown.height, plane.line_size)
        image = np.empty((shown.height, shown.width, 3), np.uint8)
        image.reshape(shown.height, -1)[:] = rows[:, : 3 * shown.width]
        return image


class _Graph:
    """A chain of FFmpeg's filters for frames of one layout."""

    def __init__(self, frame: Any, filters: list[tuple[str, str]]) -> None:
        from av.filter import Graph

        self._graph = Graph()
        source = (
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1:pixel_aspect=1/1"
            f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
        )
        nodes = [self._graph.add(name, args) for name, args in [("buffer", source), *filters, ("buffersink", "")]]
        self._source, self._sink = nodes[0], nodes[-1]
        self._graph.link_nodes(*nodes).configure()

    def push(self, frame: Any) -> Iterator[Any]:
        """Put a frame in, None at the end; the frames that come out."""
        self._source.push(frame)
        while True:
            try:
                yield self._sink.pull()
            except (BlockingIOError, EOFError):  # it needs the next frame, or there is none
                return


def display_matrix(frame: Any) -> tuple[int, ...]:
    """The display matrix of PyAV's frame: rotation and mirroring that a camera wrote; ``UPRIGHT`` without one."""
    from av.sidedata.sidedata import Type

    found = frame.side_data.get(Type.DISPLAYMATRIX)
    return struct.unpack("=9i", bytes(found)) if found is not None else UPRIGHT


def _settled(frame: Any) -> Any:
    """The frame without statements about its colours that the filters refuse, as older versions of FFmpeg read it."""
    frame.colorspace = MATRICES.get(int(frame.colorspace), UNSPECIFIED)
    frame.color_trc = frame.color_primaries = UNSPECIFIED
    return frame


def _layout(frame: Any) -> tuple[Any, ...]:
    return frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range)


def _shown_size(width: int, height: int, pixel_aspect: Fraction) -> tuple[int, int]:
    """Width and height in square pixels."""
    low, high = PIXEL_ASPECTS
    if low <= pixel_aspect <= high:
        width = max(round(width * pixel_aspect), 1)
    if width * height > MAX_PIXELS:
        raise VideoError(f"expected frames of at most {MAX_PIXELS:,} pixels; received {width}x{height}")
    return width, height


def _turns(matrix: tuple[int, ...]) -> list[tuple[str, str]]:
    """The filters that turn a frame upright, as ``ffmpeg`` chooses them."""
    scales = math.hypot(matrix[0], matrix[3]), math.hypot(matrix[1], matrix[4])
    if not all(scales):
        return []
    angle = round(math.degrees(math.atan2(matrix[1] / scales[1], matrix[0] / scales[0]))) % 360
    if angle == 90:
        return [("transpose", "cclock_flip" if matrix[3] > 0 else "clock")]
    if angle == 180:
        return [*([("hflip", "")] if matrix[0] < 0 else []), *(VERTICAL_FLIP if matrix[4] < 0 else ())]
    if angle == 270:
        return [("transpose", "clock_flip" if matrix[3] < 0 else "cclock")]
    if angle in (0, 1, 359):
        return [*VERTICAL_FLIP] if matrix[4] < 0 else []
    return [("rotate", f"{angle}*PI/180")]
