"""The Ray engine writes the same table as the local one."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.batch.plan import Pipeline
from mien.batch.ray_engine import ShardActor
from mien.errors import ModelError

pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'mien[parquet]'")
TIMEOUT_SECONDS = 300


def encoded(image):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def images(tmp_path):
    """Twelve images in a Parquet file, one torn, and two files."""
    import pyarrow as pa

    face = astronaut()[20:220, 130:330]
    contents = [encoded(face if row % 3 else np.full((16, 16, 3), 9 * row, np.uint8)) for row in range(11)]
    pq.write_table(pa.table({"image": [*contents, b"torn"]}), tmp_path / "many.parquet")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(contents[1])
    return [tmp_path / name for name in ("a.png", "b.png", "many.parquet")]


@pytest.mark.long
def test_ray_and_the_pool_write_the_same_table(images, tmp_path):
    pytest.importorskip("ray", reason="needs Ray Data: pip install 'mien[scale]'")
    tables = []
    for engine in ("local", "ray"):
        table = tmp_path / f"{engine}.csv"
        command = [sys.executable, "-m", "mien", "predict", *map(str, images), "--out", str(table)]
        run = subprocess.run(
            [*command, "--engine", engine, "--processes", "2"],
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT_SECONDS,
            check=False,
            env=os.environ | {"MIEN_CACHE": str(tmp_path / "cache")},
        )
        assert run.returncode == 1, run.stderr
        assert run.stderr.splitlines()[-1].startswith("1 could not be read")
        tables.append(table.read_text())
    assert tables[0] == tables[1]
    assert tables[0].count("\n") == 15
    assert list(tmp_path.glob("*.parts")) == []


def test_a_machine_with_other_models_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="expected the same mien and models on every machine"):
        ShardActor(Pipeline("compact", "0" * 64, "auto", "fused", "0.1.0"))
