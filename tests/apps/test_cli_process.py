"""The command as a process: streams, exit codes, Ctrl-C, closed pipes, terminals, and what importing it costs."""

from __future__ import annotations

import csv
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from mien import __version__
from mien.apps.cli.options import write_failure

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has other signals, and no pseudo-terminals")
COMMANDS = [
    [],
    ["predict"],
    ["demo"],
    ["train"],
    ["export"],
    ["evaluate"],
    ["doctor"],
    ["models"],
    *(["models", name] for name in ("list", "pull", "add", "remove", "verify", "show")),
]


@pytest.fixture
def many(paint, tmp_path):
    """A folder of more images than a pipe holds lines of JSON for, so that who does not read on stops the command."""
    first = paint("many/0.png")
    for number in range(1, 400):
        os.link(first, tmp_path / "many" / f"{number}.png")
    return tmp_path / "many"


def lines_of(out):
    return [json.loads(line) for line in out.decode().splitlines()]


def on_a_terminal(command, cwd, environment, *, streams=("stdin", "stdout", "stderr")):
    """Runs a command with some streams on a terminal 100 wide: exit code, what the terminal got, stdout if piped."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    chosen = {name: theirs if name in streams else subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    with subprocess.Popen(command, cwd=cwd, env=environment, **chosen) as started:
        os.close(theirs)
        piped = []
        if started.stdout:
            reader = threading.Thread(target=lambda: piped.append(started.stdout.read()))
            reader.start()
        seen = b""
        while started.poll() is None or select.select([ours], [], [], 0)[0]:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    seen += os.read(ours, 65536)
                except OSError:  # Linux says so when the other end is closed
                    break
        code = started.wait(timeout=60)
        if started.stdout:
            reader.join()
    os.close(ours)
    return code, seen.decode(), b"".join(piped).decode()


# -- streams


def test_results_go_to_stdout_and_messages_to_stderr(ran, paint):
    path = paint("a.png")
    done = ran("predict", path, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["source"] == str(path)


def test_wrong_usage_says_nothing_on_stdout(ran):
    done = ran("predict", "a.png", "--model", "nope", "-d", "whole")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}], ids=str)
def test_output_is_utf8_whatever_the_locale(ran, paint, locale):
    path = paint("日本 é.png")
    json_out = ran("predict", path, "--json", "-d", "whole", **locale)
    assert json.loads(json_out.out)["source"] == str(path)
    table = ran("predict", path, "-d", "whole", **locale)
    assert (table.code, "日本 é.png" in table.out) == (0, True)


@POSIX
def test_ctrl_c_leaves_whole_lines_and_whole_files(process, many, tmp_path):
    with process("predict", many, "--json", "-d", "whole", "--csv", "faces.csv") as started:
        first = started.stdout.readline()
        started.send_signal(signal.SIGINT)
        rest, err = started.stdout.read(), started.stderr.read()  # communicate loses what readline buffered
    assert started.returncode == 130
    assert err.decode() == "mien: interrupted; finished results are kept\n"
    lines = lines_of(first + rest)
    assert 1 <= len(lines) < 400
    with (tmp_path / "faces.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) - len(lines) in (0, 1)
    assert [row["source"] for row in rows][: len(lines)] == [line["source"] for line in lines]
    assert all(row["probability"] for row in rows)
    assert not list(tmp_path.glob(".faces*"))


@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_other_signals_are_as_ctrl_c(process, many, tmp_path, number):
    hook = f"import signal; signal.signal({int(number)}, signal.SIG_DFL)"  # ignored where tests run under nohup
    options = ("--json", "-d", "whole", "--csv", "f.csv", "--draw", "drawn")
    with process("predict", many, *options, before=hook) as started:
        first = started.stdout.readline()
        started.send_signal(number)
        rest, err = started.stdout.read(), started.stderr.read()  # communicate loses what readline buffered
    assert started.returncode == 128 + number
    assert err.decode() == "mien: interrupted; finished results are kept\n"
    with (tmp_path / "f.csv").open(encoding="utf-8", newline="") as file:
        sources = [row["source"] for row in csv.DictReader(file)]
    assert 1 <= len(sources) < 400
    assert [line["source"] for line in lines_of(first + rest)] == sources[: len(lines_of(first + rest))]
    assert not list(tmp_path.rglob(".mien-*"))


@POSIX
def test_a_command_under_nohup_outlives_its_terminal(process, many):
    hook = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with process("predict", many, "--json", "-d", "whole", before=hook) as started:
        first = started.stdout.readline()
        started.send_signal(signal.SIGHUP)
        rest, err = started.stdout.read(), started.stderr.read()  # communicate loses what readline buffered
    assert (started.returncode, err, len(lines_of(first + rest))) == (0, b"", 400)


@POSIX
def test_a_terminal_that_closes_leaves_whole_files(many, cache_folder, tmp_path):
    """The system sends SIGHUP; lines and messages then have nowhere to go."""
    import pty

    ours, theirs = pty.openpty()
    command = ["-m", "mien", "predict", str(many), "--json", "-d", "whole", "--csv", "f.csv"]
    start = f"import os, sys; os.login_tty(0); os.execv(sys.executable, {[sys.executable, *command]!r})"
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    with subprocess.Popen(
        [sys.executable, "-c", start], cwd=tmp_path, env=environment_of(cache_folder), **streams
    ) as started:
        os.close(theirs)
        seen = b""
        while b'"schema"' not in seen:
            seen += os.read(ours, 1000)
        os.close(ours)
        assert started.wait(timeout=120) in (128 + signal.SIGHUP, 1)  # 1: a line failed before the signal came
    with (tmp_path / "f.csv").open(encoding="utf-8", newline="") as file:
        assert 1 <= len(list(csv.DictReader(file))) < 400
    assert not list(tmp_path.rglob(".mien-*"))


@POSIX
def test_a_batch_that_sigterm_ended_goes_on(process, ran, many, tmp_path):
    command = ("predict", many, "--out", "f.jsonl", "-d", "whole", "--processes", 1)
    with process(*command) as started:
        while not list(tmp_path.glob("f.jsonl.parts/0*")) and started.poll() is None:
            time.sleep(0.01)
        started.send_signal(signal.SIGTERM)
        started.communicate(timeout=120)
    assert started.returncode == 143
    done = ran(*command)
    assert (done.code, "were done before" in done.err) == (0, True)
    assert len((tmp_path / "f.jsonl").read_text().splitlines()) == 400


@POSIX
@pytest.mark.parametrize("closed", [[0], [1], [2], [1, 2], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("command", ["predict a.png --json --csv f.csv", "models list", "--help", "predict gone.png"])
def test_closed_streams_are_no_traceback(paint, cache_folder, tmp_path, closed, command):
    paint("a.png")
    shell = " ".join([sys.executable, "-m mien", command, *(f"{number}>&-" for number in closed)])
    done = subprocess.run(
        ["sh", "-c", shell], cwd=tmp_path, env=environment_of(cache_folder), capture_output=True, check=False
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (1 if "gone" in command else 0, False), done.stderr
    assert "f.csv" not in command or (tmp_path / "f.csv").read_text().startswith("source,")


def test_rows_are_kept_when_the_reader_of_stdout_leaves(process, many, tmp_path):
    with process("predict", many, "-d", "whole", "--json", "--csv", "f.csv") as started:
        started.stdout.readline()
        started.stdout.close()
        err = started.stderr.read()
    assert (started.returncode, err) == (1, b"")
    assert len((tmp_path / "f.csv").read_text().splitlines()) > 1


@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "table"])
def test_a_closed_stdout_ends_it_without_a_message(process, many, options):
    with process("predict", many, "-d", "whole", *options) as started:
        if options:
            assert json.loads(started.stdout.readline())["error"] is None
        started.stdout.close()
        err = started.stderr.read()
    assert (started.returncode, err) == (1, b"")


# -- terminals


def environment_of(cache_folder, **choices):
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return {**kept, "TERM": "xterm-256color", "MIEN_CACHE": str(cache_folder), **choices}


@POSIX
@pytest.mark.parametrize(("choices", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=str)
def test_no_color_is_obeyed(paint, portrait, cache_folder, tmp_path, choices, coloured):
    command = [sys.executable, "-m", "mien", "predict", paint("a.png", portrait), "-d", "haar"]
    code, seen, _ = on_a_terminal(command, tmp_path, environment_of(cache_folder, **choices))
    assert (code, "happy" in seen) == (0, True)
    assert bool(re.search(r"\x1b\[[0-9;]*[34]8;", seen)) == coloured


@POSIX
def test_progress_is_on_the_terminal_and_results_stay_in_their_file(many, cache_folder, tmp_path):
    command = [sys.executable, "-m", "mien", "predict", many, "--json", "-d", "whole"]
    code, seen, out = on_a_terminal(command, tmp_path, environment_of(cache_folder), streams=("stderr",))
    assert code == 0
    assert "analyzing" in seen
    assert len(lines_of(out.encode())) == 400


@POSIX
def test_lines_of_json_on_a_terminal_are_not_broken_by_progress(paint, cache_folder, tmp_path):
    command = [sys.executable, "-m", "mien", "predict", paint("a.png"), paint("b.png"), "--json", "-d", "whole"]
    code, seen, _ = on_a_terminal(command, tmp_path, environment_of(cache_folder))
    assert code == 0
    assert [line["error"] for line in lines_of(seen.encode())] == [None, None]


# -- help


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_fits_80_columns_and_cuts_nothing(mien, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = mien(*command, "--help")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    assert " ".join(["Usage: mien", *command]) in out


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("predict", "SOURCE --model -m --detector -d --head --json --csv --parquet --draw --anonymize"),
        ("demo", "--out"),
        ("train", "--data --out --config --arch --epochs --batch --seed --precision"),
        ("export", "RUN --data"),
        ("evaluate", "--data --model --split --head --photos --detector --exclude-label --json --out"),
    ],
)
def test_help_names_each_option(mien, monkeypatch, command, options):
    monkeypatch.setenv("COLUMNS", "80")
    names = re.findall(r"[\w-]+", mien(command, "--help").out)
    assert set(options.split()) <= set(names)


def test_help_of_predict_is_grouped_and_short(mien, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = mien("predict", "--help").out
    assert len(out.splitlines()) < 60
    titles = [line.rstrip(":") for line in out.splitlines() if re.fullmatch(r"\w+:", line)]
    assert titles == ["Input", "Model", "Output", "Video", "Batch", "Options", "Examples"]
    assert out.count("\n  mien predict ") == 3  # examples
    assert not re.search(
        r"<?\b(path|str|int|float|bool|TEXT|INTEGER)\b>?", out.partition("Model:")[2].partition("Ex")[0]
    )


def test_help_takes_square_brackets_literally(mien):
    assert "'mien[parquet]'" in mien("predict", "--help").out
    assert "[default: compact]" in mien("predict", "--help").out


@pytest.mark.parametrize("name", ["predict", "demo", "doctor", "models list", "models show"])
def test_help_ends_with_examples(mien, name):
    examples = mien(*name.split(), "--help").out.partition("Examples:")[2].strip().splitlines()
    assert 1 <= len(examples) <= 3
    assert all(line.strip().startswith("mien ") for line in examples)


@pytest.mark.parametrize("command", [[], ["models"]], ids=["mien", "mien models"])
def test_a_command_without_its_part_shows_the_help(mien, command):
    code, out, err = mien(*command)
    assert code in (0, 2)  # before click 8.2 it was 0
    assert "Usage: mien" in out + err


def test_version(ran):
    assert ran("--version") == (0, f"mien {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--version"], ["predict", "--help"], ["train", "--help"]], ids=" ".join)
def test_help_and_version_import_nothing_heavy(process, arguments):
    heavy = ("numpy", "cv2", "onnxruntime", "PIL", "keras", "torch", "tensorflow", "pyarrow")
    hook = f"import atexit, sys; atexit.register(lambda: print(*set(sys.modules) & set({heavy}), file=sys.stderr))"
    with process(*arguments, before=hook) as started:
        _, err = started.communicate(timeout=120)
    assert (started.returncode, err) == (0, b"\n")


def test_predicting_a_photo_loads_neither_timelines_nor_html_nor_avatars(process, paint, portrait):
    hook = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    with process("predict", paint("a.png", portrait), "--json", before=hook) as started:
        out, err = started.communicate(timeout=120)
    assert (started.returncode, len(json.loads(out)["faces"])) == (0, 1)
    loaded = {name for name in err.decode().split() if name.startswith("mien.")}
    assert "mien.recognizer" in loaded
    assert {name for name in loaded if name.startswith(("mien.tracking", "mien.visualization"))} == set()


# -- outputs that can't be written


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "f.csv"), "can't write f.csv: No space left on device. Check"),
        (OSError(28, "No space left on device"), "can't write the results: No space left on device. Check"),
        (OSError("the stream is closed"), "can't write the results: the stream is closed. Check"),
        (OSError(), "can't write the results: OSError. Check"),
    ],
    ids=["name and reason", "reason", "message", "nothing"],
)
def test_a_write_failure_names_a_reason(error, message):
    assert write_failure(error).startswith(message)
