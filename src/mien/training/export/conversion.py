"""Conversion of a Keras network to an ONNX graph.

Keras exports from TensorFlow and torch. From JAX, the network is rebuilt with one of these two in a child process (a
process has one backend) and exported there; weights have the same format in all three.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import MissingExtraError, TrainingError
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    import onnx

EXPORTERS = {"torch": "onnxscript", "tensorflow": "tf2onnx"}
"""Backends with ONNX export in Keras (3.15), and the package that each needs."""

DEFAULT_SIDE_PX = 64
"""Side of the image that builds a network with variable input size."""

NETWORK, WEIGHTS, GRAPH = "network.json", "network.weights.h5", "network.onnx"


def to_onnx(model: keras.Model) -> bytes:
    """Export a network to ONNX without card: dynamic batch size, folded constants, fused batch normalisation.

    Args:
        model: a float32 network.

    Raises:
        TrainingError: ONNX Runtime can't run the graph.
        MissingExtraError: no backend with ONNX export, or not its exporter, is installed.
    """
    import keras

    return _exported(model) if keras.backend.backend() in EXPORTERS else _exported_in_child(model)


def _exported(model: keras.Model) -> bytes:
    shape = [side or DEFAULT_SIDE_PX for side in model.input_shape[1:]]
    model.predict_on_batch(np.zeros((1, *shape), np.uint8))  # export requires a network that was called
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracers of every backend warn about their own design
        raw = Path(folder) / "raw.onnx"
        try:
            model.export(raw, format="onnx", verbose=False)
        except ImportError as error:
            raise MissingExtraError("ONNX export", str(error.name or error), "train") from error
        return _simplified(raw, Path(folder) / "simple.onnx")


def _simplified(raw: Path, simple: Path) -> bytes:
    """Apply ONNX Runtime's basic optimisations, which use standard operators only.

    The result loads fifteen times as fast as the exporter's own graph (32 ms against 478 for ``compact``).
    """
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(simple)
    options.log_severity_level = 3
    try:
        onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no other common base
        raise TrainingError(
            f"expected a graph that ONNX Runtime can run; received an error ({error}). Export with float32 precision"
        ) from error
    graph = onnx.load(simple)
    _fold_padding(graph.graph)
    used = {node.domain for node in graph.graph.node}
    kept = [entry for entry in graph.opset_import if entry.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    content: bytes = graph.SerializeToString()
    return content


def _fold_padding(graph: onnx.GraphProto) -> None:
    """Fold zero padding before a convolution into the convolution itself.

    ONNX Runtime does not do so; separate padding takes a third of the face detector's time.
    """
    from onnx import helper, numpy_helper

    constants = {value.name: value for value in graph.initializer}
    producers = {node.output[0]: node for node in graph.node}
    readers = Counter(name for node in graph.node for name in node.input)
    for node in [node for node in graph.node if node.op_type == "Conv"]:
        pad = producers.get(node.input[0])
        if pad is None or pad.op_type != "Pad" or readers[pad.output[0]] > 1 or pad.input[1] not in constants:
            continue
        around = numpy_helper.to_array(constants[pad.input[1]]).tolist()
        value = numpy_helper.to_array(constants[pad.input[2]]) if len(pad.input) > 2 and pad.input[2] else 0
        own = {part.name: part for part in node.attribute}
        padded = "pads" in own and any(own["pads"].ints)
        padded |= "auto_pad" in own and own["auto_pad"].s != b"NOTSET"
        mode = next((part.s for part in pad.attribute if part.name == "mode"), b"constant")
        if len(around) != 8 or any(around[:2] + around[4:6]) or np.any(value) or padded or mode != b"constant":
            continue
        kept = [part for part in node.attribute if part.name not in ("pads", "auto_pad")]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("pads", around[2:4] + around[6:8])])
        node.input[0] = pad.input[0]
        graph.node.remove(pad)


def _exported_in_child(model: keras.Model, installed: Callable[[str], object] = find_spec) -> bytes:
    """Export in a child process with a backend that supports it."""
    backend = next((name for name, tool in EXPORTERS.items() if installed(name) and installed(tool)), None)
    if backend is None:
        raise MissingExtraError(
            "ONNX export from JAX (the weights are saved: run mien export RUN afterwards)", "torch", "train-torch"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Keras sorts heads by key, but weights are stored in the order in which the heads were created
        heads = [(head, output.shape[-1]) for head, output in model.output.items()]
        network = {
            "network": model.name,
            "size": model.input_shape[1],
            "channels": model.input_shape[3],
            "heads": heads,
        }
        (folder / NETWORK).write_text(json.dumps(network), encoding="utf-8")
        model.save_weights(folder / WEIGHTS)
        done = subprocess.run(  # noqa: S603  the command is this module
            [sys.executable, "-P", "-m", "mien.training.export.conversion", str(folder)],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:]
            raise TrainingError(f"expected {backend} to export the network; received: {''.join(reason)}")
        return (folder / GRAPH).read_bytes()


def main(folder: Path) -> None:
    """Export the network that the parent process wrote into the folder."""
    from mien.training import architectures, prepare_backend

    prepare_backend()
    from mien.training.architectures.detector import face_detector

    network = json.loads((folder / NETWORK).read_text(encoding="utf-8"))
    if network["network"] == FACE_DETECTOR:
        model = face_detector(network["size"])
    else:
        heads = tuple((name, count) for name, count in network["heads"])
        model = architectures.build(
            network["network"], architectures.NetworkShape(network["size"], network["channels"], heads)
        )
    model.load_weights(folder / WEIGHTS)
    (folder / GRAPH).write_bytes(to_onnx(model))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
