"""Checks of an installation: what works, what is missing, and the command that fixes it. The CLI prints them."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.errors import install_command, reinstall_command
from mien.media import opencv as cascades

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mien.models.store import ModelStore

FORMATS = (("jpg", "JPEG"), ("zlib", "PNG"), ("webp", "WebP"))
DECODERS = (("h264", "H.264"), ("hevc", "HEVC"), ("vp9", "VP9"), ("mpeg4", "MPEG-4"), ("mjpeg", "Motion JPEG"))
WHEEL = "pip install --force-reinstall --only-binary :all:"
BACKENDS = (("tensorflow", ("tensorflow", "tensorflow-cpu")), ("torch", ("torch",)), ("jax", ("jax",)))
TELEMETRY_STORE = ".cache/Microsoft/DeveloperTools/.onnxruntime"
"""Where ONNX Runtime 1.31 and later keep a device id and events, under the home directory."""

MIN_FREE_BYTES = 500_000_000
SLOW_CROP_MS = 50.0
OPTIONAL = (
    ("pyarrow", "parquet", "Parquet tables"),
    ("matplotlib", "plots", "plots"),
    ("ray", "scale", "many machines, with Ray Data"),
    ("tensorboard", "tensorboard", "logs for TensorBoard"),
    ("optuna", "search", "hyperparameter search"),
    ("fastapi", "serve", "web page and HTTP API"),
    ("pillow-heif", "heic", "HEIC images"),
)
"""Package, extra, and purpose."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: its topic, state, detail, and the fix ("" where none is needed)."""

    topic: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


def checks(store: ModelStore, milliseconds: Callable[[], float] | None = None) -> Iterator[CheckResult]:
    """Run every check on this machine; a check that raises is a result too.

    No camera is opened and no training library is imported.

    Args:
        store: the models to check.
        milliseconds: measures the latency of the shipped classifier for a face crop; None skips that check.
    """
    versions = installed()
    steps: list[tuple[str, Callable[[], Iterator[CheckResult]]]] = [
        ("Python", partial(python, sys.version_info[:3])),
        ("Pillow", pillow),
        ("PyAV", pyav),
        ("ONNX Runtime", onnx_runtime),
        ("telemetry", telemetry),
        ("models", partial(models, store)),
        ("cache", partial(cache, store.cache)),
        ("camera", camera),
        ("OpenCV", partial(opencv, versions)),
        ("extras", partial(extras, versions, os.environ.get("KERAS_BACKEND", ""))),
    ]
    if milliseconds is not None:
        steps.append(("speed", partial(speed, milliseconds)))
    for topic, step in steps:
        try:
            yield from step()
        except Exception as error:  # noqa: BLE001  one broken check must not hide the others
            yield CheckResult(topic, "fail", f"{type(error).__name__}: {error}", reinstall_command())


def installed() -> dict[str, str]:
    """Name (lower case) and version of every distribution installed for this Python."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return found


def python(version: Sequence[int]) -> Iterator[CheckResult]:
    """Check that mien is tested on this Python."""
    dotted = ".".join(map(str, version))
    if (3, 11) <= tuple(version[:2]) < (3, 15):
        yield CheckResult("Python", "ok", dotted)
    else:
        yield CheckResult(
            "Python", "fail", f"{dotted}; mien needs 3.11 to 3.14", "create an environment with Python 3.13"
        )


def _codec(name: str) -> bool:
    from PIL import features

    return bool(features.check(name))


def pillow(supports: Callable[[str], bool] = _codec) -> Iterator[CheckResult]:
    """Check that Pillow reads the formats that mien opens; GIF and BMP need no library.

    Args:
        supports: whether Pillow was built with a codec: "jpg", "zlib", "webp".
    """
    missing = [format_name for codec, format_name in FORMATS if not supports(codec)]
    if missing:
        yield CheckResult("Pillow", "fail", f"built without {', '.join(missing)}", f"{WHEEL} Pillow")
    else:
        yield CheckResult("Pillow", "ok", "reads JPEG, PNG, WebP, GIF and BMP")


def _av() -> Any:
    import av

    return av


def pyav(load: Callable[[], Any] = _av) -> Iterator[CheckResult]:
    """Check PyAV, which reads and writes videos: its version and decoders.

    Args:
        load: imports av.
    """
    try:
        module = load()
    except ImportError as error:
        yield CheckResult("PyAV", "fail", f"can't be imported ({cascades.first_line(error)})", f"{WHEEL} av")
        return
    missing = [name for decoder, name in DECODERS if decoder not in module.codecs_available]
    if missing:
        yield CheckResult("PyAV", "fail", f"{module.__version__}, built without {', '.join(missing)}", f"{WHEEL} av")
    else:
        names = ", ".join(name for _, name in DECODERS)
        yield CheckResult("PyAV", "ok", f"{module.__version__}: decodes {names} and more")


def _onnxruntime() -> Any:
    import onnxruntime

    return onnxruntime


def onnx_runtime(load: Callable[[], Any] = _onnxruntime) -> Iterator[CheckResult]:
    """Check ONNX Runtime: its version and execution providers.

    Args:
        load: imports onnxruntime.
    """
    module = load()
    providers = module.get_available_providers()
    state: Literal["ok", "fail"] = "ok" if "CPUExecutionProvider" in providers else "fail"
    names = ", ".join(name.removesuffix("ExecutionProvider") for name in providers) or "no provider"
    yield CheckResult(
        "ONNX Runtime", state, f"{module.__version__}: {names}", "" if state == "ok" else f"{WHEEL} onnxruntime"
    )


def telemetry(home: Path | None = None) -> Iterator[CheckResult]:
    """Check that ONNX Runtime's telemetry is off and left no device id in the home directory.

    Args:
        home: the home directory; the user's if None.
    """
    off = os.environ.get("ORT_DISABLE_TELEMETRY") == "1"
    left = (home or Path.home()) / TELEMETRY_STORE
    if not off:
        detail = "ORT_DISABLE_TELEMETRY is not 1: ONNX Runtime may send usage data"
        yield CheckResult("telemetry", "fail", detail, "export ORT_DISABLE_TELEMETRY=1")
    elif left.exists():
        detail = f"off; {left} was left by onnxruntime when it ran without mien"
        yield CheckResult("telemetry", "warn", detail, f"rm -r '{left}'")
    else:
        yield CheckResult("telemetry", "ok", "off (ORT_DISABLE_TELEMETRY=1, set by mien)")


def models(store: ModelStore) -> Iterator[CheckResult]:
    """Check each model of the store: installed with the right SHA-256, missing, or changed."""
    for check in store.verify():
        entry = store.entry(check.name)
        fix = f"mien models pull {entry.name}" if entry.url else reinstall_command()
        topic = f"model {check.name}"
        if check.state == "ok":
            yield CheckResult(topic, "ok", f"{check.where}, SHA-256 matches")
        elif check.state == "missing" and entry.url:
            yield CheckResult(topic, "warn", "not downloaded", fix)
        elif check.where.parent == store.cache and not entry.url:
            yield CheckResult(
                topic, "fail", f"{check.where} is {check.state}", f"mien models add FILE --name {check.name}"
            )
        else:
            yield CheckResult(topic, "fail", f"{check.where} is {check.state}", fix)


def cache(folder: Path) -> Iterator[CheckResult]:
    """Check that the folder for downloaded models is writable and has free space."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        yield CheckResult("cache", "fail", f"{folder} can't be written ({error})", "set MIEN_CACHE to another folder")
        return
    detail = f"{folder}, {free / 1e9:.1f} GB free"
    if free < MIN_FREE_BYTES:
        yield CheckResult("cache", "warn", detail, "free some disk space, or set MIEN_CACHE to another folder")
    else:
        yield CheckResult("cache", "ok", detail)


def _may_open(node: Path) -> bool:
    return os.access(node, os.R_OK | os.W_OK)


def camera(
    devices: Path = Path("/dev"), platform: str = sys.platform, may_open: Callable[[Path], bool] = _may_open
) -> Iterator[CheckResult]:
    """List the cameras of the system. None is opened: that would switch on its light.

    Args:
        devices: folder of the device nodes.
        platform: ``sys.platform``.
        may_open: whether this user may open a device node.
    """
    if not platform.startswith("linux"):
        yield CheckResult("camera", "ok", "not checked: this system lists cameras only by opening them")
        return
    nodes = sorted(devices.glob("video[0-9]*"))
    usable = [str(node) for node in nodes if may_open(node)]
    if usable:
        yield CheckResult("camera", "ok", ", ".join(usable))
    elif nodes:
        fix = "sudo usermod -aG video $USER, then log in again"
        yield CheckResult("camera", "warn", f"no permission to open {nodes[0]}", fix)
    else:
        yield CheckResult("camera", "warn", "none found; photos and videos need none", "connect one for mien live")


def _cv2() -> Any:
    return importlib.import_module("cv2")


def opencv(versions: Mapping[str, str], load: Callable[[], Any] = _cv2) -> Iterator[CheckResult]:
    """Check that OpenCV, where there is one, is the right one: headless, version 4, with its cascade files.

    Args:
        versions: distributions, from ``installed``.
        load: imports cv2.
    """
    found = [name for name in cascades.DISTRIBUTIONS if name in versions]
    fix = cascades.mending_command(found)
    if len(found) > 1:
        yield CheckResult("OpenCV", "fail", f"{' and '.join(found)} overwrite each other's files", fix)
    try:
        module = load()
    except Exception as error:  # noqa: BLE001  a wheel for another system or NumPy fails in any way
        if found:
            yield CheckResult("OpenCV", "fail", f"can't be imported ({cascades.first_line(error)})", fix)
        else:
            purpose = "not installed; only Haar cascades and training need it"
            yield CheckResult("OpenCV", "ok", purpose, install_command("opencv", cascades.HEADLESS))
        return
    fault = cascades.fault_of(module)
    if fault:
        yield CheckResult("OpenCV", "fail", fault, fix)
    elif any("headless" in name for name in found):
        yield CheckResult("OpenCV", "ok", f"{module.__version__}, headless, with cascades")
    else:
        origin = found[0] if found else "outside pip"
        detail = f"{module.__version__} from {origin}, not headless: it includes its own window library"
        yield CheckResult("OpenCV", "warn", detail, fix if found else "")


def extras(versions: Mapping[str, str], backend: str = "") -> Iterator[CheckResult]:
    """List the optional dependencies from pip's metadata, without importing any.

    Args:
        versions: distributions, from ``installed``.
        backend: the value of KERAS_BACKEND, "" if it is not set.
    """
    yield _training(versions, backend)
    for package, extra, purpose in OPTIONAL:
        if package in versions:
            yield CheckResult(purpose, "ok", f"{package} {versions[package]}")
        else:
            yield CheckResult(purpose, "ok", f"not installed ({package})", install_command(extra, package))


def _training(versions: Mapping[str, str], backend: str) -> CheckResult:
    if "keras" not in versions:
        return CheckResult("training", "ok", "not installed (keras)", install_command("train", "keras"))
    keras = f"keras {versions['keras']}"
    backends = {
        name: versions[package] for name, packages in BACKENDS for package in packages[::-1] if package in versions
    }
    if not backends:
        return CheckResult("training", "warn", f"{keras} without a backend", install_command("train", "tensorflow"))
    if backend and backend not in backends:
        fix = f"set KERAS_BACKEND to one of: {', '.join(backends)}"
        return CheckResult(
            "training", "warn", f"{keras}, but KERAS_BACKEND names {backend}, which is not installed", fix
        )
    listed = ", ".join(f"{name} {version}" for name, version in backends.items())
    return CheckResult("training", "ok", f"{keras}, backends: {listed}")


def speed(milliseconds: Callable[[], float]) -> Iterator[CheckResult]:
    """Check the latency of the shipped classifier for one face crop."""
    latency = milliseconds()
    detail = f"{latency:.1f} ms per face crop"
    if latency > SLOW_CROP_MS:
        yield CheckResult("speed", "warn", detail, "close other programs")
    else:
        yield CheckResult("speed", "ok", detail)
