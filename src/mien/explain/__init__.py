"""Explanations of predictions: attribution maps over face crops, and tests of how faithful they are.

    recognizer = Recognizer.load()
    occlusion = Occlusion(ModelStore().load("compact"))
    for explanation in explain(recognizer, read("photo.jpg"), [occlusion]):
        print(explanation.label, {part.name: part.share for part in explanation.maps[0].parts})

Occlusion runs on ONNX Runtime alone. Grad-CAM and integrated gradients need Keras: ``mien.explain.gradients``.
"""

from mien.explain.explanation import AttributionMap, Explainer, Explanation, explain
from mien.explain.face_parts import FacePart
from mien.explain.faithfulness import Curve, DeletionInsertion, Faithfulness
from mien.explain.occlusion import Occlusion

__all__ = [
    "AttributionMap",
    "Curve",
    "DeletionInsertion",
    "Explainer",
    "Explanation",
    "FacePart",
    "Faithfulness",
    "Occlusion",
    "explain",
]
