"""Image files that keep a decoder busy, take its memory, or make it print."""

from __future__ import annotations

import io
import random
import re

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.errors import ImageError
from mien.media.formats import read_header
from mien.media.image import read

COMMENT = b"\xff\xfe\0\x02"


def jpeg(**options):
    content = io.BytesIO()
    Image.fromarray(astronaut()[20:220, 130:330]).save(content, "JPEG", **options)
    return content.getvalue()


def behind_scans(content, inserted):
    """A JPEG with bytes in front of what follows its first scan."""
    scan = content.index(b"\xff\xda")
    at = re.compile(rb"\xff[\x01-\xcf\xd8\xd9\xdb-\xfe]").search(content, scan).start()
    return content[:at] + inserted + content[at:]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize(
    "inserted",
    [COMMENT, COMMENT * 500, b"\xff\xe1\xff\xff" + bytes(65_533), b"\xff\xe5\0\x05abc\xff\xff\xff"],
    ids=["a comment", "many", "a long one", "metadata and fill bytes"],
)
def test_segments_between_scans_change_no_pixel(options, inserted):
    plain = jpeg(**options)
    assert np.array_equal(read(behind_scans(plain, inserted)), read(plain))


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("trailer", [bytes(100_000), b"\xff\xda\0\x02" * 1_000, b"\0\0\0\x18ftypmp42" * 1_000])
def test_bytes_behind_the_end_mark_count_for_nothing(options, trailer):
    """A phone's video lies there; it allows no more pixels either."""
    plain = jpeg(**options)
    assert np.array_equal(read(plain + trailer), read(plain))
    assert read_header(plain + trailer).pixel_bytes == read_header(plain).pixel_bytes


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize(
    "inserted",
    [COMMENT * 20_000, b"\xff\xe0\0\x02" * 20_000, b"\xff\xc4\0\x02" * 20_000, b"\xff\xfe\0\0" * 20_000],
    ids=["comments", "JFIF", "tables", "of no length"],
)
@pytest.mark.parametrize("cut", [False, True])
def test_a_jpeg_of_countless_segments_behind_its_scan_is_refused(options, inserted, cut):
    bomb = behind_scans(jpeg(**options), inserted)
    with pytest.raises(ImageError, match="more than 16384 segments"):
        read(bomb[:-2] if cut else bomb)


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\0", b"\xff\xd0", b"\0"])
def test_a_small_jpeg_of_many_bytes_is_refused(filler):
    bomb = behind_scans(jpeg(), filler * 4_000_000)
    with pytest.raises(ImageError, match="bytes for its pixels"):
        read(bomb)


@pytest.mark.parametrize(("width", "height"), [(6001, 4000), (16_383, 1_465), (1_465, 16_383)])
def test_a_webp_that_takes_400_mb_is_refused(width, height):
    """Its header is enough: the pixels stay one colour."""
    content = io.BytesIO()
    Image.new("RGB", (width, height)).save(content, "WEBP", lossless=True, quality=0, method=0)
    with pytest.raises(ImageError, match=f"at most 24,000,000 pixels in a WebP; received {width} x {height}"):
        read(content.getvalue())


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "tiff_deflate"])
def test_a_damaged_tiff_prints_nothing(compression, capfd):
    content = io.BytesIO()
    Image.fromarray(astronaut()[:64, :64]).save(content, "TIFF", compression=compression)
    dice = random.Random(1)
    refused = 0
    for _ in range(60):
        damaged = bytearray(content.getvalue())
        for at in dice.sample(range(8, len(damaged)), 8):
            damaged[at] = dice.randrange(256)
        try:
            read(bytes(damaged))
        except ImageError:
            refused += 1
    assert refused > 0  # the decoder met the damage
    assert capfd.readouterr() == ("", "")
