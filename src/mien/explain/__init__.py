"""Why a model answered as it did: maps of what each place of a face adds to the answer, on whom to believe them.

    recognizer = Recognizer.load()
    occlusion = Occlusion(ModelStore().load("compact"))
    for explanation in explain(recognizer, read("photo.jpg"), [occlusion]):
        print(explanation.label, {part.name: part.share for part in explanation.maps[0].parts})

No Keras is needed: Grad-CAM and integrated gradients, which need it, are in ``mien.tutorial``.
"""

from mien.explain.explanation import Check, Explainer, Explanation, HeatMap, explain
from mien.explain.face_parts import Part
from mien.explain.occlusion import Occlusion

__all__ = ["Check", "Explainer", "Explanation", "HeatMap", "Occlusion", "Part", "explain"]
