"""The one door to the network: a file of known size and SHA-256, streamed into place whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import http.client
import ipaddress
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from mien.errors import FetchError
from mien.media.files import TEMPORARY, atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    Progress = Callable[[int, int], None]

CHUNK = 1 << 16
STALE_AFTER = 3600.0


@dataclass(frozen=True)
class Patience:
    """How long a fetch waits, in seconds.

    Attributes:
        silence: without a byte, or for the connection.
        total: for the whole file, however steadily it trickles.
    """

    silence: float = 20.0
    total: float = 1800.0


@dataclass(frozen=True)
class Remote:
    """A file elsewhere, and what its bytes must be.

    Attributes:
        url: https, http on this machine, or file.
        size: bytes; a body is never read beyond one more.
        sha256: lower-case hex.
    """

    url: str
    size: int
    sha256: str


def fetch(remote: Remote, path: Path, progress: Progress | None = None, patience: Patience | None = None) -> None:
    """Brings a file to ``path``; any file there is replaced only when the new one's SHA-256 is right.

    Args:
        remote: where it is and what it must be.
        path: its final name; the bytes arrive under a temporary one beside it.
        progress: called with the bytes that came and those expected.
        patience: how long to wait.

    Raises:
        FetchError: the address is refused, the connection failed, the bytes are wrong, or the folder can't be written.
    """
    patience = patience or Patience()
    _check_address(remote.url)
    _sweep(path)
    try:
        with (
            _opener(remote.url).open(_request(remote.url), timeout=patience.silence) as response,
            atomic_write(path) as aside,
            aside.open("wb") as file,
        ):
            _copy(response, file, remote, progress, time.monotonic() + patience.total)
    except urllib.error.HTTPError as error:
        error.close()
        raise FetchError(f"{remote.url} answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(f"{remote.url} could not be fetched to {path} ({_reason(error)})") from error


def _copy(response: Any, file: IO[bytes], remote: Remote, progress: Progress | None, until: float) -> None:
    digest = hashlib.sha256()
    count = 0
    # read1 returns what has come, so a server that trickles can't hold one read for ever
    while chunk := response.read1(min(CHUNK, remote.size + 1 - count)):
        count += len(chunk)
        if count > remote.size:
            raise FetchError(f"expected {remote.size} bytes from {remote.url}; received more")
        if time.monotonic() > until:
            raise FetchError(f"{remote.url} is too slow: {count} of {remote.size} bytes when time was up")
        file.write(chunk)
        digest.update(chunk)
        if progress is not None:
            progress(count, remote.size)
    if count < remote.size:
        raise FetchError(f"expected {remote.size} bytes from {remote.url}; the connection ended after {count}")
    if digest.hexdigest() != remote.sha256:
        raise FetchError(f"expected SHA-256 {remote.sha256} from {remote.url}; received {digest.hexdigest()}")


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme != "https":
            fp.close()
            raise FetchError(f"{req.full_url} redirects to {newurl}, which is not https: refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str) -> urllib.request.OpenerDirector:
    # a proxy can't reach this machine's own loopback
    handlers = [urllib.request.ProxyHandler({})] if urllib.parse.urlsplit(url).scheme == "http" else []
    return urllib.request.build_opener(_HttpsRedirects, *handlers)


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


def _sweep(path: Path) -> None:
    """Removes what killed fetches left under temporary names; young ones may belong to a fetch under way."""
    for aside in path.parent.glob(f"{TEMPORARY}*"):
        try:
            if time.time() - aside.stat().st_mtime > STALE_AFTER:
                aside.unlink()
        except OSError:
            continue


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC):
        return f"{error}; free the folder or name another in MIEN_CACHE"
    inner = getattr(error, "reason", error)
    return f"{type(inner).__name__}: {inner}" if isinstance(inner, BaseException) else str(inner)
