"""What counts as an image in Python, and the code that a message gives for what does not."""

from __future__ import annotations

import gzip
import io
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.errors import ImageError, UsageError
from mien.media.image import encode
from mien.media.image_input import check_images, load_image, name_of

FRAME = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
FRAME[0, :2] = [[0], [255]]  # the whole range, so that the scale of floats can be seen
GREY = FRAME[..., 1]
PNG = encode(FRAME, "png")


def frame_of(image):
    return load_image(image).frame


class Tensor:
    """A tensor of a library that mien does not know; like PyTorch's it can be on a GPU or have a gradient."""

    def __init__(self, array, error=None):
        self.array, self.error = array, error
        self.shape, self.dtype = array.shape, array.dtype

    def __array__(self):
        if self.error is not None:
            raise self.error
        return self.array

    def detach(self):
        return self

    def cpu(self):
        return Tensor(self.array)


class Exchanged:
    """A tensor that has the exchange protocol alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Linked:
    """A path of a kind that is not pathlib's."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


def test_every_form_of_an_image_gives_the_same_frame(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    forms = {
        "str": str(path),
        "path": path,
        "path of another kind": Linked(path),
        "bytes": PNG,
        "bytearray": bytearray(PNG),
        "memoryview": memoryview(PNG),
        "array": FRAME,
        "view of an array": FRAME[::-1][::-1],
        "array in Fortran's order": np.asfortranarray(FRAME),
        "memoryview of an array": memoryview(FRAME),
        "tensor": Tensor(FRAME),
        "dlpack": Exchanged(FRAME),
        "Pillow": Image.fromarray(FRAME),
        "BytesIO": io.BytesIO(PNG),
    }
    for form, image in forms.items():
        assert np.array_equal(frame_of(image), FRAME), form


@pytest.mark.parametrize("shape", [GREY.shape, (*GREY.shape, 1)])
@pytest.mark.parametrize("form", [np.asarray, Tensor])
def test_grey_arrays_are_images(shape, form):
    assert np.array_equal(frame_of(form(GREY.reshape(shape))), np.stack([GREY] * 3, axis=2))


# -- files


def rest_of(content, position):
    file = io.BytesIO(content)
    file.seek(position)
    return file


def opened(tmp_path):
    """Files that are open for reading."""
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    (tmp_path / "a.gz").write_bytes(gzip.compress(PNG))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("inside.png", PNG)
    temporary = tempfile.SpooledTemporaryFile(max_size=100)  # noqa: SIM115  it stays open
    temporary.write(PNG)
    temporary.seek(0)
    return {
        "file": path.open("rb"),
        "unbuffered": path.open("rb", buffering=0),
        "gzip": gzip.open(tmp_path / "a.gz"),
        "member of a zip": zipfile.ZipFile(tmp_path / "a.zip").open("inside.png"),
        "temporary": temporary,
        "from its position": rest_of(b"header" + PNG, 6),
    }


@pytest.mark.parametrize("kind", ["file", "unbuffered", "gzip", "member of a zip", "temporary", "from its position"])
def test_an_open_file_is_read_from_its_position_and_stays_open(tmp_path, kind):
    files = opened(tmp_path)
    assert np.array_equal(frame_of(files[kind]), FRAME)
    assert [file for file in files.values() if file.closed] == []
    for file in files.values():
        file.close()


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_file_in_text_mode_is_refused(tmp_path, mode):
    (tmp_path / "a.png").write_bytes(PNG)
    with (
        (tmp_path / "a.png").open(mode) as file,
        pytest.raises(ImageError, match=r"text mode. Open it with open\(path"),
    ):
        frame_of(file)


async def read_later(_size):
    return PNG


def closed_file():
    file = io.BytesIO(PNG)
    file.close()
    return file


def file_that_reads(read):
    return type("File", (), {"read": staticmethod(read)})()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (io.StringIO("text"), "received one in text mode"),
        (rest_of(PNG, len(PNG)), r"received nothing. Go to its start: file.seek\(0\)"),
        (rest_of(PNG, 30), "<file>|the .* bytes given"),
        (closed_file(), "closed file"),
        (file_that_reads(lambda size: "text"), "whose read gives bytes; received a str"),
        (file_that_reads(lambda size: None), "whose read gives bytes; received None"),
        (file_that_reads(read_later), r"received a coroutine. Pass the bytes: await file.read\(\)"),
        (gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(PNG)[:-20])), "can't be|damaged|nothing"),
        (gzip.GzipFile(fileobj=io.BytesIO(PNG)), "Not a gzipped file"),
    ],
    ids=["text", "at its end", "cut", "closed", "str", "none", "coroutine", "torn gzip", "no gzip"],
)
def test_a_file_that_can_t_be_read_is_refused(file, message):
    with pytest.raises(ImageError, match=message):
        frame_of(file)


def test_a_file_opened_for_writing_is_refused(tmp_path):
    with (tmp_path / "a.png").open("wb") as file, pytest.raises(ImageError, match="can't be"):
        frame_of(file)


# -- arrays that are other kinds of images

COLOUR = {
    "floats 0 to 1": lambda x: x / 255,
    "float32 0 to 1": lambda x: (x / 255).astype(np.float32),
    "float16 0 to 1": lambda x: (x / 255).astype(np.float16),
    "floats -1 to 1": lambda x: x / 127.5 - 1,
    "floats 0 to 255": lambda x: x.astype(np.float32),
    "resized 0 to 1": lambda x: np.concatenate([x / 255, np.full_like(x, 1.0, np.float64) * 1.1], axis=0),
    "int64": lambda x: x.astype(np.int64),
    "int16": lambda x: x.astype(np.int16),
    "uint16": lambda x: x.astype(np.uint16),
    "10 bits": lambda x: x.astype(np.uint16) << 2,
    "12 bits": lambda x: x.astype(np.uint16) << 4,
    "16 bits": lambda x: x.astype(np.uint16) * 257,
    "uint8": lambda x: x,
}
LAYOUTS = {
    "RGB": lambda x: x,
    "RGBA": lambda x: np.concatenate([x, x[..., :1]], axis=2),
    "channels first": lambda x: x.transpose(2, 0, 1),
    "four channels first": lambda x: np.concatenate([x, x[..., :1]], axis=2).transpose(2, 0, 1),
    "grey": lambda x: x[..., 0],
    "grey, channel last": lambda x: x[..., :1],
    "grey, channel first": lambda x: x[..., :1].transpose(2, 0, 1),
}


def code_in(message):
    """The code that a message gives."""
    return re.search(r": pass (.*)$", message)[1]


@given(st.sampled_from(sorted(COLOUR)), st.sampled_from(sorted(LAYOUTS)), st.data())
def test_the_code_in_the_message_makes_the_image(values, layout, data):
    height, width = (data.draw(st.integers(5, 12)) for _ in range(2))
    frame = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)
    frame[0, :2] = [[0], [255]]
    array = LAYOUTS[layout](COLOUR[values](frame))
    expected = frame if "grey" not in layout else np.repeat(frame[..., :1], 3, axis=2)
    tensor = data.draw(st.booleans())
    try:
        found = frame_of(Tensor(array) if tensor else array)
    except ImageError as error:
        code = code_in(str(error))
        assert code.startswith("np.asarray(x)") or "x" in code
        found = frame_of(eval(code, {"x": Tensor(array) if tensor else array, "np": np}))
        if "permute" in str(error):
            assert "first" in layout
    else:
        assert values == "uint8"
        assert layout in ("RGB", "grey", "grey, channel last")
    error = np.abs(found[:height].astype(int) - expected).max()
    assert error <= (1 if values.startswith(("float16", "16 bits")) else 0)


def test_a_mask_becomes_black_and_white():
    with pytest.raises(ImageError, match="mask") as raised:
        frame_of(GREY > 128)
    assert np.unique(eval(code_in(str(raised.value)), {"x": GREY > 128, "np": np})).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((5, 6, 3), -2.1), r"values are -2.1 to -2.1, as after normalisation: undo it \(x \* std \+ mean\)"),
        (np.full((5, 6, 3), np.nan), "not all finite"),
        (np.full((5, 6, 3), np.inf, np.float32), "not all finite"),
        (np.full((5, 6, 3), 70_000), "values are 70000 to 70000: scale them"),
        (np.full((5, 6, 3), -3), "values are -3 to -3: scale them"),
        (np.full((5, 6, 3), 1j), "no numbers"),
        (np.full((5, 6, 3), "a"), "no numbers"),
        (np.zeros((2, 5, 6, 3), np.uint8), r"a batch: pass each of its images, or the batch to predict_many\(x\)"),
        (np.zeros((2, 3, 5, 6)), "a batch"),
        (np.zeros((0, 5, 3), np.uint8), "empty: check the slice"),
        (np.zeros((5, 0), np.uint8), "empty"),
        (np.zeros((5, 6, 7), np.uint8), "no image"),
        (np.zeros(5, np.uint8), "no image"),
        (np.array(["a.jpg", "b.jpg"], object), "no image"),
        (np.zeros((), np.uint8), "no image"),
    ],
)
def test_an_array_that_no_code_can_convert_is_refused_with_the_reason(array, message):
    with pytest.raises(ImageError, match=message):
        frame_of(array)


# -- tensors


@pytest.mark.parametrize(
    ("error", "dtype", "message"),
    [
        (TypeError("can't convert cuda:0 device type tensor to numpy.\nUse"), np.uint8, r"x\.detach\(\)\.cpu\(\)$"),
        (RuntimeError("Can't call numpy() on Tensor that requires grad."), np.float32, r"x\.detach\(\)\.cpu\(\)$"),
        (TypeError("Got unsupported ScalarType BFloat16"), "bfloat16", r"x\.detach\(\)\.cpu\(\)\.float\(\)$"),
    ],
)
def test_a_tensor_that_numpy_can_t_read_is_refused_with_the_code(error, dtype, message):
    tensor = Tensor(FRAME, error)
    tensor.dtype = dtype
    with pytest.raises(ImageError, match=message) as raised:
        frame_of(tensor)
    assert str(error).partition("\n")[0].rstrip(".") in str(raised.value)


@pytest.mark.backend
def test_tensors_of_the_installed_library_are_images():
    """TensorFlow's, PyTorch's or JAX's: whichever trains here."""
    keras = pytest.importorskip("keras", reason="needs a backend of Keras")
    tensor = keras.ops.convert_to_tensor(FRAME)
    assert np.array_equal(frame_of(tensor), FRAME)
    first = keras.ops.convert_to_tensor(FRAME.transpose(2, 0, 1).astype(np.float32) / 255)
    with pytest.raises(ImageError, match=r"of float32 with shape \(3, 7, 9\).*channels come first") as raised:
        frame_of(first)
    assert np.array_equal(frame_of(eval(code_in(str(raised.value)), {"x": first, "np": np})), FRAME)


def test_tensors_of_torch_are_images():
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    assert np.array_equal(frame_of(torch.from_numpy(FRAME)), FRAME)
    first = torch.from_numpy(FRAME).permute(2, 0, 1)
    with pytest.raises(ImageError, match=r"an array of uint8 with shape \(3, 7, 9\).*x\.permute\(1, 2, 0\)"):
        frame_of(first)
    assert np.array_equal(frame_of(first.permute(1, 2, 0)), FRAME)
    for tensor in (first.float().requires_grad_(), first.bfloat16(), first.to("meta")):
        with pytest.raises(ImageError, match=r"Pass x\.detach\(\)\.cpu\(\)"):
            frame_of(tensor)


# -- what is no image


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "received None, as cv2.imread returns for a file that it can't read. Pass the path itself"),
        (["a.jpg", "b.jpg"], "received a list. Use predict_many"),
        ((FRAME, FRAME), "received a tuple. Use predict_many"),
        ([[[0, 0, 0]]], r"np\.array\(x, dtype='uint8'\)"),
        (0, r"received an int. For a camera use stream\(0\)"),
        (0.5, "received a float"),
        ({"bytes": PNG}, "received a dict"),
        (object(), "received an object"),
        ("https://example.org/a.jpg", "received the address 'https://example.org/a.jpg'. mien fetches nothing"),
        ("data:image/png;base64,iVBORw0KGgo=", r"data URL. Decode it: base64\.b64decode"),
        ("iVBORw0KGgo" * 1000, r"a text of 11,000 characters. If it is an image in base64"),
        ("", "''|folder"),
        ("a\0b.png", "can't be read"),
    ],
)
def test_what_is_no_image_is_refused_with_a_remedy(wrong, message):
    with pytest.raises(ImageError, match=message) as raised:
        frame_of(wrong)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("x.jpg", r"received one: a str. Use predict\(image\), or predict_many\(\[image\]\)"),
        (Path("x.jpg"), "received one"),
        (PNG, "received one: a bytes"),
        (bytearray(PNG), "received one"),
        (io.BytesIO(PNG), "received one: a BytesIO"),
        (Image.fromarray(FRAME), "received one: an Image"),
        (FRAME, "received one: an array of uint8"),
        (GREY, "received one: an array of uint8"),
        (Tensor(FRAME), "received one: a Tensor"),
        (None, "received None"),
        (7, "received an int"),
    ],
)
def test_one_image_is_not_several(images, message):
    with pytest.raises(UsageError, match=f"expected several images, such as a list; {message}"):
        check_images(images)


@pytest.mark.parametrize("form", [str, Path])
def test_a_folder_is_not_several_images(tmp_path, form):
    with pytest.raises(UsageError, match=r"received the folder .*glob"):
        check_images(form(tmp_path))


@pytest.mark.parametrize("images", [["a.jpg"], ("a.jpg",), iter(["a.jpg"]), {"a.jpg"}, np.stack([FRAME, FRAME]), []])
def test_several_images_are_taken(images):
    check_images(images)


def test_images_have_names(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    with (tmp_path / "a.png").open("rb") as file, tempfile.TemporaryFile() as numbered:
        named = [name_of(one) for one in (file, numbered, io.BytesIO(PNG), Tensor(FRAME), Linked("b.png"))]
    assert named == [str(tmp_path / "a.png"), "<file>", "<file>", "<array>", "b.png"]
