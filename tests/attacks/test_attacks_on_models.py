"""Model files with right seals and hostile contents: graphs that never end, cards that hold anything."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mien.classification.classifier import Classifier
from mien.emotions import FER2013
from mien.errors import ModelError, ModelMissingError
from mien.models.card import CARD_KEY, CropRule, DetectorCard, FusedOutput, Head, ModelCard, Score
from mien.models.manifest import read_entries
from mien.models.onnx_file import SEAL_KEY, UNSEALED, any_card_of, open_session, seal
from mien.models.onnx_graph import MAX_FIELDS, MAX_FUNCTIONS, MAX_NODES, check_graph
from mien.models.store import ADDED, SHIPPED, ModelStore

CARD = ModelCard(
    "mine",
    48,
    1,
    CropRule(1.1, 30.0),
    (Head("fer2013", FER2013, 1.1, 0.4, (0.1,) * 7, (1.0,) * 7),),
    FusedOutput(FER2013, (("fer2013", 1.0),), 0.9, 0.4, (0.2,) * 7),
    scores=(Score("fer2013", "PublicTest", "accuracy", 0.7, 3589),),
)
DETECTOR = DetectorCard("finder", 0.5, 0.4, scores=(Score("finder", "held out", "FPPI", 0.05, 590),))
DEEP = "[" * 100_000


@pytest.fixture
def store(tmp_path):
    return ModelStore(cache=tmp_path / "cache")


@pytest.fixture(scope="module")
def onnx():
    return pytest.importorskip("onnx", reason="onnx makes the models of these tests: pip install 'mien[train]'")


def model_of(onnx, nodes, functions=(), *, initializers=(), sparse=(), domains=("",), card=""):
    """A sealed model of the nodes; x goes in and y comes out."""
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [value("x", onnx.TensorProto.UINT8, ["batch", 48, 48, 1])],
        [value("y", onnx.TensorProto.UINT8, ["batch", 48, 48, 1])],
        list(initializers),
        sparse_initializer=list(sparse),
    )
    imports = [onnx.helper.make_opsetid(domain, 17 if domain == "" else 1) for domain in domains]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=9, functions=list(functions))
    onnx.helper.set_model_props(model, {CARD_KEY: card or CARD.to_json(), SEAL_KEY: UNSEALED})
    return seal(model.SerializeToString())


def node(onnx, kind, domain="", **attributes):
    return onnx.helper.make_node(kind, ["x"], ["y"], domain=domain, **attributes)


def subgraph(onnx, nodes=()):
    value = onnx.helper.make_tensor_value_info("inner", onnx.TensorProto.FLOAT, [1])
    return onnx.helper.make_graph(list(nodes), "body", [], [value])


def function(onnx, name, calls, domain="local"):
    """A function that calls these others, of its own domain, one after the other; "Identity" is the operator."""
    nodes = [
        onnx.helper.make_node(call, [f"v{at}"], [f"v{at + 1}"], domain="" if call == "Identity" else domain)
        for at, call in enumerate(calls)
    ]
    imports = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid(domain, 1)]
    return onnx.helper.make_function(domain, name, ["v0"], [f"v{len(calls)}"], nodes, imports)


def calling(onnx, *functions):
    return model_of(onnx, [node(onnx, "f0", "local")], functions, domains=("", "local"))


def endless_loop(onnx):
    """Runs for ever: the condition is true and stays so."""
    make, kinds = onnx.helper, onnx.TensorProto
    names = (("at", kinds.INT64), ("go", kinds.BOOL), ("v", kinds.UINT8), ("on", kinds.BOOL), ("w", kinds.UINT8))
    values = [make.make_tensor_value_info(name, kind, [] if kind != kinds.UINT8 else None) for name, kind in names]
    kept = [make.make_node("Identity", ["go"], ["on"]), make.make_node("Identity", ["v"], ["w"])]
    body = make.make_graph(kept, "body", values[:3], values[3:])
    begun = onnx.numpy_helper.from_array(np.array(True), "begun")
    return model_of(onnx, [make.make_node("Loop", ["", "begun", "x"], ["y"], body=body)], initializers=[begun])


def sparse_tensor(onnx):
    """One value, and the size of 400 GB."""
    values, at = (
        onnx.numpy_helper.from_array(part, name)
        for part, name in ((np.ones(1, np.float32), "w"), (np.zeros(1, np.int64), "at"))
    )
    return onnx.helper.make_sparse_tensor(values, at, [10**11])


LOOPS, CIRCLES, LARGE = "graph with loops or branches", "call themselves or each other", "at most .* operators"
GRAPHS = {
    "an endless Loop": (endless_loop, LOOPS),
    "an If": (lambda onnx: model_of(onnx, [node(onnx, "If", then_branch=subgraph(onnx))]), LOOPS),
    "a Scan of another domain": (lambda onnx: model_of(onnx, [node(onnx, "Scan", "any", body=subgraph(onnx))]), LOOPS),
    "a list of graphs": (lambda onnx: model_of(onnx, [node(onnx, "Any", bodies=[subgraph(onnx)])]), LOOPS),
    "a Loop in a function": (
        lambda onnx: calling(
            onnx,
            onnx.helper.make_function(
                "local",
                "f0",
                ["x"],
                ["y"],
                [node(onnx, "Loop", body=subgraph(onnx))],
                [onnx.helper.make_opsetid("", 17)],
            ),
        ),
        LOOPS,
    ),
    "forty functions that call the next one twice": (
        lambda onnx: calling(
            onnx,
            *(function(onnx, f"f{at}", [f"f{at + 1}"] * 2) for at in range(40)),
            function(onnx, "f40", ["Identity"]),
        ),
        LARGE,
    ),
    "a function that is called often": (
        lambda onnx: model_of(
            onnx,
            [node(onnx, "f0", "local")] * 300,
            [function(onnx, "f0", ["Identity"] * 100)],
            domains=("", "local"),
        ),
        LARGE,
    ),
    "functions that call each other twice": (
        lambda onnx: calling(onnx, function(onnx, "f0", ["f1"] * 2), function(onnx, "f1", ["f0"] * 2)),
        CIRCLES,
    ),
    "a function that calls itself": (lambda onnx: calling(onnx, function(onnx, "f0", ["f0"])), CIRCLES),
    "a circle of three, not called": (
        lambda onnx: model_of(
            onnx,
            [node(onnx, "Identity")],
            [function(onnx, f"f{at}", [f"f{(at + 1) % 3}"]) for at in range(3)],
            domains=("", "local"),
        ),
        CIRCLES,
    ),
    "very many functions": (
        lambda onnx: calling(onnx, *(function(onnx, f"f{at}", ["Identity"]) for at in range(MAX_FUNCTIONS + 1))),
        "at most .* functions",
    ),
    "very many operators": (lambda onnx: model_of(onnx, [node(onnx, "Identity")] * (MAX_NODES + 1)), LARGE),
    "sparse weights": (lambda onnx: model_of(onnx, [node(onnx, "Identity")], sparse=[sparse_tensor(onnx)]), "sparse"),
    "a sparse constant": (
        lambda onnx: model_of(onnx, [node(onnx, "Constant", sparse_value=sparse_tensor(onnx))]),
        "sparse",
    ),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_that_may_never_end_is_refused_at_every_door(onnx, store, tmp_path, kind):
    make, message = GRAPHS[kind]
    content = make(onnx)
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    doors = [
        lambda: check_graph(content),
        lambda: open_session(content),
        lambda: any_card_of(content),
        lambda: Classifier(content),
        lambda: store.load(file),
        lambda: store.add(file),
    ]
    for door in doors:
        with pytest.raises(ModelError, match=message):
            door()
    assert not store.cache.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\x08\x09" + b"\x12\x00" * (MAX_FIELDS + 1),
        b"\x08\x09\x3a\x7f",
        b"\x08\x09\x3b\x3c",
        b"\x08\x09\x3a" + b"\xff" * 20,
        b"\x08\x09\x39\x00",
        b"\x08",
    ],
    ids=["very many fields", "cut short", "a group", "an endless number", "a cut number", "no number"],
)
def test_a_file_that_only_begins_like_a_model_is_refused(content):
    with pytest.raises(ModelError):
        check_graph(content)


def test_a_key_with_bits_beyond_32_names_the_field_that_onnxruntime_reads(onnx):
    content = endless_loop(onnx)
    assert content.count(b"\x3a") >= 1
    graph = onnx.load_from_string(content).graph.SerializeToString()
    length = bytes([len(graph) & 127 | 128, len(graph) >> 7])
    with pytest.raises(ModelError, match=LOOPS):
        check_graph(b"\x08\x09" + b"\xba\x80\x80\x80\x70" + length + graph)


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.onnx")), ids=lambda file: file.name)
def test_the_graphs_of_the_shipped_models_pass(file):
    check_graph(file.read_bytes())


@pytest.mark.shared
def test_yunet_passes(shared):
    check_graph((shared / "models" / "yunet_n_dynamic.onnx").read_bytes())


def test_functions_that_end_pass_and_are_loaded(onnx):
    chain = [function(onnx, "f0", ["f1", "f1"]), function(onnx, "f1", ["Relu", "Identity"], "local")]
    chain.append(function(onnx, "Relu", ["Identity"]))
    assert open_session(calling(onnx, *chain)).get_outputs()[0].name == "y"


def values_of(card=CARD):
    return json.loads(card.to_json())


def paths_in(value, path=()):
    """The path of each value in a JSON object."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from paths_in(inner, (*path, key))


def changed(value, path, hostile):
    if not path:
        return hostile
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], hostile)
    return copy


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


HOSTILE = [
    *(
        None,
        True,
        0,
        -1,
        5,
        48.5,
        1e308,
        math.nan,
        math.inf,
        10**400,
        "",
        "x",
        "\ud800",
        "\x1b[2J\x00",
        "x" * 1_000_001,
    ),
    *([], {}, [[]], [None], ["a", "a"], {"a": 1}, nested(400)),
]


@pytest.mark.parametrize("card", [CARD, DETECTOR], ids=["classifier", "detector"])
def test_any_value_in_any_field_gives_a_card_or_a_model_error(card):
    values = values_of(card)
    refusals = []
    for path in paths_in(values):
        for hostile in HOSTILE:
            text = json.dumps(changed(values, path, hostile))
            try:
                read = type(card).from_json(text)
            except ModelError as error:
                refusals.append(str(error))
            else:
                assert type(card).from_json(read.to_json()) == read
                read.to_json().encode()
    assert len(refusals) > 300
    assert max(map(len, refusals)) < 1500
    assert "\x1b" not in "".join(refusals)


def test_a_field_more_or_less_gives_a_model_error():
    for path in paths_in(values_of()):
        text = json.dumps(changed(values_of(), path, {"further": 1}))
        with pytest.raises(ModelError):
            ModelCard.from_json(text)
    for field in ("name", "size", "channels", "crop", "heads", "fused"):
        values = values_of()
        del values[field]
        with pytest.raises(ModelError, match=f"field {field}"):
            ModelCard.from_json(json.dumps(values))


CARDS = {
    "nested 100,000 deep": (DEEP, "nested too deeply"),
    "nested 100,000 deep in a field": (json.dumps(values_of())[:-1] + ', "name": ' + DEEP, "nested too deeply"),
    "objects nested 100,000 deep": ('{"a":' * 100_000, "nested too deeply"),
    "a size of 48.5": (json.dumps(values_of() | {"size": 48.5}), "size to be a whole number; received 48.5"),
    "channels true": (json.dumps(values_of() | {"channels": True}), "channels to be a whole number; received true"),
    "the name 5": (json.dumps(values_of() | {"name": 5}), "name to be a text; received 5"),
    "a lone surrogate": (json.dumps(values_of() | {"name": "\ud800"}), "that UTF-8 can encode"),
    "a long name": (json.dumps(values_of() | {"name": "x" * 201}), "1 to 200 characters"),
    "a card of 17 MB": (json.dumps(values_of() | {"origin": {"data": "x" * 17_000_000}}), "at most 16000000"),
    "an empty text": ("", "something else"),
}


@pytest.mark.parametrize("kind", CARDS)
def test_a_hostile_card_under_a_right_seal_is_refused_and_not_added(onnx, store, tmp_path, kind):
    text, message = CARDS[kind]
    content = model_of(onnx, [node(onnx, "Identity")], card=text or " ")
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    for door in (lambda: any_card_of(content), lambda: store.add(file), lambda: store.add(file, "mine")):
        with pytest.raises(ModelError, match=message):
            door()
    assert not store.cache.exists()


LISTS = {
    "nested 200,000 deep": "[" * 200_000,
    "no object": "[]",
    "a format that is true": '{"format": true, "models": []}',
    "models that are none": '{"format": 1, "models": [5]}',
    "a size that is a text": json.dumps(
        {"format": 1, "models": [{"name": "a", "kind": "detector", "file": "a.onnx", "size": "1", "sha256": "0" * 64}]}
    ),
    "a kind that is a list": json.dumps(
        {"format": 1, "models": [{"name": "a", "kind": [], "file": "a.onnx", "size": 1, "sha256": "0" * 64}]}
    ),
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_hostile_list_of_added_models_hides_no_shipped_model(store, kind):
    store.cache.mkdir(parents=True)
    (store.cache / ADDED).write_text(LISTS[kind])
    with pytest.raises(ModelError, match="expected a list of models"):
        read_entries(store.cache / ADDED)
    with pytest.raises(ModelError, match=ADDED):
        store.entries()
    assert store.load("compact")


def test_control_characters_in_a_name_are_not_echoed(store):
    with pytest.raises(ModelError) as raised:
        store.pull("\x1b[2J\x07")
    assert not isinstance(raised.value, ModelMissingError)
    assert "\x1b" not in str(raised.value)
    assert "\x07" not in str(raised.value)
