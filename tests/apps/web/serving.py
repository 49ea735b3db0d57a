"""``mien serve`` itself, for tests of the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager


@contextmanager
def serving(cache, *options):
    """Runs a server; gives its address."""
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--workers", "1", *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, encoding="utf-8", env=os.environ | {"MIEN_CACHE": str(cache)}
    )
    try:
        log = ""
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log)):
            line = process.stderr.readline()
            assert line, log
            log += line
        yield found[0]
    finally:
        process.terminate()
        process.communicate()
