"""Nothing leaves the machine, and nothing is written beside the named output and mien's cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import mien

IMPORT_EVERYTHING = """
import importlib, pkgutil
import mien
from mien.training import prepare_backend
prepare_backend()
for module in pkgutil.walk_packages(mien.__path__, "mien."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name != "jax":  # an extra that the tests of the other backends lack
            raise
from mien.media.files import redirect_library_caches
redirect_library_caches()
for name in ("onnxruntime", "cv2", "ray.data", "optuna", "av", "matplotlib.font_manager"):
    importlib.import_module(name)
"""


def empty_home(folder):
    """An environment whose home, temporary and cache folders are new and empty."""
    spared = {"CI", "KERAS_HOME", "MPLCONFIGDIR", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"}
    # ONNX Runtime sends nothing where CI is set; coverage, where it measures, would import mien in every process
    kept = (item for item in os.environ.items() if item[0] not in spared and not item[0].startswith("COV"))
    variables = dict(kept)
    for name in ("home", "t", "cache"):  # a short name: Ray's sockets lie there, and theirs have 107 bytes
        (folder / name).mkdir()
    return variables | {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "t"),
        "MIEN_CACHE": str(folder / "cache"),
    }


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.train
def test_importing_everything_writes_nothing_into_the_home_directory(tmp_path):
    pytest.importorskip("ray", reason="Ray is one of the libraries that could write: pip install 'mien[scale]'")
    pytest.importorskip("optuna", reason="Optuna is another: pip install 'mien[search]'")
    command = [sys.executable, "-c", IMPORT_EVERYTHING]
    subprocess.run(command, check=True, env=empty_home(tmp_path), capture_output=True, timeout=300)
    assert files_in(tmp_path / "home") == []
    assert files_in(tmp_path / "t") == []


def test_onnx_runtime_without_mien_is_what_the_setting_is_for(tmp_path):
    """The test above can fail: a bare import of onnxruntime 1.31 or later does write."""
    import onnxruntime

    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 31):
        pytest.skip(f"onnxruntime {onnxruntime.__version__} has no telemetry on Linux")
    if not sys.platform.startswith("linux"):
        pytest.skip("its store is known on Linux only")
    command = [sys.executable, "-c", "import onnxruntime"]
    subprocess.run(command, check=True, env=empty_home(tmp_path), capture_output=True, timeout=120)
    assert any("DeveloperTools" in name for name in files_in(tmp_path / "home"))


INTERRUPTED = 130
CONNECTION = re.compile(r"(?:connect|sendto|sendmsg|sendmmsg)\(.*sin6?_port=htons\((\d+)\).*?\"([0-9a-f.:]+)\"")
LOCAL = ("127.", "::1", "::ffff:127.", "0.0.0.0", "::")


def connections_of(command, folder, timeout=600):
    """Addresses outside this machine that a command and its children connected or sent to, and name look-ups."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace: apt-get install strace")
    trace = folder / "trace"
    traced = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(trace), *command]
    done = subprocess.run(traced, check=False, env=empty_home(folder), capture_output=True, text=True, timeout=timeout)
    assert done.returncode in (0, INTERRUPTED), done.stderr
    found = (CONNECTION.search(line) for line in trace.read_text(errors="replace").splitlines())
    return {
        (host, port)
        for port, host in (match.groups() for match in found if match)
        if port == "53" or not host.startswith(LOCAL)
    }


@pytest.fixture(scope="module")
def portrait():
    return Path(mien.__file__).parent / "apps" / "portrait.jpg"


@pytest.fixture(scope="module")
def drawn_csv(tmp_path_factory):
    """42 faces of noise in FER2013's form: enough for a run of one epoch."""
    path, dice = tmp_path_factory.mktemp("data") / "drawn.csv", np.random.default_rng(0)
    lines = [
        f"{row % 7},{' '.join(map(str, dice.integers(0, 256, 48 * 48)))},{'Training' if row < 28 else 'PublicTest'}"
        for row in range(42)
    ]
    path.write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    return path


@pytest.mark.long
def test_a_look_up_is_seen(tmp_path):
    code = "import socket\ntry: socket.create_connection(('192.0.2.1', 9), 0.1)\nexcept OSError: pass"
    assert ("192.0.2.1", "9") in connections_of([sys.executable, "-c", code], tmp_path)


SERVED = """
import subprocess, sys, time, urllib.request
server = subprocess.Popen([sys.executable, "-m", "mien", "serve", "--port", "8931"])
try:
    for _ in range(300):
        try:
            urllib.request.urlopen("http://127.0.0.1:8931/readyz", timeout=2)
            break
        except OSError:
            time.sleep(0.1)
    body = open(sys.argv[1], "rb").read()
    request = urllib.request.Request("http://127.0.0.1:8931/v1/predict", body, {"Content-Type": "image/jpeg"})
    assert b"faces" in urllib.request.urlopen(request, timeout=60).read()
finally:
    server.terminate()
    server.wait(30)
"""


@pytest.mark.long
@pytest.mark.parametrize("job", ["predict", "batch", "ray", "train", "serve", "live"])
def test_no_command_connects_to_anything_outside(job, portrait, drawn_csv):
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        check_connections(Path(folder), job, portrait, drawn_csv)


def check_connections(tmp_path, job, portrait, drawn_csv):
    mien = [sys.executable, "-m", "mien"]
    commands = {
        "predict": [*mien, "predict", str(portrait), "--json"],
        "batch": [*mien, "predict", str(portrait), "--out", str(tmp_path / "faces.parquet")],
        "ray": [*mien, "predict", str(portrait), "--out", str(tmp_path / "faces.parquet"), "--engine", "ray"],
        "train": [
            *mien,
            "train",
            "--data",
            str(drawn_csv),
            "--arch",
            "two-conv",
            "--epochs",
            "1",
            "--out",
            str(tmp_path / "run"),
        ],
        "serve": [sys.executable, "-c", SERVED, str(portrait)],
        "live": [
            "xvfb-run",
            "-a",
            "timeout",
            "--preserve-status",
            "-s",
            "INT",
            "8",
            *mien,
            "live",
            "--video",
            str(portrait),
        ],
    }
    if job == "live" and shutil.which("xvfb-run") is None:
        pytest.skip("needs Xvfb: apt-get install xvfb")
    assert connections_of(commands[job], tmp_path) == set()
