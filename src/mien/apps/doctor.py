"""Looks over an installation: what works, what is missing, and the command that mends it. Printing is the shell's."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mien.models.store import ModelStore

OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
CASCADE = "haarcascade_frontalface_default.xml"
REINSTALL = "pip install --force-reinstall mien"
FORMATS = (("jpg", "JPEG"), ("zlib", "PNG"), ("webp", "WebP"))
BACKENDS = (("tensorflow", ("tensorflow", "tensorflow-cpu")), ("torch", ("torch",)), ("jax", ("jax",)))
TELEMETRY_STORE = ".cache/Microsoft/DeveloperTools/.onnxruntime"
"""Where ONNX Runtime 1.31 and later keep a device id and events, under the home directory."""

ENOUGH_DISK = 500_000_000
SLOW_CROP = 50.0
OPTIONAL = (
    ("pyarrow", "parquet", "Parquet tables"),
    ("matplotlib", "plots", "plots"),
    ("ray", "scale", "many machines, by Ray Data"),
    ("tensorboard", "tensorboard", "logs for TensorBoard"),
    ("optuna", "search", "search for configs"),
    ("fastapi", "serve", "the web page and the API"),
)
"""Package, extra, and what it is for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's: what was looked at, how it is, and what would mend it ("" where nothing need be)."""

    topic: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


def checks(store: ModelStore, milliseconds: Callable[[], float] | None = None) -> Iterator[Finding]:
    """Every finding on this machine, one after the other; a check that breaks is a finding too.

    No camera is opened and no training library is imported.

    Args:
        store: the models to look at.
        milliseconds: measures how long the shipped classifier takes for a face crop; None: speed is left out.
    """
    versions = installed()
    looks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("Python", partial(python, sys.version_info[:3])),
        ("OpenCV", partial(opencv, versions)),
        ("Pillow", pillow),
        ("ONNX Runtime", onnx_runtime),
        ("telemetry", telemetry),
        ("models", partial(models, store)),
        ("cache", partial(cache, store.cache)),
        ("camera", camera),
        ("extras", partial(extras, versions, os.environ.get("KERAS_BACKEND", ""))),
    ]
    if milliseconds is not None:
        looks.append(("speed", partial(speed, milliseconds)))
    for topic, look in looks:
        try:
            yield from look()
        except Exception as error:  # noqa: BLE001  whatever is broken, the rest of the list is wanted
            yield Finding(topic, "fail", f"{type(error).__name__}: {error}", REINSTALL)


def installed() -> dict[str, str]:
    """Name (lower case) and version of every distribution that this Python sees."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return found


def python(version: Sequence[int]) -> Iterator[Finding]:
    """Whether this Python is one that mien is tested on."""
    words = ".".join(map(str, version))
    if (3, 11) <= tuple(version[:2]) < (3, 15):
        yield Finding("Python", "ok", words)
    else:
        yield Finding("Python", "fail", f"{words}; mien needs 3.11 to 3.14", "make an environment with Python 3.13")


def _cv2() -> Any:
    import cv2

    return cv2


def opencv(versions: Mapping[str, str], load: Callable[[], Any] = _cv2) -> Iterator[Finding]:
    """Whether there is one OpenCV, headless, of version 4, with its cascade files.

    Args:
        versions: distributions, as ``installed`` gives them.
        load: imports cv2.
    """
    there = [name for name in OPENCV if name in versions]
    fix = f"pip uninstall -y {' '.join(there)} && pip install 'opencv-python-headless>=4.12,<5'"
    if len(there) > 1:
        yield Finding("OpenCV", "fail", f"{' and '.join(there)} overwrite each other's files", fix)
    module = load()
    version = module.__version__
    if int(version.split(".")[0]) >= 5:
        yield Finding("OpenCV", "fail", f"{version} has no cascade classifier; mien needs version 4", fix)
        return
    if not (Path(module.data.haarcascades) / CASCADE).is_file():
        yield Finding("OpenCV", "fail", f"{version} lacks its cascade files", fix)
        return
    if any("headless" in name for name in there):
        yield Finding("OpenCV", "ok", f"{version}, headless, with cascades")
    else:
        detail = (
            f"{version} from {there[0] if there else 'outside pip'}, not headless: it brings its own window library"
        )
        yield Finding("OpenCV", "warn", detail, fix if there else "")


def _codec(name: str) -> bool:
    from PIL import features

    return bool(features.check(name))


def pillow(supports: Callable[[str], bool] = _codec) -> Iterator[Finding]:
    """Whether Pillow reads the formats that mien opens; GIF and BMP need no library.

    Args:
        supports: whether Pillow was built with a codec: "jpg", "zlib", "webp".
    """
    missing = [words for name, words in FORMATS if not supports(name)]
    if missing:
        fix = "pip install --force-reinstall --only-binary :all: Pillow"
        yield Finding("Pillow", "fail", f"built without {', '.join(missing)}", fix)
    else:
        yield Finding("Pillow", "ok", "reads JPEG, PNG, WebP, GIF and BMP")


def _onnxruntime() -> Any:
    import onnxruntime

    return onnxruntime


def onnx_runtime(load: Callable[[], Any] = _onnxruntime) -> Iterator[Finding]:
    """ONNX Runtime's version and where it can run.

    Args:
        load: imports onnxruntime.
    """
    module = load()
    providers = module.get_available_providers()
    state: Literal["ok", "fail"] = "ok" if "CPUExecutionProvider" in providers else "fail"
    names = ", ".join(name.removesuffix("ExecutionProvider") for name in providers) or "no provider"
    yield Finding("ONNX Runtime", state, f"{module.__version__}: {names}", "" if state == "ok" else REINSTALL)


def telemetry(home: Path | None = None) -> Iterator[Finding]:
    """Whether ONNX Runtime's telemetry is off, and whether an earlier import left its device id in the home directory.

    Args:
        home: the home directory; the user's if None.
    """
    off = os.environ.get("ORT_DISABLE_TELEMETRY") == "1"
    left = (home or Path.home()) / TELEMETRY_STORE
    if not off:
        detail = "ORT_DISABLE_TELEMETRY is not 1: ONNX Runtime may send usage data"
        yield Finding("telemetry", "fail", detail, "export ORT_DISABLE_TELEMETRY=1")
    elif left.exists():
        detail = f"off; {left} was left by an import of onnxruntime without mien"
        yield Finding("telemetry", "warn", detail, f"rm -r '{left}'")
    else:
        yield Finding("telemetry", "ok", "off (ORT_DISABLE_TELEMETRY=1, set by mien)")


def models(store: ModelStore) -> Iterator[Finding]:
    """Each model of the store: there with the right SHA-256, missing, or changed."""
    for check in store.verify():
        entry = store.entry(check.name)
        mend = f"mien models pull {entry.name}" if entry.url else REINSTALL
        topic = f"model {check.name}"
        if check.state == "ok":
            yield Finding(topic, "ok", f"{check.where}, SHA-256 right")
        elif check.state == "missing" and entry.url:
            yield Finding(topic, "warn", "not fetched yet", mend)
        elif check.where.parent == store.cache and not entry.url:
            yield Finding(topic, "fail", f"{check.where} is {check.state}", f"mien models add FILE --name {check.name}")
        else:
            yield Finding(topic, "fail", f"{check.where} is {check.state}", mend)


def cache(folder: Path) -> Iterator[Finding]:
    """Whether the folder for fetched models can be written, and has room."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("cache", "fail", f"{folder} can't be written ({error})", "name another folder in MIEN_CACHE")
        return
    detail = f"{folder}, {free / 1e9:.1f} GB free"
    if free < ENOUGH_DISK:
        yield Finding("cache", "warn", detail, "free some disk, or name another folder in MIEN_CACHE")
    else:
        yield Finding("cache", "ok", detail)


def _may_open(node: Path) -> bool:
    return os.access(node, os.R_OK | os.W_OK)


def camera(
    devices: Path = Path("/dev"), platform: str = sys.platform, may_open: Callable[[Path], bool] = _may_open
) -> Iterator[Finding]:
    """The cameras that the system lists. None is opened: that would turn its light on unasked.

    Args:
        devices: folder of the device nodes.
        platform: as ``sys.platform`` names it.
        may_open: whether this user may open a device node.
    """
    if not platform.startswith("linux"):
        yield Finding("camera", "ok", "not looked for: on this system only opening one shows it")
        return
    nodes = sorted(devices.glob("video[0-9]*"))
    usable = [str(node) for node in nodes if may_open(node)]
    if usable:
        yield Finding("camera", "ok", ", ".join(usable))
    elif nodes:
        fix = "sudo usermod -aG video $USER, then log in again"
        yield Finding("camera", "warn", f"{nodes[0]} is there but may not be opened", fix)
    else:
        yield Finding("camera", "warn", "none found; photos need none", "connect one to read faces live")


def extras(versions: Mapping[str, str], backend: str = "") -> Iterator[Finding]:
    """What the optional parts have, told from the lists of pip without importing any of it.

    Args:
        versions: distributions, as ``installed`` gives them.
        backend: the value of KERAS_BACKEND, "" where it is not set.
    """
    yield _training(versions, backend)
    for package, extra, what in OPTIONAL:
        if package in versions:
            yield Finding(what, "ok", f"{package} {versions[package]}")
        else:
            yield Finding(what, "ok", f"not installed ({package})", f"pip install 'mien[{extra}]'")


def _training(versions: Mapping[str, str], backend: str) -> Finding:
    if "keras" not in versions:
        return Finding("training", "ok", "not installed (keras)", "pip install 'mien[train]'")
    words = f"keras {versions['keras']}"
    there = {
        name: versions[package] for name, packages in BACKENDS for package in packages[::-1] if package in versions
    }
    if not there:
        return Finding("training", "warn", f"{words} without a backend", "pip install 'mien[train]'")
    if backend and backend not in there:
        fix = f"set KERAS_BACKEND to one of: {', '.join(there)}"
        return Finding("training", "warn", f"{words}, but KERAS_BACKEND names {backend}, which is not installed", fix)
    listed = ", ".join(f"{name} {version}" for name, version in there.items())
    return Finding("training", "ok", f"{words}, backends: {listed}")


def speed(milliseconds: Callable[[], float]) -> Iterator[Finding]:
    """How long the shipped classifier takes for one face crop."""
    took = milliseconds()
    detail = f"{took:.1f} ms a face crop"
    if took > SLOW_CROP:
        yield Finding("speed", "warn", detail, "close other programs")
    else:
        yield Finding("speed", "ok", detail)
