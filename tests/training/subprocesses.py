"""Jobs that tests run in a child process, since a process has one backend and one number of devices.

python subprocesses.py JOB FOLDER ...
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from tasks_drawn import QUICK, drawn, drawn_with_votes, stripes

from mien.training.config import PLAIN, Augmentation

QUICK_NETWORKS = {
    "two-conv": (24, 1, (("classes", 8),)),
    "mini-xception": (48, 1, (("classes", 8),)),
    "nano": (25, 3, (("fer2013", 7), ("ferplus", 8))),
    "compact": (48, 1, (("fer2013", 7), ("ferplus", 8))),
    "digits-conv": (28, 1, (("classes", 10),)),
}
"""Side, channels and heads of the networks whose weights are exchanged between backends."""

STEPPED = {
    "plain": replace(QUICK, network="nano", epochs=2, repeats=2, balance="logits"),
    "augmented": replace(
        QUICK,
        network="nano",
        epochs=2,
        repeats=2,
        balance="logits",
        augmentation=Augmentation(jpeg=0.0, mixup_share=0.5),
    ),
    "distilled": replace(QUICK, epochs=2, teacher="nano", augmentation=replace(PLAIN, mixup=0.2, mixup_share=1.0)),
}
"""The configs of the runs of ``step``; JPEG compression is not available on the device."""

START = "start.weights.h5"


def run_subprocess(*arguments: object, backend: str, devices: int = 1) -> str:
    """Runs one of the jobs below on a backend with a number of devices; returns its stdout."""
    return finished(start(*arguments, backend=backend, devices=devices))


def start(*arguments: object, backend: str, devices: int = 1, **variables: str) -> subprocess.Popen[str]:
    """Starts one of the jobs below."""
    # XLA's optimisations take longer than these jobs
    flags = (
        f"--xla_force_host_platform_device_count={devices} "
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    )
    return subprocess.Popen(
        [sys.executable, __file__, *map(str, arguments)],
        env={**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": flags, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    """The stdout of a job, which must succeed."""
    try:
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 0, err[-2000:]
    return out


def train(folder: Path, devices: int) -> None:
    """A run of three steps of 32 per epoch, in FOLDER; the validation split has an odd number of face crops."""
    from mien.training.engine.devices import output_directory
    from mien.training.engine.loop import Options
    from mien.training.tasks.classification.task import fit

    data = drawn(each=16)
    config = replace(QUICK, network="nano", epochs=2)
    validation = data.split("PublicTest").select(range(31))
    with output_directory(folder, resume=False) as own:
        fit(data.split("Training"), validation, config, own, lambda _: None, Options(devices=devices))
    sys.stdout.write(str(own == folder))


def step(folder: Path, on_device: bool) -> None:
    """Runs of three or six steps per epoch, in FOLDER/NAME each.

    On the device a program has four steps, so that an epoch of six takes two programs and the second is padded.
    """
    from mien.training.engine.loop import Options
    from mien.training.tasks.classification.task import fit

    if on_device:
        from mien.training.jax import steps

        steps.MAX_STEPS = 4
    for name, config in STEPPED.items():
        data = drawn_with_votes(each=16, size=48 if config.teacher else 24)
        options = Options(on_device=on_device)
        fit(data.split("Training"), data.split("PublicTest"), config, folder / name, lambda _: None, options)


def refuse(_folder: Path) -> None:
    """Prints the errors for missing devices and for a batch that can't be split."""
    from mien.errors import UsageError
    from mien.training.engine.devices import data_parallel

    for count, batch in ((3, 30), (2, 33), (2, 1)):
        try:
            with data_parallel(count, batch):
                pass
        except UsageError as error:
            sys.stdout.write(f"{error}\n")


def save(folder: Path) -> None:
    """Saves random weights of each network with their logits, and initial weights for ``learn``."""
    import keras

    from mien.training.architectures import NetworkShape, build
    from mien.training.tasks.classification.validation import predict_logits

    folder.mkdir()
    for seed, (network, shape) in enumerate(QUICK_NETWORKS.items()):
        keras.utils.set_random_seed(seed)
        model = build(network, NetworkShape(*shape))
        model.save_weights(folder / f"{network}.weights.h5")
        np.savez(folder / f"{network}.npz", **predict_logits(model, _crops(network)))
    build("nano", NetworkShape(24, 1, (("classes", 8),))).save_weights(folder / START)


def load(others: Path) -> None:
    """Prints, by backend and network, the largest difference from the logits of that backend."""
    sys.stdout.write(json.dumps({folder.name: _differences(folder) for folder in others.iterdir()}))


def _differences(folder: Path) -> dict[str, float]:
    from mien.training.architectures import NetworkShape, build
    from mien.training.tasks.classification.validation import predict_logits

    worst = {}
    for network, shape in QUICK_NETWORKS.items():
        model = build(network, NetworkShape(*shape))
        model.load_weights(folder / f"{network}.weights.h5")
        expected = np.load(folder / f"{network}.npz")
        logits = predict_logits(model, _crops(network))
        worst[network] = max(float(np.abs(logits[head] - expected[head]).max()) for head in expected.files)
    return worst


def learn(folder: Path, weights: Path) -> None:
    """Prints the losses of a run from given weights, without dropout."""
    from mien.training.engine.loop import Options
    from mien.training.tasks.classification.task import fit

    data = drawn(each=16)
    config = replace(QUICK, network="nano", epochs=3, dropout=0.0, learning_rate=0.02)
    options = Options(start=lambda model: model.load_weights(weights))
    done = fit(data.split("Training"), data.split("PublicTest"), config, folder, lambda _: None, options)
    sys.stdout.write(json.dumps([[epoch.loss, epoch.scores[0].nll] for epoch in done.history]))


def _crops(network: str) -> np.ndarray:
    size, channels, _ = QUICK_NETWORKS[network]
    return stripes(np.arange(6), size, channels, seed=1)


def main(job: str, folder: str, *arguments: str) -> None:
    from mien.training import prepare_backend

    prepare_backend()
    place = Path(folder)
    match job:
        case "train":
            train(place, int(arguments[0]))
        case "step":
            step(place, arguments[0] == "device")
        case "refuse":
            refuse(place)
        case "save":
            save(place)
        case "load":
            load(place)
        case "learn":
            learn(place, Path(arguments[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
