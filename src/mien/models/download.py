"""Downloads: a file of known size and SHA-256 arrives under its final name complete, or not at all.

pooch keeps the file under a temporary name, verifies its hash and renames it. What it can't promise stays here:

* The transfer. pooch's own reads bodies of any size in blocks that a slow server can stall, and follows redirects to
  plain http. This one limits size and total time, checks addresses and redirects, and reads file:// mirrors.
* The last step. pooch neither syncs the file to disk nor replaces an existing one atomically on Windows, and a killed
  process leaves its temporary file for good. So pooch works in a temporary folder whose name is swept later.
"""

from __future__ import annotations

import errno
import http.client
import ipaddress
import shutil
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mien.errors import FetchError
from mien.media.files import TEMPORARY, move_into_place

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    Progress = Callable[[int, int], None]

CHUNK_BYTES = 1 << 16

STALE_SECONDS = 3600.0
"""Age from which a temporary file counts as left by a killed process."""


@dataclass(frozen=True)
class Timeouts:
    """How long a download may take, in seconds.

    Attributes:
        silence: for the connection, and between two reads.
        total: for the whole file, however steadily it trickles.
    """

    silence: float = 20.0
    total: float = 1800.0


@dataclass(frozen=True)
class Remote:
    """A published file.

    Attributes:
        url: https, http on this machine, or file.
        size: bytes; a body is never read beyond one more.
        sha256: lower-case hex.
    """

    url: str
    size: int
    sha256: str


def fetch(remote: Remote, path: Path, progress: Progress | None = None, timeouts: Timeouts | None = None) -> None:
    """Download a file to ``path``; a file there is replaced only when size and SHA-256 of the new one are right.

    Args:
        remote: the address, size and hash of the file.
        path: its final name; it arrives in a temporary folder next to it.
        progress: called with the bytes received and the bytes expected.
        timeouts: how long to wait.

    Raises:
        FetchError: the address is refused, the connection failed, the bytes are wrong, or the folder can't be written.
    """
    _check_address(remote.url)
    _sweep(path.parent)
    transfer = _Transfer(remote, progress, timeouts or Timeouts())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=path.parent) as folder:
            move_into_place(_retrieve(remote, path.name, Path(folder), transfer), path)
    except urllib.error.HTTPError as error:
        error.close()
        raise FetchError(f"{remote.url} answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(f"{remote.url} could not be fetched to {path} ({_reason(error)})") from error


def _retrieve(remote: Remote, name: str, folder: Path, transfer: _Transfer) -> Path:
    """The downloaded file in the folder, verified by pooch."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # by default pooch prints each download on stderr
    try:
        return Path(pooch.retrieve(remote.url, f"sha256:{remote.sha256}", name, folder, downloader=transfer))
    except ValueError as error:
        if not transfer.complete:
            raise
        raise FetchError(f"expected SHA-256 {remote.sha256} from {remote.url}; {error}") from error
    finally:
        logger.setLevel(level)


class _Transfer:
    """Copies the body of a response to a file: the downloader that pooch calls."""

    def __init__(self, remote: Remote, progress: Progress | None, timeouts: Timeouts) -> None:
        self._remote, self._progress, self._timeouts = remote, progress, timeouts
        self.complete = False

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        del pooch
        with Path(output_file).open("wb") as file, _Deadline(self._timeouts.total) as deadline:
            try:
                with _opener(url, deadline).open(_request(url), timeout=self._timeouts.silence) as response:
                    self._copy(response, file, deadline)
            except (OSError, http.client.HTTPException, FetchError) as error:
                if deadline.passed():  # the reason, whatever the closed connection looked like
                    raise FetchError(
                        f"{url} is too slow: {file.tell()} of {self._remote.size} bytes when time was up"
                    ) from error
                raise
        self.complete = True

    def _copy(self, response: Any, file: IO[bytes], deadline: _Deadline) -> None:
        url, size, count = self._remote.url, self._remote.size, 0
        # read1 returns what has arrived, so a server that trickles can't stall a single read
        while chunk := response.read1(min(CHUNK_BYTES, size + 1 - count)):
            count += len(chunk)
            if count > size:
                raise FetchError(f"expected {size} bytes from {url}; received more")
            file.write(chunk)
            if deadline.passed():
                raise TimeoutError
            if self._progress is not None:
                self._progress(count, size)
        if count < size:
            raise FetchError(f"expected {size} bytes from {url}; the connection ended after {count}")


class _Deadline:
    """The end of the time for a whole transfer: closes its connections, so that no header can trickle beyond it.

    A socket's own timeout only bounds the silence between two bytes.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._connections: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._close)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def passed(self) -> bool:
        return time.monotonic() >= self._end

    def watch(self, connection: socket.socket) -> None:
        self._connections.append(connection)
        if self.passed():
            self._close()

    def _close(self) -> None:
        for connection in self._connections:
            with suppress(OSError):  # closed already
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # a TLS socket's own would drop what is being read


class _OnDeadline:
    """A connection whose socket the deadline watches from its first byte on: a proxy's reply and TLS come first."""

    def __init__(self, deadline: _Deadline, *arguments: Any, **options: Any) -> None:
        self._deadline = deadline
        super().__init__(*arguments, **options)

    @property
    def sock(self) -> socket.socket | None:
        return self._sock

    @sock.setter
    def sock(self, value: socket.socket | None) -> None:
        self._sock = value
        if value is not None:
            self._deadline.watch(value)


class _Http(_OnDeadline, http.client.HTTPConnection):
    pass


class _Https(_OnDeadline, http.client.HTTPSConnection):
    pass


class _Watched(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens http and https on connections that the deadline watches."""

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Http, self._deadline), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Https, self._deadline), req)


class _PlainFiles(urllib.request.FileHandler):
    """Opens file addresses of plain files only: a pipe or a device may never give its first byte, or never end."""

    def file_open(self, req: urllib.request.Request) -> Any:
        path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(req.full_url).path))
        if path.exists() and not path.is_file():
            raise FetchError(f"expected a file at {req.full_url}; received a folder, a pipe or a device")
        return super().file_open(req)


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only, and reads nothing of their bodies, which may be of any size."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        fp.close()
        if urllib.parse.urlsplit(newurl).scheme != "https":
            raise FetchError(f"{req.full_url} redirects to {newurl}, which is not https: refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str, deadline: _Deadline) -> urllib.request.OpenerDirector:
    # a proxy can't reach this machine's own loopback
    handlers = [urllib.request.ProxyHandler({})] if urllib.parse.urlsplit(url).scheme == "http" else []
    return urllib.request.build_opener(_HttpsRedirects, _PlainFiles, _Watched(deadline), *handlers)


def _request(url: str) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"User-Agent": "mien"})  # noqa: S310  _check_address saw the scheme


def _check_address(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("https", "file") or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise FetchError(f"expected an https address (or http on this machine, or file); received {url!r}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sweep(folder: Path) -> None:
    """Remove what killed downloads left under temporary names; recent ones may belong to one in progress."""
    for leftover in folder.glob(f"{TEMPORARY}*"):
        try:
            if time.time() - leftover.stat().st_mtime <= STALE_SECONDS:
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        except OSError:
            continue


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC):
        return f"{error}; free the folder or name another in MIEN_CACHE"
    inner = getattr(error, "reason", error)
    return f"{type(inner).__name__}: {inner}" if isinstance(inner, BaseException) else str(inner)
