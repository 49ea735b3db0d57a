from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageFile, features

from fuzz import bombs
from mien.errors import ImageError, UsageError
from mien.media.image import MAX_BYTES, encode, read, write

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "TGA", "PPM", *(["AVIF"] if features.check("avif") else []))
SIZES = [(1, 1), (7, 5), (1, 10_000), (10_000, 1)]


@pytest.fixture(scope="module")
def face():
    return np.ascontiguousarray(skimage.data.astronaut()[:256, 96:320])


def encoded(image, name, **options):
    target = io.BytesIO()
    image.save(target, name, **options)
    return target.getvalue()


def run(module, argument):
    command = [sys.executable, "-W", "always", "-m", f"fuzz.{module}", str(argument)]
    done = subprocess.run(
        command, check=False, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return json.loads(done.stdout)


# sources and results


@pytest.mark.parametrize("name", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_give_the_pixels_that_were_saved(face, name):
    options = {"lossless": True} if name == "WEBP" else {}
    assert np.array_equal(read(encoded(Image.fromarray(face), name, **options)), face)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_compressions(face, compression):
    assert np.array_equal(read(encoded(Image.fromarray(face), "TIFF", compression=compression)), face)


@pytest.mark.parametrize("name", FORMATS)
def test_red_stays_red_and_blue_blue(name):
    colour = read(encoded(Image.new("RGB", (16, 16), (220, 90, 20)), name)).reshape(-1, 3).mean(axis=0)
    assert np.abs(colour - (220, 90, 20)).max() < 6


def test_a_frame_is_writable_and_contiguous(face):
    frame = read(encoded(Image.fromarray(face), "PNG"))
    assert frame.flags.writeable
    assert frame.flags.c_contiguous


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_bytes_in_every_form(face, form):
    assert np.array_equal(read(form(encode(face, "png"))), face)


@pytest.mark.parametrize("form", [str, Path])
def test_paths_in_every_form(face, form, tmp_path):
    write(tmp_path / "face [1]*?.png", face)
    assert np.array_equal(read(form(tmp_path / "face [1]*?.png")), face)


def test_an_array_is_checked_and_returned(face):
    assert read(face) is face
    with pytest.raises(ImageError, match="float64"):
        read(face / 255)


@pytest.mark.parametrize("source", [None, 7, ["a.png"], io.BytesIO(b"")])
def test_other_types_are_refused(source):
    with pytest.raises(ImageError, match="expected a path, the bytes of an image or a numpy array"):
        read(source)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    for name in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if name == "WEBP" else {}
        animation = encoded(frames[0], name, save_all=True, append_images=frames[1:], **options)
        assert (read(animation) == (255, 0, 0)).all(), name


def test_a_phone_photo_with_a_second_image_behind_gives_the_first(face):
    first, second = Image.fromarray(face), Image.new("RGB", (64, 64))
    photo = encoded(first, "MPO", save_all=True, append_images=[second], quality=95)
    assert read(photo).shape == face.shape


# modes and sizes: each with the one pixel that must come out


def grey16(size, value):
    return Image.fromarray(np.full(size[::-1], value, np.uint16))


def rgb16(size, colour):
    width, height = size
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + struct.pack(">HHH", *colour) * width) * height)
    chunks = bombs.chunk(b"IHDR", header) + bombs.chunk(b"IDAT", pixels) + bombs.chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def palette(size, **options):
    image = Image.new("P", size, 1)
    image.putpalette([0, 0, 0, 200, 40, 10])
    return encoded(image, "PNG", **options)


MODES = {
    "1": (lambda size: encoded(Image.new("1", size, 1), "PNG"), (255, 255, 255)),
    "L": (lambda size: encoded(Image.new("L", size, 77), "PNG"), (77, 77, 77)),
    "L with a transparent grey": (
        lambda size: encoded(Image.new("L", size, 77), "PNG", transparency=77),
        (255, 255, 255),
    ),
    "LA": (lambda size: encoded(Image.new("LA", size, (100, 51)), "PNG"), (224, 224, 224)),
    "P": (palette, (200, 40, 10)),
    "P with a transparent colour": (lambda size: palette(size, transparency=1), (255, 255, 255)),
    "P with degrees of it": (lambda size: palette(size, transparency=b"\xff\x33"), (244, 212, 206)),
    "RGB with a transparent colour": (
        lambda size: encoded(Image.new("RGB", size, (1, 2, 3)), "PNG", transparency=(1, 2, 3)),
        (255, 255, 255),
    ),
    "RGBA": (lambda size: encoded(Image.new("RGBA", size, (255, 0, 0, 102)), "PNG"), (255, 153, 153)),
    "RGBA unseen": (lambda size: encoded(Image.new("RGBA", size, (9, 9, 9, 0)), "PNG"), (255, 255, 255)),
    "CMYK": (lambda size: encoded(Image.new("CMYK", size, (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
    "CMYK, Adobe's JPEG": (
        lambda size: encoded(Image.new("CMYK", size, (0, 255, 255, 0)), "JPEG", quality=100),
        (255, 0, 0),
    ),
    "YCbCr": (lambda size: encoded(Image.new("YCbCr", size, (128, 128, 128)), "JPEG"), (128, 128, 128)),
    "I;16": (lambda size: encoded(grey16(size, 0xABCD), "PNG"), (0xAB, 0xAB, 0xAB)),
    "I;16, white": (lambda size: encoded(grey16(size, 65_535), "PNG"), (255, 255, 255)),
    "I;16 in a TIFF": (lambda size: encoded(grey16(size, 0x1234), "TIFF"), (0x12, 0x12, 0x12)),
    "I;16B": (lambda size: encoded(Image.new("I;16B", size, 0x1234), "TIFF"), (0x12, 0x12, 0x12)),
    "I": (lambda size: encoded(Image.new("I", size, 0x8001), "TIFF"), (0x80, 0x80, 0x80)),
    "RGB of 16 bits": (lambda size: rgb16(size, (0xFFFF, 0x80FF, 0x0101)), (0xFF, 0x80, 0x01)),
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_and_size_has_a_defined_result(mode, size):
    make, expected = MODES[mode]
    frame = read(make(size))
    assert frame.shape == (size[1], size[0], 3)
    assert frame.dtype == np.uint8
    assert np.unique(frame.reshape(-1, 3), axis=0).tolist() == [list(expected)]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image.new("F", (4, 4), 0.5), "floating point"),
        (Image.new("I", (4, 4), 70_000), "values from 70000 to 70000"),
        (Image.new("I", (4, 4), -1), "values from -1 to -1"),
    ],
)
def test_pixels_without_an_agreed_white_are_refused(image, words):
    with pytest.raises(ImageError, match=words):
        read(encoded(image, "TIFF"))


def test_an_image_larger_than_a_strip_is_complete():
    frame = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    assert np.array_equal(read(encode(frame, "png")), frame)


# orientation

STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stored(face, orientation):
    """The image as a camera held that way stores it, and its EXIF."""
    image, turn, exif = Image.fromarray(face), STORED[orientation], Image.Exif()
    exif[274] = orientation
    return (image if turn is None else image.transpose(turn)), exif


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP"])
def test_eight_orientations_give_the_same_frame(face, name, orientation):
    image, exif = stored(face, orientation)
    options = {"lossless": True} if name == "WEBP" else {}
    assert np.array_equal(read(encoded(image, name, exif=exif, **options)), face)


@pytest.mark.parametrize("orientation", STORED)
def test_eight_orientations_of_a_jpeg(face, orientation):
    image, exif = stored(face, orientation)
    frame = read(encoded(image, "JPEG", exif=exif, quality=100, subsampling=0)).astype(int)
    assert frame.shape == face.shape
    assert np.abs(frame - face).mean() < 1


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0" + bombs.tiff_of([(274, 3, 1, 9)]),
        b"Exif\0\0" + bombs.tiff_of([(274, 2, 1, 6)]),
        bombs.exif_of_overlaps(),
    ],
)
def test_damaged_exif_leaves_the_image_as_it_is(face, exif):
    assert np.array_equal(read(encoded(Image.fromarray(face), "PNG", exif=exif)), face)


# refused files


FOREIGN_FORMATS = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "PDF": b"%PDF-1.7\n",
    "Photoshop": b"8BPS\0\x01" + bytes(20),
    "FITS": b"SIMPLE  =                    T" + b" " * 50,
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "ZIP": b"PK\x03\x04" + bytes(26),
    "web page": b"<!DOCTYPE html><html><body>404</body></html>",
    "raw photo": b"\0\0\0\x18ftypcrx " + bytes(20),
    "JPEG XL": b"\xff\x0a" + bytes(20),
    "JPEG 2000": b"\xff\x4f\xff\x51" + bytes(20),
    "video": b"\0\0\0\x18ftypisom" + bytes(20),
    "text": b"Happy faces are all alike.",
    "unknown kind": bytes(range(200, 256)),
}


@pytest.mark.parametrize("kind", FOREIGN_FORMATS)
def test_foreign_formats_are_refused_by_name_from_every_source(kind, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(FOREIGN_FORMATS[kind])
    for source in (FOREIGN_FORMATS[kind], path, str(path)):
        with pytest.raises(ImageError, match=f"expected a JPEG.*received .*{kind}"):
            read(source)


def test_other_formats_of_pillow_are_refused():
    for name in ("EPS", "ICO", "PCX", "JPEG2000", "SGI"):
        with pytest.raises(ImageError, match="expected a JPEG"):
            read(encoded(Image.new("RGB", (64, 64)), name))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_refused_not_half_grey(face, name, share):
    whole = encoded(Image.fromarray(face), name)
    with pytest.raises(ImageError, match="bytes given"):
        read(whole[: int(len(whole) * share)])


def test_the_message_names_the_file_the_fault_and_the_remedy(face, tmp_path):
    path = tmp_path / "team.png"
    path.write_bytes(encode(face, "png")[:5000])
    with pytest.raises(ImageError, match=r"team\.png': expected a whole image; received .*\. Copy or download"):
        read(path)


def test_missing_files_folders_and_empty_files_have_their_own_messages(tmp_path):
    (tmp_path / "empty.jpg").touch()
    for name, words in {"none.jpg": "no such file", "": "a folder", "empty.jpg": "an empty file"}.items():
        with pytest.raises(ImageError, match=words):
            read(tmp_path / name)
    with pytest.raises(ImageError, match="null byte"):
        read("a\0.jpg")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_has_its_own_message(face, tmp_path):
    write(tmp_path / "locked.png", face)
    (tmp_path / "locked.png").chmod(0)
    with pytest.raises(ImageError, match="no permission"):
        read(tmp_path / "locked.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_or_device_neither_hangs_nor_fills_memory(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(ImageError, match="pipe or device"):
            read(path)


def test_a_file_over_the_limit_is_refused_unread(tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ImageError, match="at most 200,000,000 bytes; received 200,000,001"):
        read(tmp_path / "huge.png")


def test_pillow_is_left_as_the_host_set_it(face):
    def settings():
        return Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, sorted(Image.OPEN)

    refused = bombs.refused().values()  # making them loads Pillow's other plugins
    before = settings()
    read(encode(face, "png"))
    for bomb in refused:
        with pytest.raises(ImageError):
            read(bomb)
    assert settings() == before


# bombs and damage, in a process whose memory and time are measured


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bombs")
    for name, content in (bombs.refused() | bombs.harmless()).items():
        (folder / name).write_bytes(content)
    return run("bombs", folder)


def test_fifteen_bombs_and_more_are_refused_or_do_no_harm(costs):
    ends = {name: cost["end"] for name, cost in costs.items()}
    expected = dict.fromkeys(bombs.refused(), "refused") | dict.fromkeys(bombs.harmless(), "valid")
    assert len(bombs.refused()) >= 15
    assert ends == expected


def test_a_bomb_costs_at_most_100_ms_and_50_mb(costs):
    costly = {name: cost for name, cost in costs.items() if cost["ms"] > 100 or cost["memory_mb"] > 50}
    assert costly == {}


@pytest.mark.parametrize("count", [5_000, pytest.param(50_000, marks=pytest.mark.long)])
def test_damaged_images_are_read_or_refused(count):
    outcome = run("images", count)
    assert set(outcome["ends"]) == {"valid", "refused"}
    assert sum(outcome["ends"].values()) == count
    assert min(outcome["ends"].values()) > count / 5  # both ways are taken, or the damage is too great or too small
    assert outcome["memory_mb"] <= 150
    assert outcome["worst_ms"] <= 250


# writing


def test_png_is_exact_and_the_others_near(face, tmp_path):
    for suffix, allowed in {".png": 0, ".jpg": 2.5, ".jpeg": 2.5, ".webp": 2.5, ".PNG": 0}.items():
        write(tmp_path / f"face{suffix}", face)
        assert np.abs(read(tmp_path / f"face{suffix}").astype(int) - face).mean() <= allowed, suffix


def test_a_jpeg_is_written_at_quality_92(face):
    assert encode(face, "jpg") == encoded(Image.fromarray(face), "JPEG", quality=92)


def test_a_failed_write_leaves_nothing(face, tmp_path):
    for name, frame, error in [
        ("a.bmp", face, UsageError),
        ("a", face, UsageError),
        ("a.png", face / 255, ImageError),
        ("a.webp", np.zeros((1, 20_000, 3), np.uint8), ImageError),
    ]:
        with pytest.raises(error, match="expected"):
            write(tmp_path / name, frame)
    assert list(tmp_path.iterdir()) == []
