"""Run directories whose files hold anything: the older whole checkpoint is used, or an error says what is wrong."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mien.errors import MienError, TrainingError
from mien.training.config import TrainingConfig
from mien.training.run.checkpoint import MANIFEST, STATE, Checkpoint, Checkpoints, TrainState
from mien.training.run.directory import CONFIG, RUN_INFO, RunInfo, Source, read_run, read_run_info
from mien.training.run.history import HISTORY, Epoch, HeadScore, read_history, write_history

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEEP = 200_000
RUN = RunInfo(
    "compact",
    "jax",
    1000,
    2000,
    "drawn",
    "ab",
    90,
    10,
    (("own", ("a", "b")),),
    "2026-12-01",
    (("mien", "0.2"),),
    Source(),
)


def epoch(number: int) -> Epoch:
    return Epoch(number, 0.5, 0.5, (HeadScore("own", 0.5, 0.4, 0.7),), 1e-3, 1.5, 700.0, 0.01)


def checkpoint(epochs: int) -> Checkpoint:
    values = {"0000 kernel": np.full(3, epochs, np.float32)}
    state = TrainState(tuple(map(epoch, range(1, epochs + 1))))
    return Checkpoint(state, {"model": values, "optimizer": values, "best": values})


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    kept = Checkpoints(tmp_path / "checkpoints")
    kept.save(checkpoint(1))
    kept.save(checkpoint(2))
    return kept


def with_part(folder: Path, name: str, content: bytes | None) -> None:
    """Write a part of a checkpoint under its right hash; None takes it out."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["sha256"].pop(name)
    if content is not None:
        (folder / name).write_bytes(content)
        manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def with_manifest(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        (folder / MANIFEST).write_text(json.dumps(change(json.loads((folder / MANIFEST).read_bytes()))))

    return harm


def pipe_in_place_of(name: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return harm


def state_of(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        with_part(folder, STATE, json.dumps(change(json.loads((folder / STATE).read_bytes()))).encode())

    return harm


HARMS: dict[str, Callable[[Path], None]] = {
    "a manifest of lists nested 200,000 deep": lambda folder: void((folder / MANIFEST).write_text("[" * DEEP)),
    "a manifest of objects nested 200,000 deep": lambda folder: void((folder / MANIFEST).write_text('{"a":' * DEEP)),
    "a closed manifest nested 200,000 deep": lambda folder: void(
        (folder / MANIFEST).write_text("[" * DEEP + "]" * DEEP)
    ),
    "a manifest that is a list": with_manifest(lambda manifest: [manifest]),
    "a manifest that is empty": with_manifest(lambda _: {}),
    "a manifest without a list of files": with_manifest(lambda manifest: manifest | {"sha256": 5}),
    "a manifest without files": with_manifest(lambda manifest: manifest | {"sha256": {}}),
    "hashes that are numbers": with_manifest(
        lambda manifest: manifest | {"sha256": dict.fromkeys(manifest["sha256"], 5)}
    ),
    "a file of another folder": with_manifest(
        lambda manifest: manifest | {"sha256": manifest["sha256"] | {"../../outside.npz": "0" * 64}}
    ),
    "a manifest of 17 MB": lambda folder: void((folder / MANIFEST).write_text(" " * 17_000_000)),
    "a state nested 200,000 deep": lambda folder: with_part(folder, STATE, b"[" * DEEP),
    "a state that is a list": state_of(lambda state: [state]),
    "steps that are a text": state_of(lambda state: state | {"step": "5"}),
    "a history that is a number": state_of(lambda state: state | {"history": 5}),
    "an epoch that is a number": state_of(lambda state: state | {"history": [5]}),
    "a further field": state_of(lambda state: state | {"further": 1}),
    "weights that are no archive": lambda folder: with_part(folder, "model.npz", b"PK\x03\x04" + bytes(100)),
    "no weights": lambda folder: with_part(folder, "model.npz", None),
    "no best weights": lambda folder: with_part(folder, "best.npz", None),
}
if hasattr(os, "mkfifo"):
    HARMS |= {f"a pipe in place of {name}": pipe_in_place_of(name) for name in (MANIFEST, STATE, "model.npz")}


def void(_: int) -> None:
    """Drops a result."""


@pytest.mark.parametrize("kind", HARMS)
def test_the_older_whole_checkpoint_is_used(checkpoints: Checkpoints, tmp_path: Path, kind: str) -> None:
    HARMS[kind](tmp_path / "checkpoints" / "epoch-0002")
    messages: list[str] = []
    used = checkpoints.newest(messages.append)
    assert used is not None
    assert used.state == checkpoint(1).state
    assert len(messages) == 1
    assert "skipped for the one before" in messages[0]


@pytest.mark.parametrize("kind", HARMS)
def test_without_a_whole_one_an_error_says_so(checkpoints: Checkpoints, tmp_path: Path, kind: str) -> None:
    for name in ("epoch-0001", "epoch-0002"):
        HARMS[kind](tmp_path / "checkpoints" / name)
    with pytest.raises(TrainingError, match="all 2 are damaged"):
        checkpoints.newest(lambda _: None)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    pytest.importorskip("tomli_w", reason="writes the config: pip install 'mien[train]'")
    RUN.save(tmp_path)
    write_history(tmp_path, [epoch(1), epoch(2)])
    TrainingConfig().save(tmp_path / CONFIG)
    return tmp_path


def test_the_run_is_read_while_its_files_are_whole(run: Path) -> None:
    record = read_run(run)
    assert record.run_info == RUN
    assert record.history == (epoch(1), epoch(2))


FILES = {
    "run.json nested 200,000 deep": (RUN_INFO, "[" * DEEP),
    "run.json of objects nested 200,000 deep": (RUN_INFO, '{"heads":' * DEEP),
    "an empty run.json": (RUN_INFO, ""),
    "run.json of a number": (RUN_INFO, "5"),
    "a source that is a number": (RUN_INFO, json.dumps({"heads": {}, "versions": {}, "source": 5})),
    "heads that are a list": (RUN_INFO, json.dumps({"heads": [], "versions": {}, "source": {}})),
    "run.json in another encoding": (RUN_INFO, "\ud800"),
    "history.jsonl nested 200,000 deep": (HISTORY, "[" * DEEP + "\n"),
    "an epoch that is a list": (HISTORY, "[]\n"),
    "an epoch without numbers": (HISTORY, '{"number": "1"}\n'),
    "config.toml nested 200,000 deep": (CONFIG, "epochs = " + "[" * DEEP),
    "an epoch count that is a list": (CONFIG, "epochs = [[1]]\n"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_run_that_cannot_be_read_is_an_error_of_one_line(run: Path, kind: str) -> None:
    name, text = FILES[kind]
    (run / name).write_text(text, errors="surrogatepass")
    with pytest.raises(TrainingError, match="can't be read") as raised:
        read_run(run)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1500


@pytest.mark.parametrize("kind", [kind for kind, (name, _) in FILES.items() if name == RUN_INFO])
def test_run_json_alone_is_an_error_too(run: Path, kind: str) -> None:
    (run / RUN_INFO).write_text(FILES[kind][1], errors="surrogatepass")
    with pytest.raises(MienError, match=RUN_INFO):
        read_run_info(run)


def test_a_history_alone_is_an_error_too(run: Path) -> None:
    (run / HISTORY).write_text("[" * DEEP)
    with pytest.raises(MienError, match=HISTORY):
        read_history(run)
