"""The summary: counts by split and label, votes, and rows that could not be read."""

from __future__ import annotations

import json

import pytest
from audited import faulty

from mien.data.dataset import PUBLIC_TEST, TRAINING
from mien.data.summary import Balance, balance, split_sizes, summary


def test_counts_by_split_and_head():
    held = {(part.head, part.split): part for part in balance(faulty())}
    assert list(held) == [
        *(("classes", TRAINING), ("classes", PUBLIC_TEST)),
        *(("ferplus", TRAINING), ("ferplus", PUBLIC_TEST)),
    ]
    assert held["classes", TRAINING].counts == (4, 3, 1)
    assert held["classes", PUBLIC_TEST].counts == (1, 1, 0)
    votes = held["ferplus", TRAINING]
    assert (votes.counts, votes.unlabelled, votes.evaluated) == ((5, 2), 1, 6)
    assert votes.shares == pytest.approx((4.0, 3.0))
    assert (votes.by_votes, held["classes", TRAINING].by_votes) == (True, False)


@pytest.mark.parametrize(("counts", "ratio"), [((4, 2), 2), ((3, 3), 1), ((3, 0), 1), ((0, 0), 1)])
def test_ratio_of_the_most_frequent_to_the_rarest(counts, ratio):
    assert Balance("Training", "classes", ("a", "b"), counts, counts, 0, 1).ratio == ratio


def test_split_sizes():
    assert split_sizes(faulty()) == {TRAINING: 8, PUBLIC_TEST: 2}


def test_the_summary_is_json():
    told = json.loads(json.dumps(summary(faulty())))
    assert (told["data"], told["count"], told["size"], told["channels"]) == ("drawn", 10, 25, 1)
    assert told["splits"] == {TRAINING: 8, PUBLIC_TEST: 2}
    assert told["labels"][0]["counts"] == {"happy": 4, "sad": 3, "<b>odd</b>": 1}
    assert "votes" not in told["labels"][0]
    assert told["labels"][2]["votes"] == {"happy": 4.0, "sad": 3.0}
    assert told["rejected"][0]["place"] == "bad.png"
