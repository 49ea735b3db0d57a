"""Weights from Keras' cache, from a server on this machine, or from a file; never from elsewhere."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import numpy as np
from pretrained import SMALL, base_weights, with_top, write_weights

from mien.errors import FetchError, TrainingError
from mien.training.architectures import NetworkShape, build
from mien.training.architectures.pretrained import backbone_of
from mien.training.transfer.backbones import BACKBONES
from mien.training.transfer.imagenet_weights import load_backbone, weights_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.train

CONTENT = b"weights"
NOWHERE = "http://127.0.0.1:9/"
FAMILY = replace(BACKBONES[SMALL], url="net/notop.h5", md5=hashlib.md5(CONTENT).hexdigest())


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the folder ``served``, with the file that the family names."""
    (tmp_path / "served" / "net").mkdir(parents=True)
    (tmp_path / "served" / "net" / "notop.h5").write_bytes(CONTENT)
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "small.h5")


def test_weights_in_keras_cache_are_taken_from_there(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "notop.h5").write_bytes(CONTENT)
    assert weights_file("imagenet", FAMILY, pytest.fail, NOWHERE) == cache / "notop.h5"


def test_weights_are_fetched_into_keras_cache(cache: Path, server: str, capfd: pytest.CaptureFixture[str]) -> None:
    messages: list[str] = []
    assert weights_file("imagenet", FAMILY, messages.append, server).read_bytes() == CONTENT
    assert messages == [f"fetching {server}net/notop.h5 to {cache / 'notop.h5'}"]
    assert capfd.readouterr().out == ""
    assert weights_file("imagenet", FAMILY, pytest.fail, NOWHERE) == cache / "notop.h5"


@pytest.mark.parametrize("change", [{"url": "net/other.h5"}, {"md5": "0" * 32}], ids=["missing", "wrong bytes"])
def test_a_failed_download_names_the_file_and_its_place(change: dict[str, str], cache: Path, server: str) -> None:
    family = replace(FAMILY, **change)
    name = family.url.removeprefix("net/")
    with pytest.raises(FetchError) as refused:
        weights_file("imagenet", family, print, server)
    for part in (str(cache / name), f"{server}net/{name}", "--weights FILE", "--weights none"):
        assert part in str(refused.value)
    assert not (cache / name).exists()


def test_a_changed_file_in_the_cache_is_neither_used_nor_replaced(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "notop.h5").write_bytes(b"others")
    with pytest.raises(TrainingError, match="Remove the file"):
        weights_file("imagenet", FAMILY, pytest.fail, NOWHERE)
    assert (cache / "notop.h5").read_bytes() == b"others"


@pytest.mark.parametrize("name", ["absent.h5", "folder.h5", "weights.pt", "model.keras"])
def test_a_path_that_is_no_h5_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "weights.pt").touch()
    (tmp_path / "model.keras").touch()
    with pytest.raises(TrainingError, match="expected weights as"):
        weights_file(str(tmp_path / name), FAMILY, pytest.fail)


def test_a_file_in_the_published_form_gives_each_layer_its_weights(written: Path) -> None:
    """The statistics of batch normalisation differ in every layer, so a mix-up would show."""
    model = build(SMALL, NetworkShape(24, 3, (("own", 7),)))
    load_backbone(backbone_of(model), written, BACKBONES[SMALL])
    import h5py

    with h5py.File(written) as file:
        for layer, weights in base_weights(model).items():
            stored = [file[layer][name] for name in file[layer].attrs["weight_names"]]
            assert len(stored) == len(weights)
            for one, other in zip(weights, stored, strict=True):
                np.testing.assert_array_equal(one, other)


def test_other_weights_are_refused(written: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.h5").write_bytes(written.read_bytes()[:-100_000])
    (tmp_path / "text.h5").write_text("no weights")
    base = backbone_of(build(SMALL, NetworkShape(24, 1, (("own", 7),))))
    for path in (with_top(tmp_path / "top.h5"), tmp_path / "cut.h5", tmp_path / "text.h5"):
        with pytest.raises(TrainingError, match=r"without its top; .*weights_mobilenet_v3_small_224_1.0_float_no_top"):
            load_backbone(base, path, BACKBONES[SMALL])
    with pytest.raises(TrainingError, match="MobileNet "):
        load_backbone(
            backbone_of(build("mobilenet", NetworkShape(24, 1, (("own", 7),)))), written, BACKBONES["mobilenet"]
        )
