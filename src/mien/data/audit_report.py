"""The HTML report of a data audit, with the images, to review before rows are excluded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mien.data.dataset import TRAINING
from mien.data.summary import shrunk, split_sizes
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

MAX_GROUPS = 60
"""Groups shown of one kind; the JSON has all."""

MAX_GROUP_IMAGES = 8
MAX_IMAGES = 96
"""Images shown that are blank, or without a face."""

GROUP_IMAGE_PX = 72
"""CSS pixels of an image in a group."""

OVERSIZED_GROUP = (
    "One group has so many images that they may merely resemble each other, as drawings and digits do. "
    "Review it, and audit again with a higher --similarity, say 0.99."
)


class _Kind(NamedTuple):
    """A kind of result shown as images: heading, explanation, and the text if there are none."""

    title: str
    about: str
    none: str


CONFLICTS = _Kind(
    "Duplicates with conflicting labels",
    "At most one label of such a group can be correct. Training can exclude the whole group.",
    "All duplicates have the same label.",
)
LEAKS = _Kind(
    "Duplicates across splits",
    "Data leakage: images memorised from one split are evaluated in another, so metrics come out too high.",
    "No image has a duplicate in another split.",
)
OTHERS = _Kind(
    "Other duplicates",
    "Same label and same split: these images only count more than once.",
    "There are none.",
)


def audit_page(audited: Audit) -> str:
    """The audit as one HTML page; long lists are truncated and show the full count."""
    data = audited.data
    splits = ", ".join(f"{name} {count:,}" for name, count in split_sizes(data).items())
    others = [group for group in audited.groups if not group.conflict and not group.leak]
    leaks = [group for group in audited.leaks if not group.conflict]
    shared = len(audited.leaks) - len(leaks)
    more = f" {shared:,} more are listed above, as their labels conflict too." if shared else ""
    return page(
        f"Audit of {data.name}",
        f"{len(data):,} images of {data.size}x{data.size}: {splits}",
        section("Summary", figures(_glance(audited)), *_method(audited)),
        _groups(audited, CONFLICTS, audited.conflicts),
        _groups(audited, LEAKS._replace(about=LEAKS.about + more), leaks),
        _groups(audited, OTHERS, others),
        *_singles(audited),
        section("Class distribution", tag("div", *map(_balance, audited.balance), class_="pair")),
        *_rejected(audited),
        foot=f"SHA-256 of the data: {data.digest}. Written by mien data audit.",
    )


def _method(audited: Audit) -> Iterable[Markup]:
    yield note(
        "Duplicates are found by their pixels, and by pixel ranks averaged to 24x24, original and mirrored: two images "
        f"count as duplicates from a similarity of {audited.similarity:g}. Brightness, contrast, JPEG and blur hide no "
        "duplicate; a shift by one pixel of 48 hides one in five, another crop of the same photo hides most."
    )
    if audited.oversized_group:
        yield note(tag("b", OVERSIZED_GROUP))


def _glance(audited: Audit) -> Iterable[Figure]:
    found, data = audited.counts(), audited.data
    yield Figure("Groups of duplicates", f"{found['groups']:,}", f"{found['exact_groups']:,} with identical pixels")
    yield Figure("Redundant images", f"{found['redundant']:,}", f"{found['redundant'] / len(data):.1%} of all")
    yield Figure("Conflicting labels", f"{found['conflicts']:,}", "groups")
    for split in data.split_names():
        if audited.leaked(split) and split != TRAINING:
            yield Figure(f"{split} leaked", f"{audited.leaked(split):,}", "images with a duplicate in another split")
    yield Figure("Blank", f"{found['blank']:,}", "nearly uniform")
    if audited.no_expression is not None:
        yield Figure("No expression", f"{found['no_expression']:,}", "by any vote")
    if audited.no_face is not None:
        yield Figure("No face found", f"{found['no_face']:,}", "by the detector")


def _groups(audited: Audit, kind: _Kind, groups: Sequence[Group]) -> Markup:
    if not groups:
        return section(kind.title, note(kind.none))
    cards = tag("div", *(_card(audited, group) for group in groups[:MAX_GROUPS]), class_="groups")
    return section(f"{kind.title}: {len(groups):,}", cards, *_cut(len(groups), MAX_GROUPS, "groups"), about=kind.about)


def _card(audited: Audit, group: Group) -> Markup:
    shown = [_captioned(audited, row) for row in _shown(group)]
    kind = "identical pixels" if group.exact else f"similarity {min(group.score, 0.999):.3f}"
    rest = len(group.rows) - len(shown)
    details = [kind, *(["mirrored"] if group.mirrored else []), *([f"{rest} more"] if rest > 0 else [])]
    return tag("div", tag("div", *shown, class_="strip"), tag("p", ", ".join(details), class_="about"), class_="group")


def _shown(group: Group) -> list[int]:
    """The rows shown of a group, ascending: every label and every split, as far as space allows."""
    kinds = list(zip(group.labels, group.splits, strict=True))
    first = sorted(range(len(kinds)), key=lambda at: (kinds.index(kinds[at]) != at, at))
    return sorted(group.rows[at] for at in first[:MAX_GROUP_IMAGES])


def _captioned(audited: Audit, row: int) -> Markup:
    """An image over its label, its split and its place."""
    data = audited.data
    truth = data.truths[0]
    label = truth.labels[int(truth.class_ids[row])]
    shown = image(shrunk(data.crops[row]), f"{label}, {data.splits[row]} {data.rows[row]}", GROUP_IMAGE_PX)
    return captioned(shown, tag("b", label), data.splits[row], data.rows[row])


def _singles(audited: Audit) -> Iterable[Markup]:
    yield _images(audited, "Blank", "Nearly uniform images.", audited.blank)
    if audited.no_expression is not None:
        about = "Every vote was for no face or for an unknown expression: there is no face, or it is badly cropped."
        yield _images(audited, "No expression by vote", about, audited.no_expression)
    if audited.no_face is not None:
        about = (
            "The detector found no face, which is weak evidence: it misses profiles, occluded faces and drawings. "
            "On FER2013 YuNet misses the face in 4 of 100 good images, and finds one in a third of those in which no "
            "vote names an expression. exclude.txt lists none of these."
        )
        yield _images(audited, "No face found", about, audited.no_face)


def _images(audited: Audit, title: str, about: str, rows: Sequence[int]) -> Markup:
    if not rows:
        return section(title, note("There are none."))
    shown = gallery(_captioned(audited, row) for row in rows[:MAX_IMAGES])
    return section(f"{title}: {len(rows):,}", shown, *_cut(len(rows), MAX_IMAGES, "images"), about=about)


def _cut(count: int, limit: int, what: str) -> list[Markup]:
    return [note(f"{count - limit:,} more {what} are in audit.json.")] if count > limit else []


def _balance(part: Balance) -> Markup:
    largest, total = max(*part.counts, 1), max(sum(part.counts), 1)
    rows = [
        (label, bar(count / largest, colour_of(label)), f"{count:,}", f"{count / total:.1%}", f"{share:,.0f}")
        for label, count, share in zip(part.labels, part.counts, part.shares, strict=True)
    ]
    header = ("label", "", "images", "share", "by votes")
    columns = 5 if part.by_votes else 4
    ratio = f"; the most frequent label has {part.ratio:,.1f} times as many as the rarest" if part.ratio > 1 else ""
    unlabelled = f"; {part.unlabelled:,} without a label" if part.unlabelled else ""
    caption = f"{part.head}, {part.split}: {total:,} images{ratio}{unlabelled}"
    return table(header[:columns], [row[:columns] for row in rows], text_columns=2, caption=caption)


def _rejected(audited: Audit) -> Iterable[Markup]:
    rejected = audited.data.rejected
    if rejected:
        lines = table(("place", "reason"), [(bad.place, bad.reason) for bad in rejected[:MAX_IMAGES]], text_columns=2)
        title = f"Rejected rows: {len(rejected):,}"
        yield section(title, lines, *_cut(len(rejected), MAX_IMAGES, "rows"))
