from __future__ import annotations

import numpy as np
import pytest

from mien.data import ferplus, pixel_csv
from mien.emotions import FER2013, FERPLUS
from mien.errors import DatasetError

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


@pytest.fixture
def pair(make_rows, write_csv, tmp_path):
    """A csv of FER2013 and a file of votes for it; ``bad`` rows of the csv can't be read."""

    def make(votes, bad=(), header=HEADER, usages=None):
        rows = make_rows(len(votes))
        lines = [b"9,," if at in bad else row.line() for at, row in enumerate(rows)]
        usages = usages or [row.usage for row in rows]
        text = [
            header,
            *(f"{usage},fer.png,{','.join(map(str, row))}" for usage, row in zip(usages, votes, strict=True)),
        ]
        path = tmp_path / "fer2013new.csv"
        path.write_bytes(("\r\n".join(text) + "\r\n").encode())
        return pixel_csv.read_fer2013(write_csv(lines)), path

    return make


def drawn(count: int) -> np.ndarray:
    """Ten votes a row, from unanimous to scattered."""
    random = np.random.default_rng(3)
    shares = random.dirichlet(np.full(10, 0.3), count)
    return np.array([random.multinomial(10, row) for row in shares])


def by_the_protocol(votes: list[int]) -> int | None:
    """The winner's column as FER+ decides it, spelled out vote by vote; None where the image is dropped."""
    left = [count if count > 1 else 0 for count in votes]
    total = 0
    for count in left:
        total += count
    for column, count in enumerate(left):
        if count > total / 2:
            return column if column < 8 else None
    return None


def test_judged_rows_and_their_answers_are_the_protocol_s(pair):
    votes = drawn(3000)
    truth = ferplus.attach(*pair(votes)).truth("ferplus")
    expected = [by_the_protocol(row) for row in votes.tolist()]
    found = [int(answer) if judged else None for answer, judged in zip(truth.class_ids, truth.evaluated, strict=True)]
    assert found == expected
    assert 0.2 < truth.evaluated.mean() < 0.9  # the draw has both kinds


@pytest.mark.parametrize(
    ("votes", "winner"),
    [
        ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0),
        ([0, 0, 0, 0, 0, 0, 0, 10, 0, 0], 7),
        ([4, 0, 0, 4, 1, 0, 0, 0, 1, 0], None),  # half is no majority
        ([5, 1, 1, 1, 1, 1, 0, 0, 0, 0], 0),  # single votes don't count against it
        ([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], None),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),  # nothing is left
        ([2, 1, 1, 1, 1, 1, 1, 1, 1, 0], 0),
        ([2, 0, 0, 0, 0, 0, 0, 0, 8, 0], None),  # unknown wins
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], None),  # no face
        ([0, 0, 0, 0, 0, 4, 0, 0, 3, 3], None),  # unknown and no face count against the winner
        ([0, 0, 0, 0, 0, 6, 0, 0, 2, 2], 5),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None),
    ],
)
def test_cases_of_the_protocol(votes, winner):
    assert by_the_protocol(votes) == winner
    assert bool(ferplus.majority(np.array([votes]))[0]) == (winner is not None)


@pytest.mark.parametrize(
    ("votes", "targets", "weight"),
    [
        ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], 1.0),
        ([4, 0, 0, 3, 1, 0, 0, 0, 2, 0], [0.5, 0, 0, 0.375, 0.125, 0, 0, 0], 0.8),  # single votes stay in the shares
        ([0, 0, 0, 0, 0, 0, 0, 1, 4, 5], [0, 0, 0, 0, 0, 0, 0, 1], 0.1),
        ([0, 0, 0, 0, 0, 0, 0, 0, 4, 6], [0.125] * 8, 0.0),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0.125] * 8, 0.0),
    ],
)
def test_targets_are_shares_of_the_eight_and_weights_their_part(pair, votes, targets, weight):
    truth = ferplus.attach(*pair([votes])).truth("ferplus")
    assert truth.labels == tuple(FERPLUS)
    np.testing.assert_allclose(truth.targets[0], targets, rtol=1e-6)
    assert truth.weights[0] == pytest.approx(weight)


def test_rejected_rows_leave_the_others_matched(pair):
    votes = drawn(60)
    bad = (0, 7, 8, 59)
    data = ferplus.attach(*pair(votes, bad))
    kept = np.delete(votes, bad, axis=0)
    known = kept[:, :8].sum(axis=1)
    np.testing.assert_allclose(data.truth("ferplus").weights, known / 10, rtol=1e-6)
    np.testing.assert_array_equal(data.truth("ferplus").evaluated, ferplus.majority(kept))


def test_the_data_stays_as_it_was_and_its_digest_covers_the_votes(pair):
    data, votes = pair(drawn(9))
    both = ferplus.attach(data, votes)
    assert [truth.head for truth in both.truths] == ["fer2013", "ferplus"]
    assert both.crops.tobytes() == data.crops.tobytes()
    votes.write_text(votes.read_text().replace("fer.png", "other.png"))
    assert len({data.digest, both.digest, ferplus.attach(data, votes).digest}) == 3


def test_columns_are_found_by_name(pair):
    votes = drawn(30)
    swapped = HEADER.replace("neutral,happiness", "happiness,neutral")
    plain = ferplus.attach(*pair(votes)).truth("ferplus").targets
    other = ferplus.attach(*pair(votes, header=swapped)).truth("ferplus").targets
    np.testing.assert_array_equal(other, plain[:, [1, 0, 2, 3, 4, 5, 6, 7]])


@pytest.mark.parametrize("extra", [-1, 1])
def test_another_number_of_rows_is_refused(pair, extra):
    data, votes = pair(drawn(10))
    lines = votes.read_text().splitlines()
    votes.write_text("\n".join(lines[:-1] if extra < 0 else [*lines, lines[-1]]) + "\n")
    with pytest.raises(DatasetError, match=f"last line is 11; received .* {11 + extra}"):
        ferplus.attach(data, votes)


def test_another_usage_is_refused(pair):
    usages = ["Training", "PublicTest", "PublicTest"]
    with pytest.raises(DatasetError, match=r"line 4 has the split PrivateTest there and PublicTest"):
        ferplus.attach(*pair(drawn(3), usages=usages))


@pytest.mark.parametrize("usages", [["train", "val", "test"], ["TRAINING", "public_test", "Private Test"]])
def test_usages_are_compared_by_their_meaning(pair, usages):
    assert len(ferplus.attach(*pair(drawn(3), usages=usages)).truths) == 2


def test_a_split_alone_is_refused(pair):
    data, votes = pair(drawn(9))
    with pytest.raises(DatasetError, match="before splitting"):
        ferplus.attach(data.split("Training"), votes)


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda text: text.replace("contempt", "pride"), "lacks contempt"),
        (lambda text: text.replace("NF", "no"), "lacks nf"),
        (lambda text: text.rpartition(",")[0], "after line 9"),
        (lambda text: text.rstrip() + "x", "after line 9"),
        (lambda text: text.rstrip() + ".5", "after line 9"),
        (lambda text: text.rpartition(",")[0] + ",-1", "after line 9"),
        (lambda text: HEADER, "no rows"),
        (lambda text: "", "lacks usage"),
    ],
)
def test_votes_that_cannot_be_read_are_refused(pair, edit, word):
    data, votes = pair(drawn(9))
    votes.write_text(edit(votes.read_text()))
    with pytest.raises(DatasetError, match=word):
        ferplus.attach(data, votes)


def test_absent_votes_are_refused(pair, tmp_path):
    with pytest.raises(DatasetError, match=r"absent\.csv"):
        ferplus.attach(pair(drawn(3))[0], tmp_path / "absent.csv")


@pytest.mark.shared
def test_the_real_votes_agree_with_two_labels_in_three(real_data):
    own, plus = real_data.truths
    agree = np.array(FER2013)[own.class_ids] == np.array(FERPLUS)[plus.class_ids]
    assert agree[plus.evaluated].mean() == pytest.approx(0.67, abs=0.01)
    fear, happy = (agree[plus.evaluated & (own.class_ids == FER2013.index(name))].mean() for name in ("fear", "happy"))
    assert fear == pytest.approx(0.15, abs=0.02)
    assert happy == pytest.approx(0.94, abs=0.01)
