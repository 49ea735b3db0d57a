"""The Dockerfile and compose.yaml without Docker: their commands run in a clean folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import httpx
import pytest

TOKEN = "0123456789abcdef0123"


@pytest.fixture
def dockerfile(repository):
    """The instructions of the Dockerfile and their arguments, continued lines joined."""
    text = (repository / "Dockerfile").read_text().replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line and not line.startswith("#")]


def arguments_of(dockerfile, instruction):
    return [arguments for name, arguments in dockerfile if name == instruction]


def test_the_image_is_slim_and_without_root(dockerfile):
    assert all("slim" in image for image in arguments_of(dockerfile, "FROM"))
    last = len(dockerfile) - 1 - [word for word, _ in dockerfile][::-1].index("USER")
    assert dockerfile[last][1].isdecimal()
    assert int(dockerfile[last][1]) > 0
    assert not [rest for word, rest in dockerfile[last:] if word == "RUN"]


def test_copied_files_exist_and_are_not_ignored(dockerfile, repository):
    kept = [line[1:] for line in (repository / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for copied in arguments_of(dockerfile, "COPY"):
        if not copied.startswith("--from"):
            for source in copied.split()[:-1]:
                assert (repository / source).exists()
                assert source in kept


def test_the_compose_file_restricts_the_container(repository):
    text = (repository / "compose.yaml").read_text()
    for line in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "127.0.0.1:8000:8000", "MIEN_TOKEN:?"):
        assert line in text


@pytest.mark.long
def test_the_image_s_build_commands_work_in_a_clean_folder(dockerfile, repository, tmp_path):
    """All that need no Docker: copies, environment, installation, and the command of the image."""
    source, place = tmp_path / "source", tmp_path / "mien"
    source.mkdir()
    for copied in arguments_of(dockerfile, "COPY"):
        if not copied.startswith("--from"):
            for name in copied.split()[:-1]:
                (shutil.copytree if (repository / name).is_dir() else shutil.copy)(repository / name, source / name)
    for command in arguments_of(dockerfile, "RUN"):
        if "useradd" not in command:
            here = command.replace("/mien", str(place)).replace("python -m venv", f"{sys.executable} -m venv")
            subprocess.run(here, shell=True, check=True, cwd=source)
    check_server(dockerfile, [str(place / "bin" / "mien")], tmp_path)


def test_the_command_of_the_image_check_server(dockerfile, tmp_path):
    check_server(dockerfile, [sys.executable, "-m", "mien"], tmp_path)


def check_server(dockerfile, mien, folder):
    """Runs the image's command at a free port, with its environment and its health check."""
    entry = json.loads(arguments_of(dockerfile, "ENTRYPOINT")[0])
    assert entry[:2] == ["mien", "serve"]
    arguments = [*entry[1:], "--port", "0", "--workers", "1"]
    settings = dict(pair.split("=", 1) for pair in arguments_of(dockerfile, "ENV")[0].split())
    environment = {**os.environ, **settings, "PATH": os.environ["PATH"], "MIEN_CACHE": str(folder / "cache")}
    without = subprocess.run([*mien, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert without.returncode == 2
    assert "--token" in without.stderr
    command = subprocess.Popen(
        [*mien, *arguments], env={**environment, "MIEN_TOKEN": TOKEN}, stderr=subprocess.PIPE, text=True, cwd=folder
    )
    try:
        line = command.stderr.readline()
        port = int(re.search(r":(\d+)/", line)[1])
        check = json.loads(arguments_of(dockerfile, "HEALTHCHECK")[0].partition("CMD ")[2])
        healthy = [sys.executable, *(word.replace(":8000/", f":{port}/") for word in check[1:])]
        assert subprocess.run(healthy, check=False).returncode == 0
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            assert client.get("/v1/models").status_code == 401
            assert client.get("/v1/models", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    finally:
        command.terminate()
        assert command.wait(60) == 0
        command.stderr.close()
