"""Costs of a whole process: cold start, imports, and disk space of an installation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from page import Section, table
from timing import Sample, interleaved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from setting import Setting

EMPTY_PROCESS = "python -c pass"
PEERS = ("tensorflow", "torch", "keras")
BACKENDS = ("tensorflow", "torch", "jax")
BASE = Path(__file__).parents[1]
IMPORT_TARGET_MS = 300
SIZE_TARGET_MB = 400

STAGES = (
    ("import NumPy", "import numpy"),
    ("import Pillow", "from PIL import Image"),
    ("import ONNX Runtime", "import onnxruntime"),
    ("import Typer and Rich", "import typer, rich.console"),
    ("import mien's own modules", "import mien.apps.cli, mien.media.image, mien.recognizer, mien.outputs"),
    ("load the classifier and the detector", "recognizer = mien.recognizer.Recognizer.load(model, detector)"),
    ("decode the photo", "frame = mien.media.image.read(photo)"),
    ("first prediction", "result = recognizer.predict(frame)"),
)
"""The steps of ``mien predict``; libraries come first, so that each has its own row."""

STAGED = f"""
import json, sys, time
photo, model, detector = sys.argv[1:]
took, start = {{}}, time.perf_counter()
for name, code in {STAGES!r}:
    exec(code)
    now = time.perf_counter()
    took[name], start = now - start, now
print(json.dumps(took))
"""


def cold_start(setting: Setting) -> Section:
    """Cold starts of several processes, and the stages of mien's."""
    commands = _predictions(setting)
    for command in commands.values():
        _check_faces(command, setting.environment)
    peers, absent = _peers(setting.peers)
    tasks = {name: partial(_seconds, command, setting.environment) for name, command in commands.items()}
    tasks |= {name: partial(_seconds, command, environment) for name, (command, environment) in peers.items()}
    samples = {name: Sample(values) for name, values in interleaved(tasks, setting.rounds).items()}
    first = next(iter(commands))
    rows = [
        [f"`{name}`", sample.times(1000).text(), sample.over(samples[first]).text(2)]
        for name, sample in samples.items()
    ]
    stages = _stages(setting)
    text = [
        table(["process", "ms", "times the first row"], rows),
        *([f"Not installed, so not measured: {', '.join(absent)}."] if absent else []),
        f"{setting.rounds} rounds. Stages of `{first}`, measured in as many separate processes:",
        table(["stage", "ms"], [[name, sample.times(1000).text(1)] for name, sample in stages.items()]),
    ]
    return Section("\n\n".join(text), {"seconds": _numbers(samples), "stages": _numbers(stages), "absent": absent})


def import_cost(setting: Setting) -> Section:
    """The cost of ``import mien``, and that it imports no training library."""
    modules = ("mien", "mien.recognizer", "mien.apps.cli")
    tasks = {f"import {name}": partial(_import_seconds, name) for name in modules}
    samples = {name: Sample(values) for name, values in interleaved(tasks, setting.rounds).items()}
    loaded = {f"import {name}": _loaded(name) for name in modules}
    rows = [
        [f"`{name}`", sample.times(1000).text(1), str(len(loaded[name])), ", ".join(_trainers(loaded[name])) or "none"]
        for name, sample in samples.items()
    ]
    text = [
        table(["statement", "ms", "modules loaded", f"of {', '.join(PEERS)}"], rows),
        f"By `python -X importtime`, {setting.rounds} rounds. Target for `import mien`: {IMPORT_TARGET_MS} ms, none.",
    ]
    figures = {"seconds": _numbers(samples), "trainers": {name: _trainers(names) for name, names in loaded.items()}}
    return Section("\n\n".join(text), figures)


def installed_size(_: Setting) -> Section:
    """The disk space of ``pip install .`` in a fresh virtual environment."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        site = next(Path(folder).glob("**/site-packages"))
        before = bytes_under(site)
        tools = {distribution.name for distribution in distributions(path=[str(site)])}
        python = next(
            path for path in (Path(folder, "bin/python"), Path(folder, "Scripts/python.exe")) if path.exists()
        )
        subprocess.run([python, "-m", "pip", "install", "--quiet", BASE], check=True)
        total = bytes_under(site) - before
        sizes = {
            distribution.name: sum(_size(Path(str(file.locate()))) for file in distribution.files or ())
            for distribution in distributions(path=[str(site)])
            if distribution.name not in tools
        }
    largest = dict(sorted(sizes.items(), key=lambda item: -item[1])[:6])
    others = {"the rest": total - sum(largest.values())}
    rows = [[name, f"{size / 1e6:.1f}"] for name, size in (largest | others | {"**total**": total}).items()]
    text = [
        table(["distribution", "MB"], rows),
        f"Target: under {SIZE_TARGET_MB} MB. Compiled `.pyc` files included.",
    ]
    return Section("\n\n".join(text), {"total": total, "bytes": sizes})


def import_microseconds(report: str, module: str) -> int:
    """The cumulative time of a module in the stderr of ``python -X importtime``.

    Raises:
        ValueError: the report does not name the module.
    """
    for line in report.splitlines():
        _, _, columns = line.partition("import time:")
        cells = [cell.strip() for cell in columns.split("|")]
        if len(cells) == 3 and cells[2] == module:
            return int(cells[1])
    raise ValueError(f"expected a line for {module!r} in the report of importtime; found none")


def bytes_under(folder: Path) -> int:
    """The sizes of all files in a folder and below; links count as nothing."""
    return sum(_size(path) for path in folder.rglob("*"))


def _predictions(setting: Setting) -> dict[str, list[str]]:
    script = Path(sys.executable).with_name("mien")
    mien = [str(script)] if script.exists() else [sys.executable, "-m", "mien"]
    arguments = ["predict", str(setting.photo), "--json", "--model", setting.model, "--detector"]
    return {
        f"mien predict PHOTO --json --detector {detector}": [*mien, *arguments, detector]
        for detector in setting.detectors
    }


def _check_faces(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run once to warm the disk cache; a photo without a face would skip the classifier."""
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if ran.returncode != 0 or not json.loads(ran.stdout)["faces"]:
        raise SystemExit(f"expected a face from: {' '.join(command)}; received {ran.stdout}{ran.stderr}")


def _peers(python: str) -> tuple[dict[str, tuple[list[str], dict[str, str]]], list[str]]:
    """Commands that import other libraries, with their environments; and the libraries that are not installed."""
    present = {name for name in (*PEERS, *BACKENDS) if _imports(python, name)}
    backend = next((name for name in BACKENDS if name in present), "")
    environment = {**os.environ, **({"KERAS_BACKEND": backend} if backend else {})}
    peers = {EMPTY_PROCESS: ([python, "-c", "pass"], environment)}
    for name in PEERS:
        if name in present and (name != "keras" or backend):
            label = (f"KERAS_BACKEND={backend} " if name == "keras" else "") + f'python -c "import {name}"'
            peers[label] = ([python, "-c", f"import {name}"], environment)
    return peers, [name for name in PEERS if name not in present]


def _imports(python: str, module: str) -> bool:
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def _seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def _stages(setting: Setting) -> dict[str, Sample]:
    command = [sys.executable, "-c", STAGED, str(setting.photo), setting.model, setting.detectors[0]]
    rounds = []
    for _ in range(setting.rounds):
        start = time.perf_counter()
        ran = subprocess.run(command, check=True, capture_output=True, text=True, env=setting.environment)
        whole = time.perf_counter() - start
        took = json.loads(ran.stdout)
        rounds.append({"interpreter, start and exit": whole - sum(took.values()), **took, "**total**": whole})
    return {name: Sample(tuple(stages[name] for stages in rounds)) for name in rounds[0]}


def _import_seconds(module: str) -> float:
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return import_microseconds(ran.stderr, module) / 1e6


def _loaded(module: str) -> list[str]:
    code = f"import sys; before = set(sys.modules); import {module}; print(*sorted(set(sys.modules) - before))"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def _trainers(modules: Sequence[str]) -> list[str]:
    return [name for name in PEERS if name in modules]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() and not path.is_symlink() else 0


def _numbers(samples: Mapping[str, Sample]) -> dict[str, tuple[float, ...]]:
    return {name.strip("*"): sample.values for name, sample in samples.items()}
