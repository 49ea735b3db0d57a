"""What the docs tell users to type is understood and works: each command, each block of Python.

What can't be run here (a window, a server, an hour of training) is listed with the tests that do so in its place.
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
from documents import PAGES, SHELLS, Block, blocks, commands, prose
from mien.apps.cli.first_steps import PORTRAIT
from videos import swaying_face, write_frames

WRITTEN = [page for page in PAGES if page.name != "cli.md"]  # by people: that page is generated
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

# what is not run here, and where it is
COMMANDS_ELSEWHERE = {
    r"^(live|collect)\b": "windows: tests/apps/test_desktop.py",
    r"^serve\b": "goes on until it is stopped: tests/apps/server",
    r"^train\b": "takes minutes: tests/apps/test_cli_train.py, tests/training",
    r"--data mine\b": "needs what mien collect made: tests/apps/test_cli_evaluate.py",
    r"^soft-labels\b": "needs runs: tests/apps/test_cli_soft_labels.py",
    r"^export runs/": "needs a run: tests/apps/test_cli_export.py",
    r"^runs\b|--model runs/": "needs a run: tests/apps/test_cli_runs.py, test_cli_train.py",
    r"^models pull\b": "needs the network: tests/test_fetching.py, tests/apps/test_cli_models.py",
    r"--engine ray\b": "starts Ray: tests/batch",
    r"\b(FER2013_FOLDER|FER2013|PHOTOS|FACES)\b|runs/faces": "needs data: tests/apps/test_cli_evaluate.py, _bench.py",
}
PYTHON_ELSEWHERE = {
    r"urllib\.request": "needs a server: tests/apps/server",
    r"runs/mine": "needs a run: tests/learning",
    r"to_pandas": "needs pandas: tests/test_results.py",
}


def elsewhere(text: str, table: dict[str, str]) -> list[str]:
    """The patterns of a table that a command or a block is left out by."""
    return [pattern for pattern in table if re.search(pattern, text)]


HERE = [one for one in COMMANDS if not elsewhere(" ".join(one.values[0]), COMMANDS_ELSEWHERE)]
RUN_HERE = list({tuple(one.values[0]): one for one in HERE}.values())  # each once, on however many pages it stands
PYTHON_HERE = [block for block in PYTHON if not elsewhere(block.text, PYTHON_ELSEWHERE)]

# -- commands are understood


def find_command(words):
    """The command that words name, its name, and the words behind that."""
    command, name = typer.main.get_command(mien.apps.cli.app), "mien"
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command: {name} {words[0]}"
        command, name, words = command.commands[words[0]], f"{name} {words[0]}", words[1:]
    return command, name, words


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_in_a_block_is_understood(words):
    command, name, rest = find_command(words)
    command.make_context(name, list(rest))  # raises where an option is unknown, a value wrong, or a word missing


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_commands_in_sentences_have_their_options(page):
    for span in re.findall(r"`mien ([a-z][^`]*)`", prose(page)):
        command, name, rest = find_command(span.split())
        known = {"--help"}.union(*({*one.opts, *one.secondary_opts} for one in command.params))
        unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
        assert not unknown, f"{page.name} says mien {span}, but {name} has no {unknown}"


@pytest.mark.parametrize("table", [COMMANDS_ELSEWHERE, PYTHON_ELSEWHERE], ids=["commands", "Python"])
def test_whatever_is_listed_as_run_elsewhere_is_in_the_docs(table):
    texts = [block.text for block in PYTHON] + [" ".join(one.values[0]) for one in COMMANDS]
    assert {pattern for text in texts for pattern in elsewhere(text, table)} == set(table)


# -- and work


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with what the docs speak of: images, folders of them, a clip, a csv."""
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
    """Rows of FER2013's form: one face, leaning ever more."""
    with Image.open(PORTRAIT) as portrait:
        face = portrait.convert("L").crop((170, 58, 284, 172))
    for row in range(count):
        pixels = np.asarray(face.rotate(row).resize((48, 48))).ravel()
        yield f"{row % 7},{' '.join(map(str, pixels))},{'PublicTest' if row % 3 == 2 else 'Training'}"


@pytest.mark.parametrize("words", RUN_HERE)
def test_a_command_in_a_block_works(words, desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    typed = [found for word in words for found in (map(str, desk.glob(word)) if "*" in word else [word])]
    with pytest.raises(SystemExit) as left:
        mien.apps.cli.main(typed)
    told = capsys.readouterr()
    assert left.value.code in (0, None), told.err
    assert told.out or told.err
    for option, value in pairwise(words):
        assert option not in RESULTS or (desk / value).exists(), f"{option} {value} wrote nothing"


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_block_of_python_compiles(block):
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", PYTHON_HERE, ids=str)
def test_a_block_of_python_works(block: Block, desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})
    if "print(" in block.text:
        assert capsys.readouterr().out
