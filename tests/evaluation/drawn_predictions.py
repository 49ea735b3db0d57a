"""Answers by p_value, as the page and the comparison take them: no model is asked."""

from __future__ import annotations

import numpy as np

from mien.emotions import FER2013
from mien.evaluation.metrics import compute_metrics
from mien.evaluation.predictions import Report, SplitPredictions
from mien.models.card import CropRule, FusedOutput, Head, ModelCard, Origin
from mien.structures import Box, Face


def card_of(name="drawn", labels=FER2013, unsure_below=0.6, **origin):
    head = Head("fer2013", tuple(labels), unsure_below=unsure_below)
    answer = FusedOutput(tuple(labels), (("fer2013", 1.0),), unsure_below=unsure_below)
    return ModelCard(name, 48, 1, CropRule(), (head,), answer, Origin(**origin))


def random_predictions(name="drawn", labels=FER2013, rows=200, right=0.7, found=None, photos=(), **choices):
    """Predictions with a given accuracy; the targets depend only on the number of rows and labels."""
    truth = np.random.default_rng(rows).integers(0, len(labels), rows)
    chance = np.random.default_rng([rows, *name.encode()])
    probabilities = chance.dirichlet(np.full(len(labels), 0.2), rows).astype(np.float32)
    for row in np.flatnonzero(chance.random(rows) < right):
        best = probabilities[row].argmax()
        probabilities[row, [best, truth[row]]] = probabilities[row, [truth[row], best]]
    return predictions_from(probabilities, truth, name, labels, found=found, photos=photos, **choices)


def predictions_from(probabilities, truth, name="drawn", labels=FER2013, *, found=None, photos=(), card=None, **about):
    rows = len(truth)
    seen = np.ones(rows, bool) if found is None else found
    known = {"data": "made", "split": "PublicTest", "model": name, "head": "fer2013"}
    places = np.array([str(path) for path in photos] or [str(row + 2) for row in range(rows)])
    faces = tuple(Face(Box(60, 20, 180, 160)) if one else None for one in seen) if len(photos) else ()
    report = Report(metrics=compute_metrics(probabilities, truth, labels, seen), **(known | about))
    return SplitPredictions(
        report, card or card_of(name, labels), probabilities, truth, seen, np.arange(rows), places, faces
    )
