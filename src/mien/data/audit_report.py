"""An audit as a page with the images in it, to look at before anything is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mien.data.summary import shrunk
from mien.data.dataset import TRAINING
from mien.data.summary import split_sizes
from mien.visualization.annotate import colour_of
from mien.visualization.report import (
    Figure,
    Markup,
    bar,
    captioned,
    figures,
    gallery,
    image,
    note,
    page,
    section,
    table,
    tag,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mien.data.audit import Audit, Group
    from mien.data.summary import Balance

MOST_GROUPS = 60
"""Groups shown of one kind; the JSON has all."""

MOST_OF_A_GROUP = 8
MOST_IMAGES = 96
"""Images shown that are blank, or that show no face."""

ACROSS = 72
"""CSS pixels of an image in a group."""


CROWDED = (
    "One group holds so many images that they may well be alike without being copies, as drawings and digits are. "
    "Look at it, and audit again with a higher --alike, say 0.99."
)


class _Kind(NamedTuple):
    """A kind of finding that is shown as images: its heading, how to take it, and what was found."""

    title: str
    about: str
    none: str


CONFLICTS = _Kind(
    "Copies with different labels",
    "At most one of the labels of such a group can be right. Training can leave all of them out.",
    "All copies have the same label.",
)
LEAKS = _Kind(
    "Copies across splits",
    "What was learnt by heart from one split is judged on in another, and scores come out too high.",
    "No image has a copy in another split.",
)
OTHERS = _Kind(
    "Other copies",
    "The same label and the same split: they only count more than once.",
    "There are none.",
)


def audit_page(findings: Audit) -> str:
    """The page, ready to be written as UTF-8; lists are cut to what a person looks at, with the full count."""
    data = findings.data
    splits = ", ".join(f"{name} {count:,}" for name, count in split_sizes(data).items())
    others = [group for group in findings.groups if not group.conflict and not group.leak]
    leaks = [group for group in findings.leaks if not group.conflict]
    shared = len(findings.leaks) - len(leaks)
    more = f" {shared:,} more of them stand above, as their labels differ too." if shared else ""
    return page(
        f"Audit of {data.name}",
        f"{len(data):,} images of {data.size}x{data.size}: {splits}",
        section("At a glance", figures(_glance(findings)), *_method(findings)),
        _groups(findings, CONFLICTS, findings.conflicts),
        _groups(findings, LEAKS._replace(about=LEAKS.about + more), leaks),
        _groups(findings, OTHERS, others),
        *_singles(findings),
        section("Class balance", tag("div", *map(_balance, findings.balance), class_="pair")),
        *_rejected(findings),
        foot=f"SHA-256 of the data: {data.digest}. Written by mien data audit.",
    )


def _method(findings: Audit) -> Iterable[Markup]:
    yield note(
        "Copies are found by the pixels, and by their ranks averaged to 24x24, as they are and mirrored: from a "
        f"similarity of {findings.alike:g} on two images are taken for the same. Brightness, contrast, JPEG and blur "
        "don't hide a copy; a shift by a pixel of 48 hides one in five, another crop of the same photo most."
    )
    if findings.crowded:
        yield note(tag("b", CROWDED))


def _glance(findings: Audit) -> Iterable[Figure]:
    found, data = findings.counts(), findings.data
    yield Figure("Groups of copies", f"{found['groups']:,}", f"{found['exact_groups']:,} of the same pixels throughout")
    yield Figure("Spare images", f"{found['spare']:,}", f"{found['spare'] / len(data):.1%} of all")
    yield Figure("Conflicting labels", f"{found['conflicts']:,}", "groups")
    for split in data.split_names():
        if findings.leaked(split) and split != TRAINING:
            yield Figure(f"{split} leaked", f"{findings.leaked(split):,}", "images with a copy in another split")
    yield Figure("Blank", f"{found['blank']:,}", "nearly one shade")
    if findings.faceless is not None:
        yield Figure("No expression", f"{found['faceless']:,}", "by any vote")
    if findings.unseen is not None:
        yield Figure("No face found", f"{found['unseen']:,}", "by the detector")


def _groups(findings: Audit, kind: _Kind, groups: Sequence[Group]) -> Markup:
    if not groups:
        return section(kind.title, note(kind.none))
    cards = tag("div", *(_card(findings, group) for group in groups[:MOST_GROUPS]), class_="groups")
    return section(f"{kind.title}: {len(groups):,}", cards, *_cut(len(groups), MOST_GROUPS, "groups"), about=kind.about)


def _card(findings: Audit, group: Group) -> Markup:
    shown = [_captioned(findings, row) for row in _shown(group)]
    kind = "the same pixels" if group.exact else f"similarity {min(group.score, 0.999):.3f}"
    rest = len(group.rows) - len(shown)
    words = [kind, *(["mirrored"] if group.mirrored else []), *([f"{rest} more"] if rest > 0 else [])]
    return tag("div", tag("div", *shown, class_="strip"), tag("p", ", ".join(words), class_="about"), class_="group")


def _shown(group: Group) -> list[int]:
    """The rows that stand for a group, ascending: every label and every split is among them, as far as room is."""
    kinds = list(zip(group.labels, group.splits, strict=True))
    first = sorted(range(len(kinds)), key=lambda at: (kinds.index(kinds[at]) != at, at))
    return sorted(group.rows[at] for at in first[:MOST_OF_A_GROUP])


def _captioned(findings: Audit, row: int) -> Markup:
    """An image over its label, its split and its place."""
    data = findings.data
    truth = data.truths[0]
    label = truth.labels[int(truth.class_ids[row])]
    shown = image(shrunk(data.crops[row]), f"{label}, {data.splits[row]} {data.rows[row]}", ACROSS)
    return captioned(shown, tag("b", label), data.splits[row], data.rows[row])


def _singles(findings: Audit) -> Iterable[Markup]:
    yield _images(findings, "Blank", "Images of nearly one shade.", findings.blank)
    if findings.faceless is not None:
        about = "Every vote was for no face or for an expression that can't be told: there is none, or it is badly cut."
        yield _images(findings, "No expression by vote", about, findings.faceless)
    if findings.unseen is not None:
        about = (
            "The detector found no face, which proves nothing: profiles, hands before the face and drawings defeat it. "
            "On FER2013 YuNet finds none in 4 of 100 good images, and one in a third of those in which no vote names "
            "an expression. without.txt names none for that."
        )
        yield _images(findings, "No face found", about, findings.unseen)


def _images(findings: Audit, title: str, about: str, rows: Sequence[int]) -> Markup:
    if not rows:
        return section(title, note("There are none."))
    shown = gallery(_captioned(findings, row) for row in rows[:MOST_IMAGES])
    return section(f"{title}: {len(rows):,}", shown, *_cut(len(rows), MOST_IMAGES, "images"), about=about)


def _cut(count: int, most: int, what: str) -> list[Markup]:
    return [note(f"{count - most:,} more {what} are in audit.json.")] if count > most else []


def _balance(held: Balance) -> Markup:
    most, total = max(*held.counts, 1), max(sum(held.counts), 1)
    rows = [
        (label, bar(count / most, colour_of(label)), f"{count:,}", f"{count / total:.1%}", f"{share:,.0f}")
        for label, count, share in zip(held.labels, held.counts, held.shares, strict=True)
    ]
    header = ("label", "", "images", "share", "by votes")
    cells = 5 if held.by_votes else 4
    ratio = f"; the most frequent label has {held.ratio:,.1f} times as many as the rarest" if held.ratio > 1 else ""
    unlabelled = f"; {held.unlabelled:,} without a label" if held.unlabelled else ""
    caption = f"{held.head}, {held.split}: {total:,} images{ratio}{unlabelled}"
    return table(header[:cells], [row[:cells] for row in rows], words=2, caption=caption)


def _rejected(findings: Audit) -> Iterable[Markup]:
    rejected = findings.data.rejected
    if rejected:
        lines = table(("place", "reason"), [(bad.place, bad.reason) for bad in rejected[:MOST_IMAGES]], words=2)
        title = f"Rows that can't be read: {len(rejected):,}"
        yield section(title, lines, *_cut(len(rejected), MOST_IMAGES, "rows"))
