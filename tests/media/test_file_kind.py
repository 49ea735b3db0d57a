"""What a file is, by content: files of every format under true, false and missing suffixes."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, features

from mien.media.file_kind import IMAGE_SUFFIXES, VIDEO_SUFFIXES, format_of, kind_of, kind_of_suffix

av = pytest.importorskip("av", reason="makes the videos: pip install 'mien[video]'")

IMAGES = {
    "JPEG": {},
    "PNG": {},
    "WEBP": {},
    "GIF": {},
    "BMP": {},
    "TIFF": {},
    "TGA": {},
    "JPEG2000": {"name": "JPEG 2000"},
    "PPM": {"name": "PNM"},
    **({"AVIF": {}} if features.check("avif") else {}),
}

VIDEOS = [
    ("mp4", "mpeg4", "MP4 or QuickTime", {}),
    ("mp4", "libx264", "MP4 or QuickTime", {"movflags": "frag_keyframe+empty_moov"}),
    ("mov", "prores_ks", "MP4 or QuickTime", {}),
    ("3gp", "mpeg4", "MP4 or QuickTime", {}),
    ("f4v", "libx264", "MP4 or QuickTime", {}),
    ("matroska", "mpeg4", "Matroska or WebM", {}),
    ("webm", "libvpx", "Matroska or WebM", {}),
    ("avi", "mpeg4", "AVI", {}),
    ("mpegts", "mpeg2video", "MPEG transport stream", {}),
    ("mpegts", "libx264", "MPEG transport stream", {"mpegts_m2ts_mode": "1"}),
    ("mpeg", "mpeg1video", "MPEG", {}),
    ("vob", "mpeg2video", "MPEG", {}),
    ("mpeg2video", "mpeg2video", "MPEG", {}),
    ("m4v", "mpeg4", "MPEG", {}),
    ("flv", "flv", "FLV", {}),
    ("ogg", "libvpx", "Ogg", {}),
    ("asf", "wmv2", "ASF or WMV", {}),
    ("mxf", "mpeg2video", "MXF", {}),
    ("dv", "dvvideo", "DV", {}),
    ("gxf", "mpeg2video", "GXF", {}),
    ("ivf", "libvpx", "IVF", {}),
    ("yuv4mpegpipe", "wrapped_avframe", "Y4M", {}),
    ("h264", "libx264", "H.264", {}),
    ("hevc", "libx265", "HEVC", {}),
    ("rm", "rv10", "RealMedia", {}),
    ("nut", "mpeg4", "NUT", {}),
    ("wtv", "mpeg2video", "WTV", {}),
]

PHOTO_HEADS = {
    "AVIF": [b"avif\0\0\0\0mif1", b"avis\0\0\0\0avif", b"mif1\0\0\0\0mif1avifmiaf", b"msf1\0\0\0\0mif1avis"],
    "HEIC": [b"heic\0\0\0\0mif1", b"mif1\0\0\0\0mif1heic", b"heix\0\0\0\0", b"msf1\0\0\0\0hevcmsf1"],
}

HEADS = {
    "an old QuickTime file, its samples first": (struct.pack(">I4s", 700_000_000, b"mdat"), "MP4 or QuickTime"),
    "QuickTime with a wide box": (struct.pack(">I4sI4s", 8, b"wide", 9_000, b"mdat"), "MP4 or QuickTime"),
    "QuickTime with its index first": (struct.pack(">I4s", 4_000, b"moov"), "MP4 or QuickTime"),
    "a fragment of a stream": (struct.pack(">I4s4s", 24, b"styp", b"msdh"), "MP4 or QuickTime"),
    "Theora": (b"OggS\0\2" + bytes(21) + b"\1\x2a\x80theora\3\2\1", "Ogg"),
    "an AVI of 2 GB": (b"RIFF\0\0\0\x7fAVIX", "AVI"),
    "H.264 with a delimiter": (b"\0\0\0\1\x09\xf0\0\0\0\1\x67\x42\0\x1e", "H.264"),
    "HEVC with a delimiter": (b"\0\0\0\1\x46\x01\x50\0\0\0\1\x40\x01", "HEVC"),
    "an NTSC tape": (b"\x1f\x07\0\x3f" + bytes(76) + b"\x3f\x07\0\x3f", "DV"),
}

NEITHER = {
    "a PDF": b"%PDF-1.7\n",
    "a PostScript (EPS) file": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "a Photoshop (PSD) file": b"8BPS\0\1",
    "a FITS file": b"SIMPLE  =                    T",
    "an SVG drawing": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg">',
    "a ZIP archive (or an office document)": b"PK\3\4\x14\0",
    "a web page": b"<!DOCTYPE html><html>",
    "a Windows icon": b"\0\0\1\0\1\0\x20\x20\0\0\1\0\x20\0",
    "a gzip archive": b"\x1f\x8b\x08\0",
    "a raw photo of a camera": b"II*\0\x10\0\0\0CR\2\0",
    "a DICOM file": bytes(128) + b"DICM",
    "sound": b"OggS\0\2" + bytes(21) + b"\1\x1e\1vorbis",
    "text": b"emotion,pixels,Usage\n",
}


def image(name):
    target = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()[::8, ::8]).save(target, name)
    return target.getvalue()


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two frames in each container, by its place in the table."""
    folder = tmp_path_factory.mktemp("videos")
    return [encoded(folder / str(place), *row) for place, row in enumerate(VIDEOS)]


def encoded(path, container, codec, _, options):
    size = (720, 576) if container in {"dv", "gxf"} else (176, 144)
    with av.open(str(path), "w", format=container, options=options) as target:
        stream = target.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none"}
        for shade in (80, 90):
            pixels = np.full((size[1], size[0], 3), shade, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=stream.pix_fmt)
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize("name", IMAGES)
def test_images(name, tmp_path):
    found = format_of(image(name))
    assert (found.kind, found.name) == ("image", IMAGES[name].get("name", name))
    check_under_each_name(tmp_path, image(name), "image")


@pytest.mark.parametrize("place", range(len(VIDEOS)), ids=lambda place: "-".join(VIDEOS[place][:2]))
def test_videos(videos, place, tmp_path):
    found = format_of(videos[place])
    assert (found.kind, found.name) == ("video", VIDEOS[place][2])
    check_under_each_name(tmp_path, videos[place], "video")


def check_under_each_name(folder, content, kind):
    assert kind_of(content) == kind
    for name in ("none", "a.jpg", "a.mp4", "a.MTS", "a.txt", "a.xyz"):
        (folder / name).write_bytes(content)
        assert kind_of(folder / name) == kind, name
        assert kind_of(str(folder / name)) == kind, name


@pytest.mark.parametrize("name", PHOTO_HEADS)
def test_photos_of_phones_by_their_brands(name):
    for brands in PHOTO_HEADS[name]:
        assert format_of(struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(80)).name == name, brands


@pytest.mark.parametrize("what", HEADS)
def test_rarer_starts_of_videos(what):
    head, name = HEADS[what]
    found = format_of(head + bytes(200))
    assert (found.kind, found.name) == ("video", name)


@pytest.mark.parametrize("name", NEITHER)
def test_what_is_neither_is_named_and_no_suffix_makes_it_an_image(name, tmp_path):
    assert format_of(NEITHER[name]).description == name
    for suffix in (".jpg", ".mp4", ".ts", ""):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(NEITHER[name])
        assert kind_of(path) is None


@pytest.mark.parametrize("cut", [1, 94, 187])
@pytest.mark.parametrize("packet", [188, 192, 204])
def test_a_recording_that_begins_within_a_packet_is_a_transport_stream(packet, cut):
    random = np.random.default_rng(packet + cut)
    packets = [b"G" + random.bytes(packet - 1) for _ in range(20)]
    assert format_of(b"".join(packets)[cut:]).name == "MPEG transport stream"


@pytest.mark.parametrize("content", [b"G", b"GG" * 300, b"G" + bytes(5_000), bytes(range(256)) * 16])
def test_few_sync_bytes_make_no_transport_stream(content):
    found = format_of(content)
    assert found is None or found.kind is None


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("damaged.mp4", bytes(500), "video"),
        ("damaged.JPG", bytes(500), "image"),
        ("empty.png", b"", "image"),
        ("damaged.xyz", bytes(500), None),
        ("damaged", bytes(500), None),
        ("frames.mjpeg", image("JPEG") * 2, "video"),
        ("sound.wma", b"0&\xb2u\x8ef\xcf\x11" + bytes(20), None),
    ],
)
def test_the_suffix_decides_where_the_content_says_nothing(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert kind_of(tmp_path / name) == kind


def test_what_cannot_be_opened_has_the_kind_of_its_suffix(tmp_path):
    (tmp_path / "folder.png").mkdir()
    assert kind_of(tmp_path / "folder.png") == "image"
    assert kind_of(tmp_path / "missing.avi") == "video"
    assert kind_of(tmp_path / "nul\0.jpg") == "image"
    assert kind_of(tmp_path / "missing") is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_has_the_kind_of_its_suffix(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    assert kind_of(tmp_path / "pipe.mp4") == "video"


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_bytes_in_every_form(form):
    assert kind_of(form(image("PNG"))) == "image"


def test_no_suffix_is_of_both_kinds():
    assert IMAGE_SUFFIXES.isdisjoint(VIDEO_SUFFIXES)
    assert [kind_of_suffix(Path(name)) for name in ("A.M2TS", "a.b.HEIC", "a.txt")] == ["video", "image", None]
