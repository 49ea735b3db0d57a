"""Docs, help, UI texts, messages and public docstrings use the field's words; docs/glossary.md has the table."""

from __future__ import annotations

import pytest

from glossary import BANNED, all_hits, docs, docstrings, hits_in, messages, page_texts


def test_no_word_of_the_first_edition_is_left():
    hits = all_hits()
    shown = "\n".join(f"{hit.place}: {hit.word!r} (say: {hit.instead}) in {hit.line[:100]}" for hit in hits[:40])
    assert not hits, f"{len(hits)} old words:\n{shown}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The network was taught on chips.", ["taught", "chips"]),
        ("Pictures and their answers", ["Pictures", "answers"]),
        ("mien predict --mask shown", ["--mask"]),
        ("A teacher's soft labels; lessening; tells", ["tells"]),
        ("trained on face crops", []),
        ("Told twice: told", ["Told", "told"]),
    ],
)
def test_old_words_are_found_whole(text, words):
    assert [hit.word for hit in hits_in(text, "text")] == words


@pytest.mark.parametrize("source", [docs, docstrings, page_texts, messages])
def test_every_source_has_something_to_read(source):
    texts = [text for _, text in source()]
    assert len(texts) >= 2
    assert sum(map(len, texts)) > 1000


def test_one_pattern_a_word():
    assert BANNED.groups == len(BANNED.groupindex)
