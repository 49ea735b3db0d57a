"""Screenshots of pages in a real browser."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr")


def shown(browser: str, address: str, folder: Path, width: int) -> tuple[np.ndarray, list[str]]:
    """The pixels of a page, uint8 RGB, and the lines of the browser's console; its files go into ``folder``."""
    image = folder / "shot.png"
    paths = [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},1600", f"--screenshot={image}"]
    command = [browser, *OPTIONS, *paths, address]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    messages = [line for line in completed.stderr.splitlines() if "CONSOLE" in line]
    return np.asarray(Image.open(image).convert("RGB")), messages
