from __future__ import annotations

import base64
import gzip
import io
import json

import numpy as np
import pytest
from PIL import Image
from tables_written import COUNT, LABELS, SPLITS, in_tar, in_zip, written

from mien.data import cache
from mien.data import load as load_dataset
from mien.data.splits import training_and_validation
from mien.emotions import FER2013
from mien.errors import DatasetError, MissingExtraError

IMAGES = np.random.default_rng(7).integers(0, 256, (COUNT, 48, 48), np.uint8)
NAMES = [emotion.value for emotion in FER2013]


def png(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


FILES = [png(image) for image in IMAGES]

PIXELS = {
    "text": lambda image: " ".join(map(str, image.ravel())),
    "text with commas": lambda image: str(image.ravel().tolist()),
    "list": lambda image: image.ravel().tolist(),
    "rows": lambda image: image.tolist(),
    "floats": lambda image: image.ravel().astype(float).tolist(),
    "rows of one channel": lambda image: image[..., None].tolist(),
}


def check(data, splits=SPLITS, order=slice(None)):
    assert data.rejected == ()
    assert data.crops.tobytes() == IMAGES[order].tobytes()
    assert data.truths[0].labels == tuple(FER2013)
    assert data.truths[0].class_ids.tolist() == np.array(LABELS)[order].tolist()
    assert data.splits.tolist() == list(splits)


def write_parquet(path, names=None, /, **columns):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table(columns)
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        stored = json.dumps({"info": {"features": features}}).encode()
        table = table.replace_schema_metadata({b"huggingface": stored})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=16)
    return path


def write_lines(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def stored(files=FILES):
    """Hugging Face's form of an image."""
    return [{"bytes": content, "path": f"{number}.png"} for number, content in enumerate(files)]


@pytest.mark.parametrize("form", PIXELS)
@pytest.mark.parametrize(
    "names", [("emotion", "pixels", "Usage"), ("label", "pixels", "split"), ("Target", "Pixel Values", "set")]
)
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_tables_of_pixels(tmp_path, form, names, kind):
    columns = (LABELS, [PIXELS[form](image) for image in IMAGES], SPLITS)
    path = tmp_path / f"faces.{kind}"
    if kind == "parquet":
        write_parquet(path, **dict(zip(names, columns, strict=True)))
    else:
        write_lines(path, [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])
    check(data := load_dataset(path))
    assert data.rows[:2].tolist() == (["0", "1"] if kind == "parquet" else ["1", "2"])


@pytest.mark.parametrize("label", [LABELS, [NAMES[label] for label in LABELS], [float(label) for label in LABELS]])
@pytest.mark.parametrize("image", [stored, lambda: FILES])
def test_parquet_of_images(tmp_path, label, image):
    check(load_dataset(write_parquet(tmp_path / "faces.parquet", image=image(), label=label, split=SPLITS)))


ORDER = ["neutral", "fear", "Happiness", "sadness", "ANGRY", "disgust", "surprised"]


@pytest.mark.parametrize("order", [NAMES, ORDER])
def test_class_names_in_the_schema_say_what_numbers_mean(tmp_path, order):
    plain = {"happiness": "happy", "sadness": "sad", "surprised": "surprise"}
    lower = [plain.get(name.lower(), name.lower()) for name in order]
    numbers = [lower.index(NAMES[label]) for label in LABELS]
    data = load_dataset(write_parquet(tmp_path / "faces.parquet", order, image=stored(), label=numbers))
    check(data, ["Training"] * COUNT)
    assert data.notes == ()


def test_own_classes_of_a_schema(tmp_path):
    labels = [at % 2 for at in range(COUNT)]
    data = load_dataset(write_parquet(tmp_path / "faces.parquet", ["smile", "frown"], image=stored(), label=labels))
    assert data.truths[0].labels == ("frown", "smile")
    assert data.truths[0].class_ids.tolist() == [1 - label for label in labels]


LAYOUTS = {
    "shards": [
        "data/train-00000-of-00002",
        "data/train-00001-of-00002",
        "data/validation-00000-of-00001",
        "data/test-00000-of-00001",
    ],
    "plain": ["train", "train_2", "valid", "test"],
    "folders": ["default/train/0000", "default/train/0001", "default/validation/0000", "default/test/0000"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_of_parquet_files_named_as_splits(tmp_path, layout):
    bounds = [0, 14, 28, 35, 42]
    for name, first, last in zip(LAYOUTS[layout], bounds, bounds[1:], strict=False):
        write_parquet(tmp_path / f"{name}.parquet", NAMES, image=stored(FILES[first:last]), label=LABELS[first:last])
    (tmp_path / "README.md").write_text("a data set")
    data = load_dataset(tmp_path)
    order = [at for split in ("test", "train", "valid") for at in range(COUNT) if _is(split, at)]
    check(data, [SPLITS[at] for at in order], order)
    training, validation = training_and_validation(data)
    assert (len(training), len(validation)) == (28, 7)


def _is(split: str, row: int) -> bool:
    return SPLITS[row] == {"train": "Training", "valid": "PublicTest", "test": "PrivateTest"}[split]


def test_a_shard_alone_is_of_its_split(tmp_path):
    path = write_parquet(tmp_path / "test-00000-of-00001.parquet", NAMES, image=stored(), label=LABELS)
    check(load_dataset(path), ["PrivateTest"] * COUNT)
    with pytest.raises(DatasetError, match="expected rows of the split Training"):
        training_and_validation(load_dataset(path))


@pytest.mark.parametrize("names", [["part-0", "part-1"], ["a", "b"]])
def test_shards_without_splits_are_read_together(tmp_path, names):
    for name, first, last in ((names[0], 0, 20), (names[1], 20, COUNT)):
        write_parquet(tmp_path / f"{name}.parquet", image=FILES[first:last], label=LABELS[first:last])
    check(load_dataset(tmp_path), ["Training"] * COUNT)


TEXTS = {
    "base64": lambda content: base64.b64encode(content).decode(),
    "data": lambda content: "data:image/png;base64," + base64.b64encode(content).decode(),
    "stored": lambda content: {"bytes": base64.b64encode(content).decode(), "path": None},
}


@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize("column", ["image", "img", "bytes"])
def test_images_in_json(tmp_path, form, column):
    records = [
        {column: TEXTS[form](content), "label": NAMES[label], "split": split}
        for content, label, split in zip(FILES, LABELS, SPLITS, strict=True)
    ]
    check(load_dataset(write_lines(tmp_path / "faces.jsonl", records)))


@pytest.mark.parametrize("column", ["path", "file_name", "image", "Image Path", "filename"])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("by_folder", [False, True])
def test_paths_of_images(tmp_path, column, kind, by_folder):
    names = [f"images/{number}.png" for number in range(COUNT)]
    for name, content in zip(names, FILES, strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    records = [
        dict(zip((column, "emotion", "set"), row, strict=True)) for row in zip(names, LABELS, SPLITS, strict=True)
    ]
    path = tmp_path / f"metadata.{kind}"
    if kind == "jsonl":
        write_lines(path, records)
    elif kind == "csv":
        path.write_text(written([list(records[0]), *(list(map(str, record.values())) for record in records)], ";"))
    else:
        write_parquet(path, **{name: [record[name] for record in records] for name in records[0]})
    data = load_dataset(tmp_path if by_folder else path)
    check(data)
    (tmp_path / names[0]).write_bytes(FILES[1])
    changed = load_dataset(path)
    assert changed.digest != data.digest
    assert changed.crops[0].tobytes() == IMAGES[1].tobytes()


def test_the_folders_of_paths_name_the_split(tmp_path):
    names = [f"{word}/{number}.png" for number, word in enumerate(["train_set", "val", "test"])]
    for name, content in zip(names, FILES, strict=False):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    (tmp_path / "labels.csv").write_text("".join(["path,label\n", *(f"{name},happy\n" for name in names)]))
    assert load_dataset(tmp_path).splits.tolist() == ["Training", "PublicTest", "PrivateTest"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "jsonl.gz", "ndjson"])
def test_json_lines_in_an_archive(tmp_path, kind):
    content = "\n".join(
        json.dumps({"pixels": image.ravel().tolist(), "emotion": label})
        for image, label in zip(IMAGES, LABELS, strict=True)
    ).encode()
    packed = {
        "zip": lambda: in_zip({"a/faces.jsonl": content}),
        "tar.gz": lambda: in_tar("w:gz", **{"a/faces.jsonl": content}),
        "jsonl.gz": lambda: gzip.compress(content),
        "ndjson": lambda: content,
    }
    (tmp_path / f"faces.{kind}").write_bytes(packed[kind]())
    check(load_dataset(tmp_path / f"faces.{kind}"), ["Training"] * COUNT)


# a record in place of a good one, and a word of the reason
GOOD = {"image": TEXTS["base64"](FILES[0]), "label": "happy", "split": "train"}
BAD = {
    "no object": ("[1, 2]", "a JSON object"),
    "cut": (json.dumps(GOOD)[:-9], "JSON object"),
    "deep": ("[" * 100_000, "JSON object"),
    "no image": (json.dumps({**GOOD, "image": None}), "no image"),
    "no label": (json.dumps({**GOOD, "label": None}), "label"),
    "list for a label": (json.dumps({**GOOD, "label": ["happy"]}), "label"),
    "no split": (json.dumps({**GOOD, "split": None}), "Usage"),
    "damaged image": (json.dumps({**GOOD, "image": TEXTS["base64"](FILES[0][:700])}), ""),
    "no base64": (json.dumps({**GOOD, "image": "data:image/png;base64,***"}), "base64"),
    "path that leads outside": (json.dumps({**GOOD, "image": "../secret.png"}), "within the folder"),
    "absolute path": (json.dumps({**GOOD, "image": "/etc/passwd"}), "within the folder"),
    "windows path": (json.dumps({**GOOD, "image": "C:\\secret.png"}), "within the folder"),
    "absent": (json.dumps({**GOOD, "image": "absent.png"}), "there is none"),
    "link": (json.dumps({**GOOD, "image": "link.png"}), "leads outside"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_record_costs_its_own_row(tmp_path, kind):
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.png").write_bytes(FILES[2])
    (tmp_path / "data" / "link.png").symlink_to(tmp_path / "secret.png")
    bad, word = BAD[kind]
    path = tmp_path / "data" / "faces.jsonl"
    path.write_text("\n".join([json.dumps(GOOD), bad, "", json.dumps({**GOOD, "image": TEXTS["base64"](FILES[1])})]))
    data = load_dataset(path)
    assert data.rows.tolist() == ["1", "4"]
    assert data.crops.tobytes() == IMAGES[:2].tobytes()
    assert [(row.place, word in row.reason) for row in data.rejected] == [("2", True)]


@pytest.mark.parametrize(
    "wrong", [[1, 2, 3], [[1] * 48] * 47, [300] * 2304, [-1] * 2304, [0.5] * 2304, "1 2 3", ["a"] * 2304, {}]
)
def test_pixels_that_are_no_image_cost_their_row(tmp_path, wrong):
    records = [
        {"emotion": label, "pixels": image.ravel().tolist()} for label, image in zip(LABELS, IMAGES, strict=True)
    ]
    records[3]["pixels"] = wrong
    data = load_dataset(write_lines(tmp_path / "faces.jsonl", records))
    assert [row.place for row in data.rejected] == ["4"]
    assert data.crops.tobytes() == np.delete(IMAGES, 3, axis=0).tobytes()


def test_empty_images_of_parquet_cost_their_row(tmp_path):
    files = [*FILES[:3], None, b"", b"no image", *FILES[6:]]
    data = load_dataset(write_parquet(tmp_path / "faces.parquet", image=files, emotion=LABELS))
    assert [row.place for row in data.rejected] == ["3", "4", "5"]
    assert data.crops.tobytes() == np.delete(IMAGES, [3, 4, 5], axis=0).tobytes()


def test_labels_of_parquet_are_checked(tmp_path):
    path = write_parquet(tmp_path / "faces.parquet", image=FILES, emotion=[label + 1 for label in LABELS])
    with pytest.raises(DatasetError, match="received 1 to 7"):
        load_dataset(path)


@pytest.mark.parametrize("columns", [{"image": FILES}, {"label": LABELS}, {"text": ["a"]}])
def test_a_table_without_labels_or_images_is_refused(tmp_path, columns):
    with pytest.raises(DatasetError, match="expected"):
        load_dataset(write_parquet(tmp_path / "faces.parquet", **columns))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100), b"text"])
def test_damaged_parquet_is_refused(tmp_path, content):
    pytest.importorskip("pyarrow")
    (tmp_path / "faces.parquet").write_bytes(content)
    with pytest.raises(DatasetError):
        load_dataset(tmp_path / "faces.parquet")


def test_without_pyarrow_parquet_says_what_to_install(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "faces.parquet", image=FILES, label=LABELS)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install .pyarrow"):
        load_dataset(path)


def test_a_parquet_file_is_read_once(tmp_path):
    path = write_parquet(tmp_path / "faces.parquet", image=stored(), label=LABELS, split=SPLITS)
    first = load_dataset(path)
    (kept,) = cache.folder().iterdir()
    again = load_dataset(path)
    assert kept.name.startswith("pixels-")
    check(again)
    assert (again.digest, again.notes) == (first.digest, first.notes)


def test_a_split_that_later_records_name_is_not_ignored(tmp_path):
    records = [{"pixels": image.ravel().tolist(), "label": 3} for image in IMAGES] * 3
    path = write_lines(tmp_path / "faces.jsonl", [*records[:110], *({**one, "split": "test"} for one in records[:5])])
    data = load_dataset(path)
    assert (len(data), [bad.place for bad in data.rejected]) == (110, [str(number) for number in range(111, 116)])
    assert "expected the key 'split' from the first rows on" in data.rejected[0].reason


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv", "metadata.parquet"])
def test_hugging_face_s_folders_of_images(tmp_path, name):
    """As imagefolder has them: a list in the folder of each split."""
    for split, folder in (("Training", "train"), ("PublicTest", "validation"), ("PrivateTest", "test")):
        numbers = [at for at in range(COUNT) if SPLITS[at] == split]
        columns = {"file_name": [f"{at}.png" for at in numbers], "label": [NAMES[LABELS[at]] for at in numbers]}
        records = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        (tmp_path / folder).mkdir()
        for at in numbers:
            (tmp_path / folder / f"{at}.png").write_bytes(FILES[at])
        if name.endswith("parquet"):
            write_parquet(tmp_path / folder / name, **columns)
        elif name.endswith("csv"):
            (tmp_path / folder / name).write_text(written([list(columns), *(record.values() for record in records)]))
        else:
            write_lines(tmp_path / folder / name, records)
    data = load_dataset(tmp_path)
    order = [*range(35, 42), *range(28), *range(28, 35)]  # test, train, validation
    check(data, np.array(SPLITS)[order], order)
    assert len(set(data.rows.tolist())) == COUNT


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([{"label": 1, "pixels": "1 2"}]),
        json.dumps([{"label": 1, "pixels": "1 2"}] * 3, indent=2),
        json.dumps({"label": {"0": 3, "1": 4}, "pixels": {"0": "1 2", "1": "3 4"}}),
    ],
)
def test_json_that_is_one_value_is_refused_with_the_remedy(tmp_path, content):
    (tmp_path / "faces.json").write_text(content)
    with pytest.raises(DatasetError, match=r"expected JSON Lines, one object a line, .* lines=True"):
        load_dataset(tmp_path / "faces.json")


@pytest.mark.parametrize("name", ["a{", "_{}", "a{0}", "}{path}"])
def test_braces_in_the_names_of_columns_are_only_text(tmp_path, name):
    (tmp_path / "faces.csv").write_text(f"{name},pixels\n1,{' '.join('7' * 64)}\n")
    with pytest.raises(DatasetError, match="expected one column of labels"):
        load_dataset(tmp_path / "faces.csv")


def test_votes_of_several_tables_may_have_another_order(tmp_path):
    pixels = [" ".join(map(str, image.ravel())) for image in IMAGES[:4]]
    train = [["happy", "sad", "pixels"], ["5", "1", pixels[0]], ["0", "6", pixels[1]]]
    test = [["sad", "pixels", "happy"], ["5", pixels[2], "1"], ["0", pixels[3], "6"]]
    for name, table in (("train", train), ("test", test)):
        (tmp_path / f"{name}.csv").write_text(written(table))
    data = load_dataset(tmp_path)
    happy, sad = (data.truths[0].labels.index(name) for name in ("happy", "sad"))
    assert data.truths[0].class_ids.tolist() == [sad, happy, happy, sad]  # test, then train
    (tmp_path / "test.csv").write_text(written([["fear", "pixels", "happy"], *test[1:]]))
    with pytest.raises(DatasetError, match="received different columns of votes"):
        load_dataset(tmp_path)


def test_class_names_that_differ_between_files_are_refused(tmp_path):
    write_parquet(tmp_path / "train.parquet", NAMES, image=stored(), label=LABELS)
    write_parquet(tmp_path / "test.parquet", NAMES[::-1], image=stored(), label=LABELS)
    with pytest.raises(DatasetError, match="a number has two meanings"):
        load_dataset(tmp_path)
