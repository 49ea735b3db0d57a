from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from mien.errors import MissingExtraError
from mien.models.card import CARD_KEY
from mien.models.onnx_file import SEAL_KEY, UNSEALED, seal
from mien.training.export.model_summary import onnx_summary


def test_the_shipped_model_has_the_cost_that_its_page_tells(shipped_model):
    pytest.importorskip("onnx", reason="needs onnx: pip install 'mien[train]'")
    summary = onnx_summary(shipped_model)
    assert summary.name == "compact"
    assert summary.multiply_adds == 59_628_256 + 256 * 8  # of one head, and the second one
    assert summary.layers[0].output == (48, 48, 1)
    assert next(layer.output for layer in summary.layers if layer.kind == "Conv") == (48, 48, 16)
    assert [layer.output for layer in summary.layers[-2:]] == [(8,), (7,)]
    kinds = {layer.kind for layer in summary.layers if layer.parameters}
    assert kinds == {"Conv", "Gemm"}


def made(classifier, nodes, weights):
    """A model of an own graph: face crops of 8x8x1 in, a row of logits out."""
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'mien[train]'")
    crops = onnx.helper.make_tensor_value_info("crops", onnx.TensorProto.UINT8, ["batch", 8, 8, 1])
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 2])
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    listed = [
        onnx.helper.make_node(kind, inputs, [output], name=output, **options) for kind, inputs, output, options in nodes
    ]
    graph = onnx.helper.make_graph(listed, "g", [crops], [logits], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    card = replace(classifier.card, name="made", size=8, channels=1)
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json(), SEAL_KEY: UNSEALED})
    return seal(model.SerializeToString())


def test_quantized_weights_belong_to_the_layer_that_uses_them(classifier):
    """What brings int8 weights to float is no layer; formulas' single numbers and shapes are no parameters."""
    model = made(
        classifier,
        [
            ("Cast", ["crops"], "float", {"to": 1}),
            ("Div", ["float", "scale"], "scaled", {}),
            ("Transpose", ["scaled"], "turned", {"perm": [0, 3, 1, 2]}),
            ("DequantizeLinear", ["kernel", "scales", "zeros"], "kernel_float", {"axis": 0}),
            ("Conv", ["turned", "kernel_float", "bias"], "convolved", {"strides": [2, 2]}),
            ("ConvTranspose", ["convolved", "spread"], "wide", {}),
            ("Transpose", ["wide"], "back", {"perm": [0, 2, 3, 1]}),
            ("Reshape", ["back", "shape"], "flat", {}),
            ("MatMul", ["flat", "dense"], "logits", {}),
        ],
        {
            "scale": np.float32(255),
            "kernel": np.ones((4, 1, 3, 3), np.int8),
            "scales": np.ones(4, np.float32),
            "zeros": np.zeros(4, np.int8),
            "bias": np.zeros(4, np.float32),
            "spread": np.ones((4, 2, 2, 2), np.float32),
            "shape": np.array([-1, 4 * 4 * 2]),
            "dense": np.ones((4 * 4 * 2, 2), np.float32),
        },
    )
    summary = {
        layer.name: (layer.output, layer.parameters, layer.multiply_adds) for layer in onnx_summary(model).layers
    }
    assert summary == {
        "float": ((8, 8, 1), 0, 0),
        "scaled": ((8, 8, 1), 0, 0),
        "turned": ((8, 8, 1), 0, 0),
        "convolved": ((3, 3, 4), 4 * 9 + 4, 3 * 3 * 4 * 9),
        "wide": ((4, 4, 2), 4 * 2 * 4, 3 * 3 * 4 * 2 * 4),
        "back": ((4, 4, 2), 0, 0),
        "flat": ((32,), 0, 0),
        "logits": ((2,), 64, 64),
    }


def test_without_onnx_the_pip_line_is_named(shipped_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*'onnx>="):
        onnx_summary(shipped_model)
