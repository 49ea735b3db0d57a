import io
import json
import os
import pickle
import time
import zipfile

import numpy as np
import pytest

from mien.errors import ModelError
from mien.models.onnx_file import MAX_MODEL_BYTES, check_onnx, read_onnx
from mien.models.store import ModelStore


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def archive(**members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in members.items():
            file.writestr(name.replace("__", "/"), text)
    return content.getvalue()


def keras_with_lambda(marker):
    code = f"__import__('os').system('touch {marker}')"
    config = {
        "class_name": "Sequential",
        "config": {"layers": [{"class_name": "Lambda", "config": {"function": code}}]},
    }
    return archive(**{"config.json": json.dumps(config), "metadata.json": "{}", "model.weights.h5": "\x89HDF"})


def external_data(marker):
    """A hand-made ModelProto: graph, one initializer whose data_location is EXTERNAL, location /etc/hostname."""

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    entry = field(1, b"location") + field(2, b"../../../etc/hostname")
    tensor = b"\x08\x01\x10\x01" + field(8, b"w") + field(13, entry) + b"\x70\x01"
    return b"\x08\x08" + field(7, field(2, b"g") + field(5, tensor))


POISON = {
    "empty": lambda marker: b"",
    "pickle": lambda marker: pickle.dumps(Payload(marker)),
    "pickle of protocol 0": lambda marker: pickle.dumps(Payload(marker), protocol=0),
    "torch zip": lambda marker: archive(archive__data_pkl=pickle.dumps(Payload(marker))),
    "keras with Lambda": keras_with_lambda,
    "zip slip": lambda marker: archive(**{"../" + marker.name: "slipped", str(marker): "slipped"}),
    "hdf5": lambda marker: b"\x89HDF\r\n\x1a\n" + bytes(200),
    "ort format": lambda marker: b"\x08\x01\x00\x00ORTM" + bytes(200),
    "python": lambda marker: f"import os; os.system('touch {marker}')".encode(),
    "external data": external_data,
    "external data, padded length": lambda marker: external_data(marker).replace(b"\x08location", b"\x88\x00location"),
    "cut": lambda marker: b"\x08\x08",
    "text that begins like ONNX": lambda marker: b"\x08\x00" + b"hello" * 40,
}


@pytest.mark.parametrize("kind", POISON)
@pytest.mark.parametrize("suffix", [".onnx", ".keras"])
def test_poisoned_files_are_refused_within_a_second_and_never_run(tmp_path, kind, suffix):
    marker = tmp_path / "ran"
    file = tmp_path / f"model{suffix}"
    file.write_bytes(POISON[kind](marker))
    store = ModelStore(cache=tmp_path / "cache")
    began = time.perf_counter()
    with pytest.raises(ModelError):
        store.load(file)
    took = time.perf_counter() - began
    with pytest.raises(ModelError):
        store.add(file)
    assert took < 1.0
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name]


def test_the_payload_would_have_run(tmp_path):
    marker = tmp_path / "ran"
    pickle.loads(POISON["pickle"](marker))
    assert marker.exists()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "received an empty file"),
        ("pickle", "received a Python pickle"),
        ("keras with Lambda", r"received a zip archive \(.keras"),
        ("hdf5", "received an HDF5 file"),
        ("ort format", "received something else"),
        ("external data", "points to data in other files"),
        ("external data, padded length", "points to data in other files"),
    ],
)
def test_the_error_names_the_kind_of_file(tmp_path, kind, message):
    with pytest.raises(ModelError, match=message):
        check_onnx(POISON[kind](tmp_path / "ran"))


def test_external_data_as_the_onnx_package_writes_it_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx makes the model of this test: pip install 'mien[train]'")
    weights = onnx.numpy_helper.from_array(np.ones(512, np.float32), "w")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["w"], ["y"])],
        "g",
        [],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [512])],
        [weights],
    )
    model = onnx.helper.make_model(graph)
    inside, outside = tmp_path / "inside.onnx", tmp_path / "outside.onnx"
    onnx.save(model, inside)
    onnx.save(model, outside, save_as_external_data=True, size_threshold=0, location="outside.bin")
    assert (tmp_path / "outside.bin").stat().st_size == 2048
    assert read_onnx(inside) == inside.read_bytes()
    with pytest.raises(ModelError, match="points to data in other files"):
        read_onnx(outside)


@pytest.mark.parametrize("name", ["absent.onnx", "folder"])
def test_a_path_without_a_file_is_reported(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match="there is none at"):
        read_onnx(tmp_path / name)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    file = tmp_path / "large.onnx"
    with file.open("wb") as stream:
        stream.truncate(MAX_MODEL_BYTES + 1)
    with pytest.raises(ModelError, match="at most 200000000 bytes; received one of 200000001"):
        read_onnx(file)
    with pytest.raises(ModelError, match="at most 200000000 bytes"):
        check_onnx(bytes(MAX_MODEL_BYTES + 1))
