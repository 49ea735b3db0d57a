"""Kinds of images that real cameras, phones and programs write, and how each is decoded."""

from __future__ import annotations

import io
import struct
import sys
import zlib

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from fuzz import bombs
from fuzz.images import heic
from mien.errors import ImageError
from mien.media import formats, header, image
from mien.media.image import load, read

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")


@pytest.fixture(scope="module")
def face():
    return np.ascontiguousarray(skimage.data.astronaut()[:256, 96:320])


@pytest.fixture(scope="module")
def grey(face):
    return np.asarray(Image.fromarray(face).convert("L"))


def encoded(pixels, name, **options):
    target = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(target, name, **options)
    return target.getvalue()


def distance(one, other):
    return np.abs(one.astype(int) - other).mean()


# 8, 10 and 12 bits in 16


def deep_png(values):
    return encoded(values.astype(np.uint16), "PNG")


def deep_tiff(values):
    return encoded(values.astype(np.uint16), "TIFF")


def deep_tiff_big_endian(values):
    height, width = values.shape
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16 << 16), (259, 3, 1, 1 << 16), (262, 3, 1, 1 << 16),
        (273, 4, 1, 8), (277, 3, 1, 1 << 16), (278, 4, 1, height), (279, 4, 1, 2 * width * height),
    ]  # fmt: skip
    body = values.astype(">u2").tobytes()
    directory = struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHII", *entry) for entry in entries)
    return b"MM\0*" + struct.pack(">I", 8 + len(body)) + body + directory + bytes(4)


def deep_tiff_lzw(values):
    return encoded(values.astype(np.uint16), "TIFF", compression="tiff_lzw")


def deep_pgm(values):
    return b"P5\n%d %d\n65535\n" % values.shape[::-1] + values.astype(">u2").tobytes()


@pytest.mark.parametrize("write", [deep_png, deep_tiff, deep_tiff_big_endian, deep_tiff_lzw, deep_pgm])
@pytest.mark.parametrize(("bits", "named"), [(8, 8), (10, 10), (11, 12), (12, 12)])
def test_few_bits_in_16_are_as_bright_as_they_were_meant(grey, write, bits, named):
    loaded = load(write(grey.astype(int) << bits >> 8))
    (warning,) = loaded.warnings
    assert warning.startswith(f"the brightest of its 16-bit pixels needs {named} bits, ")
    assert warning.endswith(f": read as an image of {named} bits")
    assert distance(loaded.frame[..., 0], grey >> (named - bits)) < 1


@pytest.mark.parametrize("write", [deep_png, deep_tiff, deep_pgm])
def test_an_image_that_uses_16_bits_keeps_its_upper_8_however_dark_it_is(grey, write):
    for factor in (257, 100, 20):
        loaded = load(write(grey.astype(int) * factor))
        assert loaded.warnings == ()
        assert np.array_equal(loaded.frame[..., 0], grey.astype(int) * factor >> 8)


@given(brightest=st.integers(0, 65_535))
@settings(max_examples=60, deadline=None)
def test_no_pixel_is_brightened_beyond_white(brightest):
    values = np.linspace(0, brightest, 64).reshape(8, 8)
    shown = read(deep_png(values))[..., 0]
    assert shown.max() == shown[-1, -1]
    assert (np.diff(shown.ravel().astype(int)) >= 0).all()


def colour_png(values):
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    size = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = [bombs.chunk(b"IHDR", size), bombs.chunk(b"IDAT", zlib.compress(rows)), bombs.chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def colour_ppm(values):
    return b"P6\n%d %d\n65535\n" % values.shape[1::-1] + values.astype(">u2").tobytes()


@pytest.mark.parametrize(("bits", "named"), [(8, 8), (10, 10), (12, 12)])
def test_few_bits_in_16_bit_colour(face, bits, named):
    loaded = load(colour_png(face.astype(int) << bits >> 8))
    assert f"{named} bits" in loaded.warnings[0]
    assert distance(loaded.frame, face) < 1


@pytest.mark.parametrize("write", [colour_png, colour_ppm])
def test_16_bit_colour_keeps_its_upper_8_bits(face, write):
    loaded = load(write(face.astype(int) * 257))
    assert np.array_equal(loaded.frame, face)
    assert loaded.warnings == ()


def test_a_deep_pillow_image_has_the_same_rule_and_warning(grey):
    deep = Image.fromarray(grey.astype(np.uint16) * 4)
    assert "10 bits" in load(deep).warnings[0]
    assert distance(load(deep).frame[..., 0], grey) < 1


@pytest.mark.parametrize("name", ["TIFF", "PFM"])
def test_floating_point_is_named_with_its_remedy(grey, name):
    pixels = Image.fromarray(grey.astype(np.float32) / 255)
    words = "floating point, which has no agreed white. Scale the values" if name == "TIFF" else "floating-point map"
    with pytest.raises(ImageError, match=words):
        read(encoded(pixels, {"TIFF": "TIFF", "PFM": "PPM"}[name]))


# JPEG without its end


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 4}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_without_its_end_mark_is_whole(face, mode, options):
    whole = encoded(Image.fromarray(face).convert(mode), "JPEG", **options)
    for cut in (whole[:-2], whole[:-1]):
        loaded = load(cut)
        assert loaded.warnings == ("the file has no end mark, so it may have been cut short; no pixel is missing",)
        assert np.array_equal(loaded.frame, read(whole))


def test_a_jpeg_that_lost_its_last_pixels_says_how_many(face):
    whole = encoded(face, "JPEG")
    (warning,) = load(whole[: int(0.98 * len(whole))]).warnings
    assert "0.9% of the pixels are missing there" in warning


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_jpeg_that_lost_more_is_refused_with_the_share(face, share):
    whole = encoded(face, "JPEG", quality=90)
    with pytest.raises(ImageError, match=r"damaged or cut short \(\d+% of the pixels are missing at the end\)"):
        read(whole[: int(share * len(whole))])


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_progressive_jpeg_that_lost_whole_scans_is_refused(face, share):
    whole = encoded(face, "JPEG", progressive=True)
    with pytest.raises(ImageError, match="its last scans are missing"):
        read(whole[: int(share * len(whole))])


# photos of more pixels than are decoded


@pytest.fixture
def low_limits(monkeypatch):
    """Limits that a small image exceeds, in the same proportion."""
    for module in (header, image, formats.jpeg, formats.heif):
        monkeypatch.setattr(module, "MAX_PIXELS", 20_000)
    monkeypatch.setattr(formats.jpeg, "MAX_STORED_PIXELS", 1_000_000)
    monkeypatch.setattr(formats.jpeg, "MAX_COEFFICIENT_BYTES", 300_000)
    monkeypatch.setattr(formats.heif, "MAX_STORED_PIXELS", 80_000)


@pytest.mark.usefixtures("low_limits")
@pytest.mark.parametrize(
    ("size", "scale", "decoded"),
    [
        ((140, 140), 1, (140, 140)),
        ((256, 224), 2, (128, 112)),
        ((561, 301), 4, (141, 76)),
        ((900, 1100), 8, (113, 138)),
    ],
)
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}])
def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(face, size, scale, decoded, options):
    large = Image.fromarray(face).resize(size, Image.Resampling.BICUBIC)
    loaded = load(encoded(large, "JPEG", quality=95, **options))
    assert loaded.frame.shape == (*decoded[::-1], 3)
    assert loaded.scale == scale
    words = f"the image of {size[0]} x {size[1]} pixels was decoded at 1/{scale} of its width and height"
    assert [warning.startswith(words) for warning in loaded.warnings] == ([True] if scale > 1 else [])
    small = np.asarray(large.reduce(scale))
    assert distance(loaded.frame, small) < 6


@pytest.mark.usefixtures("low_limits")
def test_a_large_jpeg_is_turned_upright(face):
    exif = Image.Exif()
    exif[274] = 6
    loaded = load(encoded(Image.fromarray(face).rotate(90, expand=True), "JPEG", exif=exif))
    assert loaded.frame.shape == (128, 112, 3)
    assert distance(loaded.frame, np.asarray(Image.fromarray(face).resize((112, 128), Image.Resampling.BOX))) < 5


@pytest.mark.usefixtures("low_limits")
def test_what_is_larger_still_is_refused_with_its_size(face):
    for size, words in (((1001, 1000), "at most 1,000,000 pixels in such a JPEG; received 1001 x 1000"),):
        with pytest.raises(ImageError, match=words):
            read(encoded(Image.fromarray(face).resize(size), "JPEG"))
    with pytest.raises(ImageError, match="in such a progressive JPEG; received 400 x 400"):
        read(encoded(Image.fromarray(face).resize((400, 400)), "JPEG", progressive=True))
    with pytest.raises(ImageError, match="at most 20,000 pixels; received 150 x 150"):
        read(encoded(Image.fromarray(face).resize((150, 150)), "PNG"))
    assert load(encoded(Image.fromarray(face).resize((300, 300)), "JPEG", progressive=True)).scale == 4


# AVIF and HEIC

CONTAINERS = [
    pytest.param(lambda frame, **options: encoded(frame, "AVIF", quality=95, **options), marks=needs_avif, id="AVIF"),
    pytest.param(lambda frame, **options: heic(Image.fromarray(frame), quality=95, **options), id="HEIC"),
]


@pytest.fixture(autouse=True)
def _heic_reader(request):
    if "HEIC" in request.node.name or "heic" in request.node.name:
        pytest.importorskip("pillow_heif", reason="reads HEIC: pip install pillow-heif")


@pytest.mark.parametrize("write", CONTAINERS)
def test_photos_of_phones(face, write):
    loaded = load(write(face))
    assert loaded.frame.shape == face.shape
    assert loaded.frame.flags.writeable
    assert distance(loaded.frame, face) < 3
    assert loaded.warnings == ()


@pytest.mark.parametrize("write", CONTAINERS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_applied_once(face, write, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    turned = encoded(face, "TIFF", exif=exif)  # another format with the same tag
    assert distance(read(write(face, exif=exif.tobytes())), read(turned)) < 3


@pytest.mark.parametrize("write", CONTAINERS)
def test_transparent_pixels_are_white(face, write):
    clear = np.dstack([face, np.full(face.shape[:2], 255, np.uint8)])
    clear[:64, :64, 3] = 0
    frame = read(write(clear))
    assert frame[:60, :60].min() > 250
    assert distance(frame[70:, 70:], face[70:, 70:]) < 3


@pytest.mark.parametrize("write", CONTAINERS)
def test_what_a_phone_appends_does_no_harm(face, write):
    photo = write(face)
    for behind in (b"SEFH" + bytes(40), b"\xff" * 9, struct.pack(">I4s", 48, b"mpvd") + bytes(40)):
        assert np.array_equal(read(photo + behind), read(photo))


@needs_avif
@pytest.mark.parametrize("count", [2, 3])
def test_an_animated_avif_gives_its_first_frame(face, count):
    frames = [Image.fromarray(np.roll(face, 40 * number, axis=0)) for number in range(count)]
    animation = encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:], quality=90)
    assert distance(read(animation), face) < 4


def test_a_heic_of_several_images_gives_the_main_one(face):
    pillow_heif = pytest.importorskip("pillow_heif")
    several = pillow_heif.HeifFile()
    for shade in (20, 200, 90):
        several.add_from_pillow(Image.new("RGB", (64, 48), (shade, shade, shade)))
    for main, shade in enumerate((20, 200, 90)):
        target = io.BytesIO()
        several.save(target, primary_index=main, quality=90)
        assert abs(read(target.getvalue()).mean() - shade) < 3


@pytest.mark.parametrize("tile", [64, 128])
def test_a_heic_of_tiles(face, tile):
    assert distance(read(heic(Image.fromarray(face), quality=95, tile_size=tile)), face) < 3


def test_a_heic_of_10_bits(face):
    pillow_heif = pytest.importorskip("pillow_heif")
    deep = pillow_heif.from_bytes("RGB;16", face.shape[1::-1], (face.astype(np.uint16) * 257).tobytes())
    target = io.BytesIO()
    deep.save(target, quality=95)
    assert pillow_heif.open_heif(target.getvalue()).info["bit_depth"] == 10
    assert distance(read(target.getvalue()), face) < 3


@pytest.mark.usefixtures("low_limits")
@pytest.mark.parametrize("size", [(200, 150), (201, 151)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_large_heic_is_halved(face, size, mode):
    large = Image.fromarray(face).resize(size)
    loaded = load(heic(large.convert(mode), quality=95))
    assert loaded.frame.shape == ((size[1] + 1) // 2, (size[0] + 1) // 2, 3)
    assert loaded.scale == 2
    assert distance(loaded.frame, np.asarray(large.reduce(2))) < 3


def test_a_heic_without_its_reader_names_the_command(face, monkeypatch):
    photo = heic(Image.fromarray(face))
    monkeypatch.setattr("pillow_heif.libheif_version", lambda: "1.21.2")
    with pytest.raises(ImageError, match=r"a HEIC photo.*: pip install --upgrade pillow-heif"):
        read(photo)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"a HEIC photo.*: pip install --upgrade pillow-heif"):
        read(photo)


# TGA and PNM


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize("options", [{}, {"compression": "tga_rle"}])
def test_tga(face, mode, options):
    stored = Image.fromarray(face).convert(mode)
    assert np.array_equal(read(encoded(stored, "TGA", **options)), np.asarray(stored.convert("RGB")))


def test_a_tga_without_bits_of_alpha_is_opaque(face):
    clear = np.dstack([face, np.zeros(face.shape[:2], np.uint8)])
    content = bytearray(encoded(Image.fromarray(clear), "TGA"))
    assert (read(bytes(content)) == 255).all()
    content[17] &= 0xF0
    assert np.array_equal(read(bytes(content)), face)


def test_a_tga_whose_rows_go_up_is_upright(face):
    assert np.array_equal(read(encoded(face, "TGA", orientation=-1)), face)


@pytest.mark.parametrize("white", [1, 15, 100, 255, 1000, 1023, 4095, 65_535])
def test_a_pgm_is_scaled_by_its_own_white(grey, white):
    values = grey.astype(int) * white // 255
    content = b"P5\n# drawn\n224 256\n%d\n" % white + values.astype(">u2" if white > 255 else "u1").tobytes()
    loaded = load(content)
    assert np.array_equal(loaded.frame[..., 0], values * 255 // white)
    assert loaded.warnings == ()


@pytest.mark.parametrize("white", [15, 255, 1000, 4095, 65_535])
def test_a_ppm_is_scaled_by_its_own_white(face, white):
    values = face.astype(int) * white // 255
    content = b"P6 224 256 %d\n" % white + values.astype(">u2" if white > 255 else "u1").tobytes()
    loaded = load(content)
    assert np.array_equal(loaded.frame, values * 255 // white)
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P1\n2 1\n1 0\n", [0, 255]),
        (b"P2\n2 1\n255\n7 200\n", [7, 200]),
        (b"P2\n2 1\n1023\n1023 0\n", [255, 0]),
        (b"P4\n2 1\n\x80", [0, 255]),
    ],
)
def test_pnm_of_text_and_of_bits(content, expected):
    assert read(content)[0, :, 0].tolist() == expected


# raw photos


def test_the_preview_that_a_raw_photo_begins_with_is_not_taken_for_it():
    for first in ((254, 4, 1, 1), (254, 3, 1, 1)):
        with pytest.raises(ImageError, match="a reduced copy first, as in raw photos"):
            read(bombs.tiff_plain(first))
    assert read(bombs.tiff_plain((254, 4, 1, 0))).shape == (8, 8, 3)
