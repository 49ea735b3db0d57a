import dataclasses
import hashlib
import json
import os
import random
import re

import pytest

from mien.emotions import FER2013
from mien.errors import FetchError, ModelError, ModelMissingError
from mien.media.files import cache_folder
from mien.models.card import CARD_KEY, CropRule, FusedOutput, Head, ModelCard, Origin
from mien.models.manifest import Entry, read_entries, to_json
from mien.models.onnx_file import SEAL_KEY, SEAL_MARK, UNSEALED, seal
from mien.models.store import MANIFEST, SHIPPED, Check, ModelStore

CONTENT = b"\x08\x08" + random.Random(1).randbytes(5000)
OTHER = b"\x08\x08" + random.Random(2).randbytes(4000)


def entry_of(name, content, **values):
    return Entry(name, "detector", f"{name}.onnx", len(content), hashlib.sha256(content).hexdigest(), **values)


@pytest.fixture
def house(tmp_path):
    """A folder with a manifest of two models: "near" is shipped, "far" is published as a file of this machine."""
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (tmp_path / "mirror.bin").write_bytes(OTHER)
    entries = [entry_of("near", CONTENT), entry_of("far", OTHER, url=(tmp_path / "mirror.bin").as_uri())]
    (shipped / MANIFEST).write_text(to_json(entries))
    (shipped / "near.onnx").write_bytes(CONTENT)
    return tmp_path


@pytest.fixture
def store(house):
    return ModelStore(house / "shipped", house / "cache")


def card(name="mine", notes=""):
    heads = (Head("fer2013", FER2013),)
    origin = Origin(network="compact", licence="MIT", notes=notes)
    return ModelCard(name, 48, 1, CropRule(), heads, FusedOutput(FER2013, (("fer2013", 1.0),)), origin)


def model_of(model_card):
    """A model as mien writes it: here the identity, with the card and a seal."""
    onnx = pytest.importorskip("onnx", reason="onnx makes the models of these tests: pip install 'mien[train]'")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [value("x", onnx.TensorProto.FLOAT, [1])],
        [value("y", onnx.TensorProto.FLOAT, [1])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.helper.set_model_props(model, {CARD_KEY: model_card.to_json(), SEAL_KEY: UNSEALED})
    return seal(model.SerializeToString())


def written(path, content):
    path.write_bytes(content)
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def mutations(content, count, seed):
    """Copies of the content with bits flipped, parts cut, doubled, zeroed or put in; never the content itself."""
    dice = random.Random(seed)
    made = 0
    while made < count:
        at = dice.randrange(len(content))
        length = dice.randint(1, 50)
        flipped = bytes([content[at] ^ 1 << dice.randrange(8)])
        mutated = dice.choice(
            [
                content[:at] + flipped + content[at + 1 :],
                content[:at],
                content[at:],
                content[:at] + content[at + length :],
                content[:at] + bytes(length) + content[at + length :],
                content[: at + length] + content[at:],
                content[:at] + dice.randbytes(length) + content[at:],
                content + dice.randbytes(length),
            ]
        )
        if mutated != content:
            made += 1
            yield mutated


class TestShippedModels:
    def test_every_file_of_the_package_is_in_the_manifest_and_every_shipped_entry_has_its_file(self):
        entries = {entry.file: entry for entry in read_entries(SHIPPED / MANIFEST)}
        files = {path.name: path.read_bytes() for path in SHIPPED.iterdir() if path.name != MANIFEST}
        assert set(files) <= set(entries)
        assert {entry.file for entry in entries.values() if not entry.url} <= set(files)
        for file, content in files.items():
            assert (len(content), hashlib.sha256(content).hexdigest()) == (entries[file].size, entries[file].sha256)

    def test_yunet_is_published_at_a_fixed_commit_and_its_data_is_named(self):
        yunet = ModelStore().entry("yunet")
        assert (yunet.kind, yunet.licence) == ("detector", "Apache-2.0")
        assert yunet.url.startswith("https://")
        assert "0047ac24afb1a50a0c6105001c89d1b5b805dbf1" in yunet.url
        assert "WIDER FACE" in yunet.notes

    def test_onnxruntime_web_is_a_package_of_a_fixed_version(self):
        package = ModelStore().entry("onnxruntime-web")
        assert (package.kind, package.licence) == ("package", "MIT")
        version = package.file.removeprefix("onnxruntime-web-").removesuffix(".tgz")
        assert package.url == f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{version}.tgz"
        assert re.fullmatch(r"1\.\d+\.\d+", version)

    def test_names_and_files_are_distinct(self):
        entries = read_entries(SHIPPED / MANIFEST)
        assert len({entry.name for entry in entries}) == len({entry.file for entry in entries}) == len(entries)


class TestLoad:
    def test_a_shipped_model_by_name(self, store, house):
        assert store.load("near") == CONTENT
        assert store.path("near") == house / "shipped" / "near.onnx"
        assert store.has("near")

    def test_a_known_file_by_path(self, store, house):
        assert store.load(written(house / "copy.onnx", CONTENT)) == CONTENT
        assert store.load(str(house / "copy.onnx")) == CONTENT

    def test_a_file_in_the_working_folder_by_its_bare_name(self, store, house, monkeypatch):
        written(house / "copy.onnx", CONTENT)
        monkeypatch.chdir(house)
        assert store.load("copy.onnx") == CONTENT

    def test_a_sealed_file_by_path(self, store, house):
        model = model_of(card())
        assert store.load(written(house / "own.onnx", model)) == model

    def test_an_unknown_name_lists_those_there_are(self, store):
        with pytest.raises(
            ModelError, match=r"one of the models \['near', 'far'\]; received 'nowhere'.*mien models add"
        ):
            store.load("nowhere")

    @pytest.mark.parametrize("path", ["./nowhere.onnx", "../near", "shipped\\near", "/nowhere/near.onnx"])
    def test_a_path_without_a_file(self, store, path):
        with pytest.raises(ModelError, match="there is none at"):
            store.load(path)

    def test_a_missing_model_says_how_to_get_it_with_and_without_a_network(self, store, house):
        with pytest.raises(ModelMissingError) as caught:
            store.load("far")
        message = str(caught.value)
        for part in ("mien models pull far", "mien models add far.onnx", (house / "mirror.bin").as_uri()):
            assert part in message
        assert hashlib.sha256(OTHER).hexdigest() in message

    def test_a_missing_shipped_model_says_to_install_again(self, store, house):
        (house / "shipped" / "near.onnx").unlink()
        with pytest.raises(ModelMissingError, match=r"Install mien again: (git|pip) .*"):
            store.load("near")

    def test_500_mutations_of_a_known_model_are_refused_by_hash(self, store, house):
        place = house / "shipped" / "near.onnx"
        for mutated in mutations(CONTENT, 500, seed=10):
            place.write_bytes(mutated)
            with pytest.raises(ModelError, match="was changed or damaged"):
                store.load("near")
            assert not store.has("near")

    def test_500_mutations_of_a_sealed_model_are_refused_by_path(self, store, house):
        for mutated in mutations(model_of(card()), 500, seed=11):
            with pytest.raises(ModelError):
                store.load(written(house / "own.onnx", mutated))


class TestPull:
    def test_a_model_is_fetched_once(self, store, house):
        seen = []
        place = store.pull("far", lambda *numbers: seen.append(numbers))
        assert place == store.path("far") == house / "cache" / "far.onnx"
        assert seen[-1] == (len(OTHER), len(OTHER))
        (house / "mirror.bin").unlink()
        assert store.pull("far") == place
        assert store.load("far") == OTHER

    def test_a_changed_file_is_fetched_again(self, store, house):
        written(store.pull("far"), OTHER[::-1])
        assert store.verify()[1] == Check("far", "changed", house / "cache" / "far.onnx")
        store.pull("far")
        assert store.load("far") == OTHER

    def test_wrong_bytes_are_refused_and_nothing_is_kept(self, store, house):
        written(house / "mirror.bin", OTHER[::-1])
        with pytest.raises(FetchError, match="expected SHA-256"):
            store.pull("far")
        assert names(house / "cache") == []

    def test_offline_the_message_says_what_to_do(self, house):
        offline = [entry_of("far", OTHER, url="https://127.0.0.1:9/far.onnx")]
        (house / "shipped" / MANIFEST).write_text(to_json(offline))
        with pytest.raises(FetchError) as caught:
            ModelStore(house / "shipped", house / "cache").pull("far")
        for part in ("https://127.0.0.1:9/far.onnx", hashlib.sha256(OTHER).hexdigest(), "mien models add far.onnx"):
            assert part in str(caught.value)

    def test_a_shipped_model_that_is_damaged_has_no_address(self, store, house):
        (house / "shipped" / "near.onnx").unlink()
        with pytest.raises(FetchError, match=r"published nowhere. Install mien again"):
            store.pull("near")


class TestAdd:
    def test_a_published_file_brought_by_hand(self, store, house):
        assert store.add(written(house / "download (1).onnx", OTHER)) == store.entry("far")
        assert store.path("far") == house / "cache" / "far.onnx"
        assert names(house / "cache") == ["far.onnx"]

    def test_a_model_of_the_users_own(self, store, house):
        model = model_of(card(notes="faces of my cat"))
        entry = store.add(written(house / "own.onnx", model))
        assert (entry.name, entry.kind, entry.licence, entry.notes) == ("mine", "classifier", "MIT", "faces of my cat")
        assert "happy" in entry.summary
        again = ModelStore(house / "shipped", house / "cache")
        assert again.entries()[2:] == (entry,)
        assert again.load("mine") == model

    def test_a_new_version_takes_the_place_of_the_old(self, store, house):
        store.add(written(house / "own.onnx", model_of(card())))
        entry = store.add(written(house / "own.onnx", model_of(card(notes="second"))))
        assert store.entries()[2:] == (entry,)
        assert names(house / "cache") == sorted(["added.json", entry.file])

    def test_a_package_is_recognised_by_its_hash_alone(self, store, house):
        package = dataclasses.replace(entry_of("web", OTHER), kind="package", file="web-1.0.tgz")
        (house / "shipped" / MANIFEST).write_text(to_json([package]))
        store = ModelStore(house / "shipped", house / "cache")
        with pytest.raises(ModelError, match=r"expected a package that mien knows, web-1.0.tgz \(SHA-256"):
            store.add(written(house / "web-2.0.tgz", CONTENT))
        assert names(house / "cache") == []
        assert store.add(written(house / "download.tgz", OTHER)) == package
        assert names(house / "cache") == ["web-1.0.tgz"]
        assert store.load("web") == OTHER

    @pytest.mark.parametrize(("kind", "file"), [("package", "a.onnx"), ("classifier", "a.tgz"), ("detector", "a.tgz")])
    def test_a_file_has_the_name_of_its_kind(self, kind, file):
        with pytest.raises(ModelError, match=r"or a package and one ending in \.tgz"):
            dataclasses.replace(entry_of("a", OTHER), kind=kind, file=file)

    def test_a_name_of_the_users_choice(self, store, house):
        file = written(house / "own.onnx", model_of(card("No Good Name")))
        with pytest.raises(ModelError, match="expected a model name of lower-case letters"):
            store.add(file)
        assert store.add(file, "cats-2").name == "cats-2"

    @pytest.mark.parametrize(
        "name", ["../up", "/etc/x", "a/b", "a\\b", ".hidden", "", "Ä", "a b", "a\n", "x" * 65, "-x"]
    )
    def test_names_that_could_lead_elsewhere_are_refused(self, store, house, name):
        with pytest.raises(ModelError, match="expected a model name"):
            store.add(written(house / "own.onnx", model_of(card())), name)
        assert names(house / "cache") == []

    def test_the_name_of_a_model_of_miens_own_is_refused(self, store, house):
        with pytest.raises(ModelError, match="the name near belongs"):
            store.add(written(house / "own.onnx", model_of(card("near"))))
        assert names(house / "cache") == []

    def test_a_foreign_or_changed_model_is_refused(self, store, house):
        with pytest.raises(ModelError, match="without mien's card and seal"):
            store.add(written(house / "own.onnx", CONTENT + b"x"))
        with pytest.raises(ModelError, match="changed or damaged"):
            store.add(written(house / "own.onnx", model_of(card()).replace(b"compact", b"Compact")))

    def test_a_sealed_file_that_is_no_graph_is_refused(self, store, house):
        fake = seal(b"\x08\x08" + bytes(20) + SEAL_MARK + UNSEALED.encode())
        with pytest.raises(ModelError, match="onnxruntime can load"):
            store.add(written(house / "own.onnx", fake))

    def test_a_damaged_list_of_added_models_is_reported_and_hides_no_shipped_model(self, store, house):
        entry = store.add(written(house / "own.onnx", model_of(card())))
        listing = house / "cache" / "added.json"
        listing.write_text(listing.read_text()[:50])
        assert store.load("near") == CONTENT
        for use in (store.entries, store.verify, lambda: store.load("mine"), lambda: store.add(house / "own.onnx")):
            with pytest.raises(ModelError, match=r"added.json.*delete added.json and add them again"):
                use()
        assert (house / "cache" / entry.file).exists()

    def test_a_list_that_points_outside_the_cache_is_refused(self, store, house):
        entry = dataclasses.asdict(store.add(written(house / "own.onnx", model_of(card()))))
        for file in ("../own.onnx", "/own.onnx", "own.bin"):
            text = json.dumps({"format": 1, "models": [{**entry, "file": file}]})
            (house / "cache" / "added.json").write_text(text)
            with pytest.raises(ModelError, match=r"a plain file name ending in .onnx"):
                store.load("mine")

    def test_a_name_that_a_later_mien_ships_means_the_shipped_model(self, store, house):
        store.add(written(house / "own.onnx", model_of(card("later"))))
        (house / "shipped" / MANIFEST).write_text(to_json([entry_of("later", CONTENT)]))
        written(house / "shipped" / "later.onnx", CONTENT)
        later = ModelStore(house / "shipped", house / "cache")
        assert later.load("later") == CONTENT
        assert len(later.entries()) == 1

    def test_a_cache_that_cannot_be_written_is_reported(self, house):
        store = ModelStore(house / "shipped", written(house / "file", b"") / "cache")
        with pytest.raises(ModelError, match=r"can't be written.*MIEN_CACHE"):
            store.add(house / "shipped" / "near.onnx")


class TestRemove:
    def test_a_fetched_model(self, store, house):
        store.pull("far")
        store.remove("far")
        assert names(house / "cache") == []
        with pytest.raises(ModelMissingError, match="nothing to remove"):
            store.remove("far")

    def test_an_added_model(self, store, house):
        store.add(written(house / "own.onnx", model_of(card())))
        store.remove("mine")
        assert names(house / "cache") == ["added.json"]
        with pytest.raises(ModelError, match="received 'mine'"):
            store.remove("mine")

    def test_a_shipped_model_stays(self, store, house):
        with pytest.raises(ModelError, match="is part of mien"):
            store.remove("near")
        assert store.has("near")


def test_verify_names_every_state(store, house):
    store.add(written(house / "own.onnx", model_of(card())))
    (house / "shipped" / "near.onnx").write_bytes(CONTENT[::-1])
    assert [(check.name, check.state) for check in store.verify()] == [
        ("near", "changed"),
        ("far", "missing"),
        ("mine", "ok"),
    ]


def test_describe_gives_the_entry_of_a_manifest(house):
    model = model_of(card("compact"))
    entry = ModelStore.describe(written(house / "compact.onnx", model))
    assert (entry.name, entry.file, entry.size) == ("compact", "compact.onnx", len(model))
    (house / "list.json").write_text(to_json([entry]))
    assert read_entries(house / "list.json") == (entry,)


@pytest.mark.parametrize(
    "values",
    [{"kind": "toy"}, {"size": 0}, {"size": 10**12}, {"sha256": "abc"}, {"sha256": "A" * 64}, {"file": "a/b.onnx"}],
)
def test_an_impossible_entry_is_refused(values):
    with pytest.raises(ModelError, match="expected a"):
        dataclasses.replace(entry_of("near", CONTENT), **values)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2, "models": []}', '{"format": 1, "models": [{}]}'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match=r"manifest.json"):
        ModelStore(tmp_path, tmp_path / "cache")


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MIEN_CACHE")
    assert "mien" in os.fspath(cache_folder())
