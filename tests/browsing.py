"""A page as a real browser shows it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr")


def shown(browser: str, address: str, folder: Path, width: int) -> tuple[np.ndarray, list[str]]:
    """The pixels of a page, and what the browser said on its console; its own files go into the folder."""
    image = folder / "shot.png"
    places = [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},1600", f"--screenshot={image}"]
    command = [browser, *OPTIONS, *places, address]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    said = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    return np.asarray(Image.open(image).convert("RGB")), said
