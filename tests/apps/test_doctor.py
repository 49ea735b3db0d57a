import hashlib
import sys
from types import SimpleNamespace

import pytest

from mien.apps.doctor import (
    TELEMETRY_STORE,
    CheckResult,
    cache,
    camera,
    checks,
    extras,
    installed,
    models,
    onnx_runtime,
    opencv,
    pillow,
    pyav,
    python,
    speed,
    telemetry,
)
from mien.errors import install_command, reinstall_command
from mien.media.opencv import CASCADE
from mien.models.manifest import Entry, to_json
from mien.models.store import MANIFEST, ModelStore

HEADLESS = {"opencv-python-headless": "4.14.0"}
CONTENT = b"\x08\x08 a model"


def raising(error):
    def load():
        raise error

    return load


def states(results):
    return [result.state for result in results]


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 14, 2), "ok"), ((3, 15, 0), "fail"), ((4, 0, 0), "fail")],
)
def test_python(version, state):
    assert states(python(version)) == [state]


@pytest.fixture
def cv2(tmp_path):
    (tmp_path / CASCADE).write_text("<cascade/>")
    return lambda version="4.14.0", folder=tmp_path, **parts: (
        lambda: SimpleNamespace(__version__=version, data=SimpleNamespace(haarcascades=str(folder) + "/"), **parts)
    )


class TestOpenCv:
    @pytest.mark.parametrize(
        ("versions", "expected", "part"),
        [
            (HEADLESS, ["ok"], "headless, with cascades"),
            ({"opencv-contrib-python-headless": "4.14.0"}, ["ok"], "headless"),
            ({"opencv-python": "4.14.0"}, ["warn"], "from opencv-python, not headless"),
            ({}, ["warn"], "from outside pip"),
            ({**HEADLESS, "opencv-python": "4.14.0"}, ["fail", "ok"], "with cascades"),
        ],
    )
    def test_the_distributions(self, cv2, versions, expected, part):
        results = list(opencv(versions, cv2(CascadeClassifier=object)))
        assert states(results) == expected
        assert part in results[-1].detail

    def test_two_distributions_are_both_named_and_the_fix_removes_both(self, cv2):
        result = next(opencv({**HEADLESS, "opencv-python": "4.14.0"}, cv2(CascadeClassifier=object)))
        assert result.detail.startswith("opencv-python-headless and opencv-python overwrite")
        assert "pip uninstall -y opencv-python-headless opencv-python &&" in result.fix

    def test_version_5(self, cv2):
        (result,) = opencv(HEADLESS, cv2("5.0.0"))
        assert (result.state, result.detail) == ("fail", "has no cascade classifier in version 5.0.0")
        assert "opencv-python-headless>=4.12.0.88,<5" in result.fix

    def test_cascades_missing(self, cv2, tmp_path):
        (result,) = opencv(HEADLESS, cv2(folder=tmp_path / "elsewhere", CascadeClassifier=object))
        assert (result.state, result.detail) == ("fail", "lacks its cascade files in version 4.14.0")

    def test_none_is_no_fault(self):
        (result,) = opencv({}, raising(ModuleNotFoundError("No module named 'cv2'")))
        assert (result.state, result.detail) == ("ok", "not installed; only Haar cascades and training need it")
        assert result.fix.startswith("pip install ")

    def test_one_that_cannot_be_imported_is_one_line(self):
        (result,) = opencv(HEADLESS, raising(ImportError("libGL.so.1: cannot open\nA module was compiled for NumPy 1")))
        assert (result.state, result.detail) == ("fail", "can't be imported (libGL.so.1: cannot open)")
        assert result.fix.startswith("pip uninstall -y opencv-python-headless && pip install ")


class TestPyAv:
    @pytest.mark.parametrize("without", [(), ("h264",), ("hevc", "vp9")])
    def test_its_decoders(self, without):
        codecs = {"h264", "hevc", "vp9", "mpeg4", "mjpeg"} - {*without}
        (result,) = pyav(lambda: SimpleNamespace(__version__="18.1.0", codecs_available=codecs))
        assert result.state == ("fail" if without else "ok")
        assert result.fix == ("pip install --force-reinstall --only-binary :all: av" if without else "")

    def test_one_that_cannot_be_imported(self):
        (result,) = pyav(raising(ImportError("libavcodec.so.62: cannot open shared object file")))
        assert (result.state, result.fix) == ("fail", "pip install --force-reinstall --only-binary :all: av")
        assert "libavcodec.so.62" in result.detail


def test_pillow_names_the_formats_it_lacks():
    assert states(pillow(lambda name: True)) == ["ok"]
    (result,) = pillow(lambda name: name == "jpg")
    assert (result.state, result.detail) == ("fail", "built without PNG, WebP")


@pytest.mark.parametrize(
    ("providers", "state", "detail"),
    [
        (["CUDAExecutionProvider", "CPUExecutionProvider"], "ok", "1.31: CUDA, CPU"),
        ([], "fail", "1.31: no provider"),
    ],
)
def test_onnx_runtime(providers, state, detail):
    module = SimpleNamespace(__version__="1.31", get_available_providers=lambda: providers)
    (result,) = onnx_runtime(lambda: module)
    assert (result.state, result.detail) == (state, detail)


@pytest.mark.parametrize(
    ("value", "store", "state"), [("1", False, "ok"), ("1", True, "warn"), ("0", False, "fail"), ("", True, "fail")]
)
def test_telemetry_is_off_or_its_fix_is_printed(tmp_path, monkeypatch, value, store, state):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", value)
    if store:
        (tmp_path / TELEMETRY_STORE).mkdir(parents=True)
    (result,) = telemetry(tmp_path)
    assert result.state == state
    assert bool(result.fix) == (state != "ok")


@pytest.fixture
def store(tmp_path):
    digest = hashlib.sha256(CONTENT).hexdigest()
    entries = [
        Entry("near", "classifier", "near.onnx", len(CONTENT), digest),
        Entry("far", "detector", "far.onnx", len(CONTENT), digest, url="https://127.0.0.1:9/far.onnx"),
    ]
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / MANIFEST).write_text(to_json(entries))
    (tmp_path / "shipped" / "near.onnx").write_bytes(CONTENT)
    return ModelStore(tmp_path / "shipped", tmp_path / "cache")


class TestModels:
    def test_a_model_that_was_not_fetched_is_a_warning_with_its_command(self, store):
        near, far = models(store)
        assert near.state == "ok"
        assert far == CheckResult("model far", "warn", "not downloaded", "mien models pull far")

    def test_a_changed_file_is_a_failure(self, store, tmp_path):
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "far.onnx").write_bytes(CONTENT[::-1])
        (tmp_path / "shipped" / "near.onnx").write_bytes(CONTENT[::-1])
        near, far = models(store)
        assert (near.state, near.fix) == ("fail", reinstall_command())
        assert (far.state, far.fix) == ("fail", "mien models pull far")
        assert far.detail.endswith("far.onnx is changed")

    def test_a_model_of_the_users_own_is_added_again(self, store, tmp_path):
        (tmp_path / "cache").mkdir()
        own = Entry("own", "classifier", "own-1.onnx", 5, "0" * 64)
        (tmp_path / "cache" / "added.json").write_text(to_json([own]))
        result = list(models(store))[-1]
        assert (result.state, result.fix) == ("fail", "mien models add FILE --name own")


def test_the_cache_is_writable_and_left_empty(tmp_path):
    (result,) = cache(tmp_path / "new")
    assert result.state in ("ok", "warn")
    assert "GB free" in result.detail
    assert list((tmp_path / "new").iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (result,) = cache(tmp_path / "file" / "cache")
    assert (result.state, result.fix) == ("fail", "set MIEN_CACHE to another folder")


@pytest.mark.parametrize(
    ("nodes", "platform", "state", "part"),
    [
        ([], "linux", "warn", "none found"),
        (["video0", "video1", "video-notes"], "linux", "ok", "video0"),
        ([], "darwin", "ok", "not checked"),
        ([], "win32", "ok", "not checked"),
    ],
)
def test_camera(tmp_path, nodes, platform, state, part):
    for node in nodes:
        (tmp_path / node).write_bytes(b"")
    (result,) = camera(tmp_path, platform)
    assert result.state == state
    assert part in result.detail
    assert "notes" not in result.detail


def test_a_camera_that_this_user_may_not_open(tmp_path):
    (tmp_path / "video0").write_bytes(b"")
    (result,) = camera(tmp_path, "linux", lambda node: False)
    assert (result.state, result.fix) == ("warn", "sudo usermod -aG video $USER, then log in again")


@pytest.mark.parametrize(
    ("versions", "backend", "state", "detail", "fix"),
    [
        ({}, "", "ok", "not installed (keras)", install_command("train", "keras")),
        ({"keras": "3.15"}, "", "warn", "keras 3.15 without a backend", install_command("train", "keras")),
        ({"keras": "3.15", "tensorflow-cpu": "2.20"}, "", "ok", "keras 3.15, backends: tensorflow 2.20", ""),
        ({"keras": "3.15", "torch": "2.13"}, "torch", "ok", "keras 3.15, backends: torch 2.13", ""),
        ({"keras": "3.15", "torch": "2.13"}, "", "ok", "keras 3.15, backends: torch 2.13", ""),
        (
            {"keras": "3.15", "torch": "2.13", "jax": "0.5"},
            "tensorflow",
            "warn",
            "keras 3.15, but KERAS_BACKEND names tensorflow, which is not installed",
            "set KERAS_BACKEND to one of: torch, jax",
        ),
    ],
)
def test_training(versions, backend, state, detail, fix):
    assert next(extras(versions, backend)) == CheckResult("training", state, detail, fix)


def test_the_other_extras_are_no_fault_when_absent():
    _, parquet, plots, *_ = extras({"pyarrow": "20.0"})
    assert parquet == CheckResult("Parquet tables", "ok", "pyarrow 20.0")
    assert plots == CheckResult("plots", "ok", "not installed (matplotlib)", install_command("plots", "matplotlib"))


@pytest.mark.parametrize(("took", "state"), [(2.04, "ok"), (80.0, "warn")])
def test_speed(took, state):
    (result,) = speed(lambda: took)
    assert (result.state, result.detail) == (state, f"{took:.1f} ms per face crop")


def test_what_is_installed_includes_what_runs_this_test():
    assert installed()["pytest"] == pytest.__version__


class TestAll:
    def test_this_machine_can_run_mien(self, store):
        results = list(checks(store, lambda: 2.0))
        assert {"Python", "Pillow", "PyAV", "OpenCV", "ONNX Runtime", "telemetry", "cache", "camera", "speed"} <= {
            f.topic for f in results
        }
        assert [result for result in results if result.state == "fail"] == []

    def test_without_a_classifier_speed_is_left_out(self, store):
        assert "speed" not in {result.topic for result in checks(store)}

    def test_a_check_that_breaks_is_a_result_and_the_rest_follows(self, store, tmp_path):
        def breaks():
            raise RuntimeError("no such session")

        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "added.json").write_text("{torn")
        results = {result.topic: result for result in checks(store, breaks)}
        assert results["models"].state == "fail"
        assert "added.json" in results["models"].detail
        assert results["camera"].state in ("ok", "warn")
        assert results["speed"].detail == "RuntimeError: no such session"

    def test_no_training_library_is_imported(self, store):
        before = set(sys.modules)
        list(checks(store))
        assert not {"keras", "tensorflow", "torch", "jax"} & (set(sys.modules) - before)
