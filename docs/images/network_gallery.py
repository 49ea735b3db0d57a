"""Draws the images of docs/how_networks_see.md and docs/explain.md.

Run from the root: ``python docs/images/network_gallery.py [RUN DATA]``; needs scikit-image and matplotlib. With a run
directory of ``mien train`` (of a network with convolutions) and its data, also those of a network: kernels, feature
maps, synthesised images, the embedding.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from matplotlib.cbook import get_sample_data
from skimage.data import astronaut

from mien.classification.face_crop import crop
from mien.detection import find_detector
from mien.explain import Occlusion, explain
from mien.explain.overlay import side_by_side
from mien.media.image import read, write
from mien.models.card import CropRule
from mien.models.store import ModelStore
from mien.recognizer import Recognizer
from mien.structures import Box, Face
from mien.tutorial.figures import activations_image, convolution_animation, convolution_step, pooling_image

HERE = Path(__file__).parent
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
"""Sobel's kernel: bright to the right of dark."""

SEVEN = np.kron(
    np.array(["1111", "0001", "0010", "0100"]).view("U1").reshape(4, 4).astype(np.uint8), np.ones((2, 2), np.uint8)
)
"""A seven of 8x8 pixels."""

FILTERS = 8
"""Filters of a layer in an image, and top-activating face crops of each."""


def main() -> None:
    """Writes the images next to this file."""
    seven = np.pad(SEVEN, 1)[:9, :9].astype(float)
    write(HERE / "convolution.png", convolution_step(seven, SOBEL, 33))
    convolution_animation(HERE / "convolution.gif", seven[:7, :7], SOBEL, stride=1)
    numbers = np.random.default_rng(4).integers(0, 10, (8, 8))
    write(HERE / "pooling.png", pooling_image(numbers))
    write(HERE / "activations.png", activations_image())
    write(HERE / "explained.jpg", explained())
    if len(sys.argv) == 3:
        of_network(*map(Path, sys.argv[1:]))


def hopper() -> np.ndarray:
    """The portrait of Grace Hopper that comes with matplotlib, RGB."""
    with get_sample_data("grace_hopper.jpg", asfileobj=True) as file:
        return read(file.read())


def explained() -> np.ndarray:
    """Two portraits, each next to the attribution map of the shipped model's prediction."""
    store = ModelStore()
    occlusion = Occlusion(store.load("compact"))
    recognizer = Recognizer(find_detector("auto", store), occlusion.classifier)
    images = [side_by_side(explain(recognizer, frame, [occlusion])[0]) for frame in (astronaut(), hopper())]
    return np.hstack([images[0], np.full((len(images[0]), 24, 3), 255, np.uint8), images[1]])


def of_network(run: Path, data: Path) -> None:
    """The images of a trained network."""
    from mien.data import PUBLIC_TEST, load
    from mien.explain.network import feature_map_layers, load_network
    from mien.tutorial.embedding import embed, scatter_image, tsne
    from mien.tutorial.filters import feature_maps, kernels, synthesise, tiled, top_crops
    from mien.visualization.annotate import colour_of

    network = load_network(run)
    model, card = network.model, network.card
    crops = load(data).split(PUBLIC_TEST)
    face = crop(astronaut(), Face(Box(175, 65, 275, 185)), CropRule(1.2), card.size, card.channels)
    first = next(iter(kernels(model).values()))
    write(HERE / "kernels.png", grey_rgb(tiled(np.moveaxis(first[:, :, 0], -1, 0), 8, 16, signed=True)))
    named = [layer.name for layer in feature_map_layers(model) if layer.name.startswith("activation")]
    chosen = [named[0], named[len(named) // 2], named[-1]]
    rows = [
        cv2.resize(
            tiled(np.moveaxis(maps[0][..., :FILTERS], -1, 0), FILTERS, 4),
            (960, 122),
            interpolation=cv2.INTER_AREA,
        )
        for maps in feature_maps(model, face[None], chosen).values()
    ]
    write(HERE / "feature-maps.png", grey_rgb(np.vstack(rows)))
    strongest = top_crops(model, chosen[1], crops.crops[:2000], FILTERS)
    made = []
    for number in range(FILTERS):
        made.append(synthesise(model, chosen[1], number)[..., 0])
        made += list(crops.crops[strongest[number]][..., 0])
    # images of the data set may not be published: only the synthesised ones are committed
    write(HERE / "filters.png", grey_rgb(tiled(np.stack(made[:: FILTERS + 1]).astype(np.float32), FILTERS, 2)))
    write(Path("filters-and-crops.png"), grey_rgb(tiled(np.stack(made).astype(np.float32), FILTERS + 1, 2)))
    some = np.random.default_rng(0).permutation(len(crops))[:800]
    colours = [colour_of(str(crops.truths[0].labels[answer])) for answer in crops.truths[0].class_ids[some]]
    points = tsne(embed(model, crops.crops[some]))
    write(Path("embedding-faces.png"), scatter_image(points, crops.crops[some], colours))
    blank = np.repeat(np.array(colours, np.uint8)[:, None, None], card.size, axis=1).repeat(card.size, axis=2)
    write(HERE / "embedding.png", scatter_image(points, blank, colours, side=640, thumbnail=12))


def grey_rgb(grey: np.ndarray) -> np.ndarray:
    """A grey image as RGB."""
    return np.repeat(grey[..., None], 3, axis=2)


if __name__ == "__main__":
    main()
