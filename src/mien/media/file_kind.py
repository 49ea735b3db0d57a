"""What a file is, by its first bytes: an image, a video, or neither.

A suffix can be missing or wrong: cameras write ``.MTS``, messengers drop suffixes, and a PNG is often called ``.jpg``.
So content decides. The suffix counts only where the content says nothing: a damaged start, or a stream without a
signature.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["image", "video"]

HEAD_BYTES = 4096
"""Bytes from the start of a file that decide; the signature of a video in Ogg lies in its first pages."""

IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
    ".heic", ".heif", ".hif", ".avif", ".avifs", ".tga", ".pnm", ".pbm", ".pgm", ".ppm", ".jp2", ".j2k", ".jxl",
})  # fmt: skip
"""Suffixes of images, in lower case. A folder's files with one of them are images without being opened."""

VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".ismv", ".avi", ".divx", ".mkv", ".webm", ".mpg", ".mpeg",
    ".mpe", ".m1v", ".m2v", ".mpv", ".vob", ".mod", ".tod", ".ts", ".mts", ".m2ts", ".m2t", ".tp", ".trp", ".flv",
    ".ogv", ".ogm", ".asf", ".wmv", ".dv", ".dif", ".mxf", ".gxf", ".ivf", ".y4m", ".h264", ".264", ".avc", ".h265",
    ".265", ".hevc", ".obu", ".mjpeg", ".mjpg", ".rm", ".rmvb", ".nut", ".wtv",
})  # fmt: skip
"""Suffixes of videos, in lower case."""

MOTION_JPEG_SUFFIXES = frozenset({".mjpeg", ".mjpg"})
"""Suffixes of videos whose content is one JPEG after another: their first bytes are those of an image."""

SOUND_SUFFIXES = frozenset({".wma", ".mka", ".weba"})
"""Suffixes of sound in a container that also holds videos."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A file format.

    Attributes:
        name: "JPEG", "AVI"; with an article where the file is neither image nor video: "a PDF".
        kind: "image", "video", or None: neither.
    """

    name: str
    kind: Kind | None

    @property
    def description(self) -> str:
        """The format in a sentence: "a video (AVI)", "a PDF"."""
        return self.name if self.kind is None else f"{'an' if self.kind == 'image' else 'a'} {self.kind} ({self.name})"


def _formats(kind: Kind | None, *signatures: tuple[str, bytes]) -> list[tuple[FileFormat, re.Pattern[bytes]]]:
    return [(FileFormat(name, kind), re.compile(pattern, re.DOTALL)) for name, pattern in signatures]


_SIGNATURES = (
    *_formats(
        "image",
        ("JPEG", rb"\xff\xd8\xff"),
        ("PNG", rb"\x89PNG\r\n\x1a\n"),
        ("WEBP", rb"RIFF....WEBP"),
        ("GIF", rb"GIF8[79]a"),
        ("BMP", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
        ("AVIF", rb"....ftyp(?:avi[fs]|m[is]f1.{4}(?:....){0,30}?avi[fs])"),
        ("HEIC", rb"....ftyp(?:hei[cxmsv]|hev[cxms]|m[is]f1)"),
    ),
    # before TIFF, whose first bytes most of them share
    *_formats(
        None,
        ("a raw photo of a camera", rb"II\*\0.{4}CR|II(?:RO|RS|U\0)|MMOR|FUJIFILMCCD-RAW|....ftypcrx |\0MRM|FOVb"),
        ("sound", rb"....ftyp(?:M4[AB] |F4[AB] )|RIFF....WAVE|ID3|\xff[\xfa\xfb\xf2\xf3]|fLaC|#!AMR|FORM....AIF"),
    ),
    *_formats(
        "image",
        ("TIFF", rb"II\*\0|MM\0\*"),
        ("PNM", rb"P[1-6](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+\s"),
        # a TGA begins with no name of its own, but with fields of few values; a Windows cursor has another fifth byte
        ("TGA", rb".\0[\x02\x03\x0a\x0b]\0{4}..{4}(?!\0\0)..(?!\0\0)..[\x08\x0f\x10\x18\x20][\x00-\x3f]"),
        ("TGA", rb".\x01[\x01\x09]..(?!\0\0)..[\x0f\x10\x18\x20].{4}(?!\0\0)..(?!\0\0)..\x08[\x00-\x3f]"),
        ("JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL "),
        ("JPEG 2000", rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
    ),
    *_formats(
        "video",
        ("MP4 or QuickTime", rb"[\0-\x1f]...(?:ftyp|styp|moov|moof|wide|free|skip|pnot)|....mdat"),
        ("Matroska or WebM", rb"\x1aE\xdf\xa3"),
        ("AVI", rb"RIFF....AVI[ X\x19]"),
        ("MPEG", rb"\0\0\x01[\xb0\xb3\xba\xbb]|RIFF....CDXA"),
        ("H.264", rb"\0?\0\0\x01(?:[\x27\x47\x67].{3}|\x09[\x10\x30\x50\x70\x90\xb0\xd0\xf0]\0)"),
        ("HEVC", rb"\0?\0\0\x01[\x40\x42\x46]\x01"),
        ("AV1", rb"\x12\0\x0a[\x01-\x7f]"),
        ("FLV", rb"FLV\x01"),
        ("Ogg", rb"OggS.{0,2000}(?:\x80theora|OVP80|BBCD|\x01video)"),
        ("ASF or WMV", rb"0&\xb2u\x8ef\xcf\x11"),
        ("DV", rb"\x1f\x07\0[\x3f\xbf].{76}[\x1f\x3f]\x07\0"),
        ("MXF", rb"\x06\x0e\+4\x02\x05\x01\x01\x0d\x01\x02"),
        ("GXF", rb"\0\0\0\0\x01\xbc.{8}\xe1\xe2"),
        ("IVF", rb"DKIF\0\0"),
        ("Y4M", rb"YUV4MPEG2 "),
        ("RealMedia", rb"\.RMF\0"),
        ("NUT", rb"nut/multimedia container"),
        ("WTV", rb"\xb7\xd8\x00 7I\xda\x11\xa6N"),
    ),
    *_formats(
        None,
        ("sound", rb"OggS"),
        ("a PostScript (EPS) file", rb"%!PS|\xc5\xd0\xd3\xc6"),
        ("a PDF", rb"%PDF"),
        ("a Photoshop (PSD) file", rb"8BPS"),
        ("a FITS file", rb"SIMPLE  ="),
        ("a DICOM file", rb".{128}DICM"),
        ("an OpenEXR file", rb"v/1\x01"),
        ("a floating-point map (PFM)", rb"P[Ff]\s+\d+\s+\d+\s"),
        ("a ZIP archive (or an office document)", rb"PK[\x03\x05\x07]"),
        ("an SVG drawing", rb"[^\0]{0,400}?<[sS][vV][gG]"),
        ("a web page", rb"(?i:[^\0]{0,200}?<(?:!doctype html|html|head|body))"),
        ("a BigTIFF file", rb"II\+\0|MM\0\+"),
        ("a Windows icon", rb"\0\0[\x01\x02]\0[^\0]"),
        ("a gzip archive", rb"\x1f\x8b"),
        ("a model in Keras's HDF5 form", rb"\x89HDF"),
        ("text", rb"(?:\xef\xbb\xbf)?[\t\n\r\x20-\x7e]{16,}"),
    ),
)

_TRANSPORT_STREAM = FileFormat("MPEG transport stream", "video")
_PACKET_BYTES = (188, 192, 204)
"""Lengths of a packet of a transport stream: plain, with a time (cameras, Blu-ray), with error correction."""

_SYNC_PACKETS = 8
"""Packets in a row that must begin with the sync byte, or all that the file has."""


def format_of(head: bytes | bytearray | memoryview) -> FileFormat | None:
    """The format of a file; None where its content has no known signature.

    Args:
        head: the first bytes of the file, ``HEAD_BYTES`` or all; further ones are ignored.

    Example:
        >>> format_of(b"%PDF-1.7").description
        'a PDF'
    """
    head = bytes(head[:HEAD_BYTES])
    known = next((found for found, signature in _SIGNATURES if signature.match(head)), None)
    return _TRANSPORT_STREAM if known is None and _is_transport_stream(head) else known


def kind_of(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> Kind | None:
    """Whether a file is an image or a video: by content, and by the suffix where the content says nothing.

    Args:
        source: the path of a file, or the first bytes of one.

    Returns:
        "image", "video", or None for anything else. A file that can't be opened has the kind of its suffix, so that
        opening it reports what is wrong.

    Example:
        >>> kind_of(b"GIF89a")
        'image'
    """
    if isinstance(source, bytes | bytearray | memoryview):
        found = format_of(source)
        return found.kind if found else None
    path = Path(source)
    suffix = path.suffix.lower()
    found = format_of(head_of(path))
    if found is None or (found.name == "JPEG" and suffix in MOTION_JPEG_SUFFIXES):
        return kind_of_suffix(path)
    return None if found.kind == "video" and suffix in SOUND_SUFFIXES else found.kind


def kind_of_suffix(path: Path) -> Kind | None:
    """The kind that a suffix promises; None for any other."""
    suffix = path.suffix.lower()
    return "image" if suffix in IMAGE_SUFFIXES else "video" if suffix in VIDEO_SUFFIXES else None


def head_of(path: Path) -> bytes:
    """The first bytes of a file; none where it can't be opened, or is a folder, pipe or device."""
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            return file.read(HEAD_BYTES) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except (OSError, ValueError):
        return b""


def open_nonblocking(path: str, flags: int) -> int:
    """An ``opener`` for ``open`` that a pipe or a device can't block."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _is_transport_stream(head: bytes) -> bool:
    """Whether packets follow each other; a recording may begin in the middle of one."""
    for length in _PACKET_BYTES:
        packets = min(_SYNC_PACKETS, len(head) // length)
        starts = range(length if packets > 1 else 0)
        if any(head[start : start + packets * length : length] == b"G" * packets for start in starts):
            return True
    return False
