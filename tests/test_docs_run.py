"""The commands and the Python of the docs are valid and run.

What can't run here (a window, a server, an hour of training) is listed with the tests that cover it.
"""

from __future__ import annotations

import re
import shutil
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image

import mien.apps.cli
from documents import PAGES, ROOT, SHELLS, Block, blocks, commands, prose
from mien.apps.cli.first_steps import PORTRAIT
from videos import swaying_face, write_frames

WRITTEN = [page for page in PAGES if page.name != "cli.md"]  # that page is generated
COMMANDS = [
    pytest.param(words, id=f"{block}-{' '.join(words)}")
    for page in WRITTEN
    for block in blocks(page)
    if block.language in SHELLS
    for words in commands(block)
]
# the blocks of a tutorial depend on each other: tests/test_tutorials.py runs them
PYTHON = [
    block for page in WRITTEN if page.parent.name != "tutorials" for block in blocks(page) if block.language == "python"
]
RESULTS = ("--csv", "--parquet", "--draw", "--anonymize", "--out", "--page", "--srt", "--vtt", "--elan")

# what does not run here, and the tests that cover it
COMMANDS_ELSEWHERE = {
    r"^(live|collect)\b": "windows: tests/apps/test_desktop.py",
    r"^serve\b": "runs until it is stopped: tests/apps/server",
    r"^train\b": "takes minutes: tests/apps/test_cli_train.py, tests/training",
    r"--data mine\b": "needs the images of mien collect: tests/apps/test_cli_evaluate.py",
    r"^soft-labels\b": "needs runs: tests/apps/test_cli_soft_labels.py",
    r"^export runs/": "needs a run: tests/apps/test_cli_export.py",
    r"^runs\b|--model runs/": "needs a run: tests/apps/test_cli_runs.py, tests/apps/test_cli_train.py",
    r"^models pull\b": "needs the network: tests/models/test_download.py, tests/apps/test_cli_models.py",
    r"--engine ray\b": "starts Ray: tests/batch/test_ray_engine.py",
    r"\b(FER2013_FOLDER|FER2013|PHOTOS|FACES)\b|runs/faces": (
        "needs data: tests/apps/test_cli_evaluate.py, tests/apps/test_cli_bench.py"
    ),
}
PYTHON_ELSEWHERE = {
    r"urllib\.request": "needs a server: tests/apps/server",
    r"runs/mine": "needs a run: tests/tutorial/test_networks.py",
    r"to_pandas": "needs pandas: tests/outputs/test_outputs.py",
}


def elsewhere(text: str, table: dict[str, str]) -> list[str]:
    """The patterns of a table that exclude a command or a block."""
    return [pattern for pattern in table if re.search(pattern, text)]


HERE = [param for param in COMMANDS if not elsewhere(" ".join(param.values[0]), COMMANDS_ELSEWHERE)]
RUN_HERE = list({tuple(param.values[0]): param for param in HERE}.values())  # once each, however many pages have it
PYTHON_HERE = [block for block in PYTHON if not elsewhere(block.text, PYTHON_ELSEWHERE)]

# -- commands are valid


def find_command(words):
    """The command in the words of a command line, its name, and its arguments."""
    command, name = typer.main.get_command(mien.apps.cli.app), "mien"
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command: {name} {words[0]}"
        command, name, words = command.commands[words[0]], f"{name} {words[0]}", words[1:]
    return command, name, words


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_in_a_block_is_valid(words):
    command, name, rest = find_command(words)
    command.make_context(name, list(rest))  # raises where an option is unknown, or a value wrong or missing


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_commands_in_sentences_have_their_options(page):
    for span in re.findall(r"`mien ([a-z][^`]*)`", prose(page)):
        command, name, rest = find_command(span.split())
        known = {"--help"}.union(*({*param.opts, *param.secondary_opts} for param in command.params))
        unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
        assert not unknown, f"{page.name} has mien {span}, but {name} has no {unknown}"


@pytest.mark.parametrize("table", [COMMANDS_ELSEWHERE, PYTHON_ELSEWHERE], ids=["commands", "Python"])
def test_the_exclusions_are_in_the_docs_and_name_tests_that_exist(table):
    texts = [block.text for block in PYTHON] + [" ".join(param.values[0]) for param in COMMANDS]
    assert {pattern for text in texts for pattern in elsewhere(text, table)} == set(table)
    for reason in table.values():
        places = re.findall(r"tests/[\w/.]+", reason)
        assert places
        assert all((ROOT / place).exists() for place in places), reason


# -- and run


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with the files that the docs use: images, folders of them, a clip, a csv."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("photo.jpg", "party.jpg", "holiday/a.jpg", "archive/a.jpg", "archive/b.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(PORTRAIT, folder / name)
    write_frames(folder / "clip.avi", swaying_face(12)).rename(folder / "clip.mp4")
    (folder / "images").mkdir()
    pq.write_table(pa.table({"image": [PORTRAIT.read_bytes()]}), folder / "images" / "a.parquet")
    (folder / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *faces_as_rows(42)]) + "\n")
    return folder


def faces_as_rows(count):
    """Rows in FER2013's format: one face, rotated by a further degree in each."""
    with Image.open(PORTRAIT) as portrait:
        face = portrait.convert("L").crop((170, 58, 284, 172))
    for row in range(count):
        pixels = np.asarray(face.rotate(row).resize((48, 48))).ravel()
        yield f"{row % 7},{' '.join(map(str, pixels))},{'PublicTest' if row % 3 == 2 else 'Training'}"


@pytest.mark.parametrize("words", RUN_HERE)
def test_a_command_in_a_block_runs(words, desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    arguments = [found for word in words for found in (map(str, desk.glob(word)) if "*" in word else [word])]
    with pytest.raises(SystemExit) as exited:
        mien.apps.cli.main(arguments)
    printed = capsys.readouterr()
    assert exited.value.code in (0, None), printed.err
    assert printed.out or printed.err
    for option, value in pairwise(words):
        assert option not in RESULTS or (desk / value).exists(), f"{option} {value} wrote nothing"


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_block_of_python_compiles(block):
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", PYTHON_HERE, ids=str)
def test_a_block_of_python_runs(block: Block, desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})
    if "print(" in block.text:
        assert capsys.readouterr().out
