"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import stat
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.media.files import UniqueNames, atomic_write, is_stream, sha256_of, timestamped_path, write_bytes, write_text


def test_a_file_is_there_when_the_block_ends(tmp_path):
    with atomic_write(tmp_path / "deep" / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "deep" / "a.txt").exists()
    assert (tmp_path / "deep" / "a.txt").read_text() == "whole"


def test_a_block_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "a.txt") as temporary:  # noqa: PT012  the block is the test
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "last.weights.h5", "." + "b" * 254, "x." + "c" * 253])
def test_any_name_that_the_system_takes_can_be_written(tmp_path, name):
    write_bytes(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"


def test_the_temporary_name_keeps_the_suffixes_that_libraries_look_at(tmp_path):
    with atomic_write(tmp_path / "last.weights.h5") as temporary:
        assert temporary.name.endswith(".weights.h5")
        temporary.write_bytes(b"")


def test_the_rights_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_bytes(tmp_path / "whole", b"")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_sha256(tmp_path):
    write_bytes(tmp_path / "a", b"mien")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"mien").hexdigest()


def test_names_are_numbered_where_a_disk_would_hold_two_for_one():
    names = UniqueNames("index.html")
    wanted = ["a", "A", "a-2", "a", "index", "b"]
    assert [names.unique(stem, ".html") for stem in wanted] == [
        "a.html", "A-2.html", "a-2-2.html", "a-3.html", "index-2.html", "b.html",
    ]  # fmt: skip
    assert names.unique("a", ".png") == "a.png"


def test_two_files_of_one_second_have_two_names(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "20261121-190305")
    first = timestamped_path(tmp_path, ".png", "mien-")
    assert first.name == "mien-20261121-190305.png"
    first.touch()
    assert timestamped_path(tmp_path, ".png", "mien-").name == "mien-20261121-190305-2.png"


# -- links, permissions, and what is no plain file

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


@POSIX
@pytest.mark.parametrize(
    ("target", "before"),
    [("real.txt", "old"), ("real.txt", None), ("deep/real.txt", None), ("../outside.txt", "old"), ("hop", "old")],
    ids=["to a file", "to nothing", "into no folder", "to another folder", "over two links"],
)
def test_a_link_stays_and_its_target_is_written(tmp_path, target, before):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "hop").symlink_to("end.txt")
    real = folder / ("end.txt" if target == "hop" else target)
    if before:
        real.write_text(before)
    (folder / "link.txt").symlink_to(target)
    write_text(folder / "link.txt", "new")
    assert (folder / "link.txt").readlink() == Path(target)
    assert (real.is_symlink(), real.read_text()) == (False, "new")
    assert not list(tmp_path.rglob(".mien-*"))


@POSIX
def test_links_in_a_circle_are_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        write_text(tmp_path / "a", "new")


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444, 0o755], ids=oct)
@pytest.mark.parametrize("through_link", [False, True], ids=["file", "link"])
def test_a_file_keeps_its_permissions(tmp_path, mode, through_link):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    (tmp_path / "link").symlink_to("a.txt")
    write_text(tmp_path / "link" if through_link else path, "new")
    assert (stat.S_IMODE(path.stat().st_mode), path.read_text()) == (mode, "new")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    os.chown(path, 1234, 2345)
    write_text(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


@POSIX
def test_another_name_of_a_file_keeps_the_old_content(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    write_text(tmp_path / "a", "new")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["new", "old"]


@POSIX
@pytest.mark.parametrize("through_link", [False, True], ids=["pipe", "link to a pipe"])
def test_a_pipe_is_written_through(tmp_path, through_link):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with atomic_write(tmp_path / ("link" if through_link else "pipe")) as temporary, temporary.open("wb") as file:
        file.write(b"head")
        file.seek(0)  # as Parquet and MP4 do
        file.write(b"HEAD")
    reader.join(timeout=60)
    assert received == [b"HEAD"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


@POSIX
@pytest.mark.parametrize("place", ["/dev/fd/{}", "/proc/self/fd/{}", "a link"])
def test_a_descriptor_is_written_where_it_stands(tmp_path, place):
    if place.startswith("/proc") and not Path("/proc/self/fd").is_dir():
        pytest.skip("this system has no /proc")
    log = tmp_path / "log"
    log.write_text("first\n")
    with log.open("a") as file:
        path = Path(place.format(file.fileno()))
        if place == "a link":
            path = tmp_path / "link"
            path.symlink_to(f"/dev/fd/{file.fileno()}")
        write_text(path, "second\n")
    assert log.read_text() == "first\nsecond\n"


@POSIX
def test_a_socket_that_was_passed_on_is_written(tmp_path):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        write_text(Path(f"/dev/fd/{theirs.fileno()}"), "through")
        assert ours.recv(99) == b"through"


@POSIX
def test_what_is_a_stream(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "plain").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    found = {path.name: is_stream(path) for path in (*tmp_path.iterdir(), tmp_path / "missing", tmp_path)}
    assert found == {"pipe": True, "plain": False, "dangling": False, "missing": False, tmp_path.name: False}
    assert is_stream(Path(os.devnull))


@POSIX
@pytest.mark.parametrize("number", [errno.EBUSY, errno.EACCES, errno.EXDEV, errno.EPERM], ids=errno.errorcode.get)
def test_a_file_that_can_t_be_renamed_is_overwritten(tmp_path, monkeypatch, number):
    """As a file that is a mount point in a container, or that lies in a closed folder."""
    path = tmp_path / "a.txt"
    path.write_text("an older and longer text")
    before = path.stat().st_ino

    def replace(*_):
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "replace", replace)
    write_text(path, "new")
    assert (path.read_text(), path.stat().st_ino) == ("new", before)
    with pytest.raises(OSError, match="no"):
        write_text(tmp_path / "other.txt", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is closed to root, or by mode")
def test_a_file_in_a_closed_folder_is_overwritten(tmp_path):
    path = tmp_path / "closed" / "a.txt"
    path.parent.mkdir()
    path.write_text("old")
    path.parent.chmod(0o500)
    write_text(path, "new")
    with pytest.raises(PermissionError):
        write_text(path.with_name("b.txt"), "new")
    path.parent.chmod(0o700)
    assert [(file.name, file.read_text()) for file in path.parent.iterdir()] == [("a.txt", "new")]


@POSIX
@given(
    content=st.binary(max_size=300),
    mode=st.sampled_from([0o600, 0o644, 0o666]),
    hops=st.integers(0, 3),
    exists=st.booleans(),
)
def test_whatever_the_way_to_a_file_its_content_arrives(content, mode, hops, exists):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "0"
        if exists:
            path.write_bytes(b"old")
            path.chmod(mode)
        for number in range(hops):
            (folder / str(number + 1)).symlink_to(str(number))
        write_bytes(folder / str(hops), content)
        assert path.read_bytes() == content
        assert [file.is_symlink() for file in sorted(folder.iterdir())] == [False] + [True] * hops
        assert not exists or stat.S_IMODE(path.stat().st_mode) == mode
