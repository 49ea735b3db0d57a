import dataclasses
import json
import random

import pytest

from mien.emotions import FER2013, FERPLUS
from mien.errors import ModelError
from mien.models.card import CropRule, FusedOutput, Head, ModelCard, Origin, Score
from mien.models.onnx_file import SEAL_MARK, UNSEALED, check_seal, seal

CARD = ModelCard(
    name="compact",
    size=48,
    channels=1,
    crop=CropRule(factor=1.05, align_beyond=12.0),
    heads=(Head("fer2013", FER2013, 1.3, 0.4, (0.1,) * 7, (1.2,) * 7), Head("ferplus", FERPLUS)),
    fused=FusedOutput(
        FER2013, (("fer2013", 0.4), ("ferplus", 0.6)), temperature=0.9, unsure_below=0.45, offsets=(0.5,) * 7
    ),
    origin=Origin(network="compact", data="fer2013 abc", config='name = "ü"\n', licence="MIT"),
    scores=(Score("fer2013", "PublicTest", "accuracy", 0.7, 3589),),
)
PLAIN = ModelCard(
    name="plain",
    size=48,
    channels=3,
    crop=CropRule(),
    heads=(Head("classes", ("open", "shut")),),
    fused=FusedOutput(("open", "shut"), (("classes", 1.0),)),
)
UNSEALED_MODEL = b"\x08\x08 weights " + SEAL_MARK + UNSEALED.encode() + b" more weights"


@pytest.mark.parametrize("card", [CARD, PLAIN], ids=lambda card: card.name)
def test_a_card_survives_a_round_trip(card):
    assert ModelCard.from_json(card.to_json()) == card


def test_a_card_of_mien_0_1_is_read():
    values = json.loads(CARD.to_json())
    values |= {"format": 1, "answer": values.pop("fused")}
    values["origin"]["recipe"] = values["origin"].pop("config")
    assert ModelCard.from_json(json.dumps(values)) == CARD


def test_the_json_is_one_object_with_its_format():
    values = json.loads(CARD.to_json())
    assert values["format"] == 2
    assert values["heads"][0]["labels"] == [str(label) for label in FER2013]


def test_a_head_is_found_by_name():
    assert CARD.head("ferplus").labels == FERPLUS
    names = r"one of the output heads \['fused', 'fer2013', 'ferplus'\] of the model 'compact'; received 'other'"
    with pytest.raises(ModelError, match=names):
        CARD.head("other")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CropRule(factor=0.1), "crop factor from 0.2 to 5"),
        (lambda: CropRule(factor=float("nan")), "crop factor from 0.2 to 5"),
        (lambda: CropRule(align_beyond=91.0), "0 to 90 degrees"),
        (lambda: Head("h", ()), "distinct labels"),
        (lambda: Head("h", ("a", "a")), "distinct labels"),
        (lambda: Head("h", ("a",), temperature=0.0), "temperature above 0"),
        (lambda: Head("h", ("a",), temperature=float("nan")), "temperature above 0"),
        (lambda: Head("h", ("a", "b"), offsets=(1.0,)), "an offset for each of 2 labels"),
        (lambda: Head("h", ("a", "b"), scales=(1.0,)), "a scale for each of 2 labels"),
        (lambda: Head("h", ("a",), scales=(float("inf"),)), "a scale for each of 1 labels"),
        (lambda: FusedOutput(("a",), (("h", 0.5),)), "sum to 1"),
        (lambda: FusedOutput(("a", "b"), (("h", 1.0),), offsets=(1.0,)), "an offset for each of 2 labels"),
        (lambda: FusedOutput(("a",), (("h", 1.0),), offsets=(float("nan"),)), "an offset for each of 1 labels"),
        (lambda: FusedOutput(("a",), (("h", 1.0),), temperature=-1.0), "temperature above 0"),
        (lambda: dataclasses.replace(CARD, size=7), "8 to 1024 pixels"),
        (lambda: dataclasses.replace(CARD, size=1025), "8 to 1024 pixels"),
        (lambda: dataclasses.replace(CARD, channels=2), "1 or 3 channels"),
        (lambda: dataclasses.replace(CARD, heads=()), "heads with distinct names"),
        (lambda: dataclasses.replace(CARD, heads=(CARD.heads[0],) * 2), "heads with distinct names"),
        (lambda: dataclasses.replace(CARD, heads=CARD.heads[:1]), "received 'ferplus'"),
        (
            lambda: dataclasses.replace(CARD, fused=FusedOutput(FERPLUS, (("fer2013", 1.0),))),
            "labels .*contempt.* which the head 'fer2013' lacks",
        ),
    ],
)
def test_an_impossible_card_is_refused(make, message):
    with pytest.raises(ModelError, match=message):
        make()


def changed(**values):
    return json.dumps({**json.loads(CARD.to_json()), **values})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "something else"),
        ("[]", "something else"),
        ("null", "something else"),
        ("{}", "something else"),
        (CARD.to_json()[:-20], "something else"),
        (changed(format=3), "format 2 or older; received 3.*install a newer one"),
        (changed(colour="grey"), "something else"),
        (changed(heads=None), "something else"),
        (changed(heads=[{"name": "fer2013"}]), "something else"),
        (changed(heads=[{"name": "fer2013", "labels": 7}]), "something else"),
        (changed(fused={"labels": ["happy"], "weights": [["fer2013"]]}), "something else"),
        (changed(size="48"), "something else"),
        (changed(channels=4), "1 or 3 channels"),
    ],
)
def test_text_that_is_no_card_is_refused(text, message):
    with pytest.raises(ModelError, match=message):
        ModelCard.from_json(text)


def test_a_sealed_model_passes_and_sealing_again_changes_nothing():
    sealed = seal(UNSEALED_MODEL)
    check_seal(sealed)
    assert seal(sealed) == sealed
    assert len(sealed) == len(UNSEALED_MODEL)
    assert sealed.startswith(UNSEALED_MODEL[: UNSEALED_MODEL.index(UNSEALED.encode())])


@pytest.mark.parametrize("model", [b"", b"\x08\x08 no seal", SEAL_MARK + b"0" * 63, SEAL_MARK[:-1] + b"0" * 64])
@pytest.mark.parametrize("act", [seal, check_seal])
def test_a_file_without_a_seal_is_refused(act, model):
    with pytest.raises(ModelError, match="without mien's card and seal"):
        act(model)


def test_a_model_that_was_never_sealed_does_not_pass():
    with pytest.raises(ModelError, match="changed or damaged"):
        check_seal(UNSEALED_MODEL)


def test_any_single_changed_bit_breaks_the_seal():
    sealed = seal(UNSEALED_MODEL)
    for at in range(len(sealed)):
        for bit in range(8):
            broken = bytearray(sealed)
            broken[at] ^= 1 << bit
            with pytest.raises(ModelError):
                check_seal(bytes(broken))


def test_a_cut_or_lengthened_file_breaks_the_seal():
    sealed = seal(UNSEALED_MODEL)
    random_bytes = random.Random(5).randbytes
    for length in range(1, 40):
        for broken in (sealed[:-length], sealed[length:], sealed + random_bytes(length), random_bytes(length) + sealed):
            with pytest.raises(ModelError):
                check_seal(broken)
