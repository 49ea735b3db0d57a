"""The desktop windows under Xvfb: a clip as the camera, buttons and keys pressed by xdotool, every state shown."""

from __future__ import annotations

import csv
import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

pytest.importorskip("tkinter", reason="needs Tk: apt-get install python3-tk")

import tkinter as tk

from mien.apps.desktop.collect_window import CollectionWindow
from mien.apps.desktop.image_view import FACES_TAG
from mien.apps.desktop.layout import NO_CAMERA, WELCOME, Choices
from mien.apps.desktop.panels import STRIP_COLUMNS, History
from mien.apps.desktop.theme import DARK, LIGHT, density, palette
from mien.apps.desktop.window import LiveWindow
from mien.errors import VideoError
from mien.live import Engine, State
from mien.live.collection import Collection
from mien.media.camera import Camera
from mien.media.image import read
from mien.media.video import VideoFrame
from mien.recognizer import Recognizer
from mien.structures import Box, Face, Prediction
from mien.visualization.avatar.styles import DrawnAvatar
from videos import swaying_face, write_frames

PATIENCE = 20.0
TOOLS = ("Xvfb", "xdotool")


@pytest.fixture(scope="module")
def display():
    """A virtual screen."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {' and '.join(missing)}: apt-get install xvfb xdotool")
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}: apt-get install xvfb xdotool")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as printed:
        number = printed.readline().strip()
    before = os.environ.get("DISPLAY")
    os.environ["DISPLAY"] = f":{number}"
    yield os.environ["DISPLAY"]
    os.environ.pop("DISPLAY") if before is None else os.environ.update(DISPLAY=before)
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.load()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds of a face that sways."""
    return write_frames(tmp_path_factory.mktemp("clip") / "face.avi", swaying_face())


@pytest.fixture
def opened(display, recognizer, tmp_path):
    """Opens live windows, and closes those left open."""
    windows = []

    def open_window(source=None, *, found=(), load=lambda *_: recognizer, **choices):
        choices = Choices(source, theme="light", folder=tmp_path / "out", **choices)
        windows.append(LiveWindow(choices, load, DrawnAvatar(), tk.Tk(), found))
        windows[-1].root.update()
        return windows[-1]

    yield open_window
    for window in windows:
        try:
            window.close()
        except tk.TclError:
            continue
    # what Tk made must end in this thread, not wherever memory is next gathered
    windows.clear()
    del window
    gc.collect()


def pump(root, true, patience=PATIENCE):
    """Runs the window until a condition holds."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "timed out"
        root.update()
        time.sleep(0.005)


def press(root, *command):
    """Sends input by xdotool while the window runs."""
    hand = subprocess.Popen(["xdotool", *map(str, command)])
    pump(root, lambda: hand.poll() is not None)
    root.update()


def click(window, text):
    """Clicks the control with this text."""
    found = [one for one in every(window.root) if "text" in one.keys() and str(one["text"]) == text]  # noqa: SIM118 - Tk's keys
    assert len(found) == 1, text
    (button,) = found
    x, y = button.winfo_rootx() + button.winfo_width() // 2, button.winfo_rooty() + button.winfo_height() // 2
    press(window.root, "mousemove", x, y, "click", 1)


def every(widget):
    yield widget
    for child in widget.winfo_children():
        yield from every(child)


def text_of(window):
    """All visible text."""
    labels = [one for one in every(window.root) if one.winfo_class() == "TLabel"]
    drawn = [window.view.itemcget(item, "text") for item in window.view.find_all() if window.view.type(item) == "text"]
    return " | ".join([*(str(label["text"]) for label in labels), *drawn])


def is_running(window):
    return window.engine is not None and window.shown is not None and window.shown.predictions


# -- the live window


def test_a_face_is_boxed_and_the_avatar_wears_its_expression(opened, clip):
    window = opened(clip)
    pump(window.root, lambda: is_running(window))
    window.root.update()
    assert window.view.find_withtag(FACES_TAG)
    shown = window.shown.predictions[0]
    assert shown.emotion == "happy"
    assert f"{shown.emotion} {100 * shown.probability:.0f} %" in text_of(window)
    assert "Expression analysis is on. Images stay on this machine." in text_of(window)
    pump(window.root, lambda: " fps, latency " in text_of(window))


def test_it_starts_and_stops_by_a_click_and_by_the_space_bar(opened, clip):
    window = opened()
    assert NO_CAMERA in text_of(window)
    window.toolbar.select_file(clip)
    window.stop()
    assert WELCOME in text_of(window)
    click(window, "Start")
    pump(window.root, lambda: is_running(window))
    click(window, "Stop")
    assert window.engine is None
    assert "Nothing is analyzed until you start" in text_of(window)
    assert not window.view.find_withtag(FACES_TAG)
    window.view.focus_force()
    press(window.root, "key", "space")
    pump(window.root, lambda: is_running(window))


def test_what_came_to_its_end_can_be_started_again(opened, clip):
    window = opened(clip)
    pump(window.root, lambda: window.engine.status.state is State.ENDED)
    pump(
        window.root,
        lambda: any(str(one["text"]) == "Restart" for one in every(window.root) if one.winfo_class() == "TButton"),
    )
    ended = window.engine
    click(window, "Restart")
    pump(window.root, lambda: window.engine is not ended and is_running(window))


def test_a_image_can_be_opened(opened, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "one.png")
    window = opened()
    window.open(tmp_path / "one.png")
    pump(window.root, lambda: is_running(window))
    assert len(window.shown.predictions) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("gone.mp4", None, "there is none"), ("text.mp4", b"words", "holds none"), ("text.png", b"words", "text.png")],
)
def test_what_cannot_be_opened_is_reported(opened, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    window = opened(tmp_path / name)
    pump(window.root, lambda: message in text_of(window))


def test_a_missing_camera_and_none_at_all_are_reported(opened):
    window = opened(97)
    pump(window.root, lambda: "there is no camera 98" in text_of(window) or "can't be opened" in text_of(window))
    none = opened()
    click(none, "Start")
    assert NO_CAMERA in text_of(none)
    assert none.engine is None


def test_a_model_that_cannot_be_loaded_is_reported(opened, clip):
    def refuse(*_):
        raise VideoError("the model file was changed")

    window = opened(clip, load=refuse)
    pump(window.root, lambda: "the model file was changed" in text_of(window))


def test_the_camera_that_is_chosen_is_opened(opened):
    window = opened(found=(Camera(0, "Front"), Camera(5, "Back")))
    assert WELCOME in text_of(window)
    assert window.toolbar.opener() is not None
    with pytest.raises(VideoError, match="camera 1"):
        window.toolbar.opener()()


def test_anonymized_faces_are_neither_shown_nor_named_nor_in_a_snapshot(opened, clip, tmp_path):
    window = opened(clip)
    pump(window.root, lambda: is_running(window))
    window.view.focus_force()
    press(window.root, "key", "c")
    assert window.toolbar.anonymized.get()
    assert not window.view.find_withtag(FACES_TAG)
    window.engine.stop()
    press(window.root, "key", "s")
    (written,) = (tmp_path / "out").glob("*.png")
    image, frame = np.array(Image.open(written)).astype(int), window.shown.frame.image.astype(int)
    box = window.shown.predictions[0].face.box
    face = (slice(round(box.top) + 8, round(box.bottom) - 8), slice(round(box.left) + 8, round(box.right) - 8))
    assert (np.abs(image[face] - frame[face]).max(axis=2) > 3).mean() > 0.97


def test_a_lost_face_stays_anonymized_for_a_while(opened, clip):
    window = opened(clip)
    pump(window.root, lambda: is_running(window))
    window.engine.stop()
    window.toolbar.anonymized.set(True)
    result = window.shown
    covered = window._image(result)
    later = VideoFrame(result.frame.index + 1, result.frame.seconds + 0.5, result.frame.image)
    nobody = type(result)(later, type(result.result)("live"), 1.0, 1.0, result.captured_at, result.finished_at)
    np.testing.assert_array_equal(window._image(nobody), covered)
    much_later = VideoFrame(later.index, result.frame.seconds + 1.5, result.frame.image)
    nobody = type(result)(much_later, type(result.result)("live"), 1.0, 1.0, result.captured_at, result.finished_at)
    np.testing.assert_array_equal(window._image(nobody), result.frame.image)


def test_a_recording_is_a_table_of_what_was_read(opened, clip, tmp_path):
    window = opened()
    press(window.root, "key", "--window", window.root.winfo_id(), "r")
    assert not window.toolbar.recording.get()
    window.open(clip)
    pump(window.root, lambda: is_running(window))
    click(window, "Record")
    first = window.shown.frame.index
    pump(window.root, lambda: window.shown.frame.index > first + 5)
    click(window, "Record")
    (written,) = (tmp_path / "out").glob("*.csv")
    with written.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 3
    assert {row["emotion"] for row in rows} == {"happy"}
    assert {row["track"] for row in rows} == {"1"}
    times = [float(row["seconds"]) for row in rows]
    assert times == sorted(times)


def test_a_folder_that_cannot_be_written_is_reported(opened, clip, tmp_path):
    (tmp_path / "out").write_text("a file")
    window = opened(clip)
    pump(window.root, lambda: is_running(window))
    click(window, "Snapshot")
    assert "cannot be written" in text_of(window)
    click(window, "Record")
    assert not window.toolbar.recording.get()


def test_the_face_that_is_clicked_on_is_followed(opened, display, recognizer):
    labels = ("happy", "sad")
    faces = (Box(10, 40, 60, 100), Box(100, 40, 130, 80))

    class Two:
        detector = property(lambda self: self)

        def detect(self, _):
            return [Face(box) for box in faces]

        def classify(self, _, found):
            rows = ((0.9, 0.1), (0.1, 0.9))
            return tuple(Prediction(face, labels, row) for face, row in zip(found, rows, strict=True))

    window = opened(load=lambda *_: Two())
    window.toolbar.select_file(Path("any"))
    window.toolbar.opener = lambda: Still
    window.start()
    pump(window.root, lambda: is_running(window))
    assert "happy" in str(window.side._label["text"])
    (left, top, right, bottom) = next(box for number, box in window.view._boxes if number == 2)
    x = window.view.winfo_rootx() + (left + right) / 2
    y = window.view.winfo_rooty() + (top + bottom) / 2
    press(window.root, "mousemove", round(x), round(y), "click", 1)
    pump(window.root, lambda: "sad" in str(window.side._label["text"]))
    window.view.focus_force()
    press(window.root, "key", "n")
    pump(window.root, lambda: "happy" in str(window.side._label["text"]))


class Still:
    """A camera that shows the same grey image, thirty times a second."""

    live = True

    def __init__(self):
        self.closed, self.number = False, -1

    def read(self):
        time.sleep(0.03)
        self.number += 1
        return VideoFrame(self.number, self.number * 0.03, np.full((120, 160, 3), 128, np.uint8))

    def close(self):
        self.closed = True


def test_the_image_is_mirrored_and_the_boxes_with_it(opened):
    window = opened()
    window.root.update()
    prediction = Prediction(Face(Box(10, 20, 50, 60)), ("happy",), (1.0,), track=1)
    frame = np.zeros((120, 160, 3), np.uint8)
    window.view.show(frame, [prediction], mirrored=False, followed=1)
    ((_, plain),) = window.view._boxes
    window.view.show(frame, [prediction], mirrored=True, followed=1)
    ((_, mirrored),) = window.view._boxes
    middle = window.view.winfo_width() / 2
    assert plain[0] - middle == pytest.approx(middle - mirrored[2], abs=1.5)
    assert plain[2] - plain[0] == pytest.approx(mirrored[2] - mirrored[0], abs=0.01)


def test_closing_lets_go_of_the_camera_within_a_second(opened, recognizer):
    camera = Still()
    window = opened()
    window.toolbar.opener = lambda: lambda: camera
    window.start()
    pump(window.root, lambda: window.shown is not None)
    begun = time.monotonic()
    window.close()
    assert camera.closed
    assert time.monotonic() - begun < 1.5


def test_the_window_responds_while_the_camera_does_not(opened):
    class Asleep(Still):
        def read(self):
            time.sleep(3)
            return super().read()

    window = opened()
    window.toolbar.opener = lambda: Asleep
    window.start()
    longest, end = 0.0, time.monotonic() + 1.0
    while time.monotonic() < end:
        begun = time.monotonic()
        window.root.update()
        longest = max(longest, time.monotonic() - begun)
        time.sleep(0.005)
    assert longest < 0.5
    assert "Opening" in text_of(window)


def test_the_strip_shows_the_last_half_minute():
    history, ground = History(), np.array([9, 9, 9], np.uint8)
    labels = ("happy", "sad")
    for number in range(300):
        history.add(Prediction(Face(Box(0, 0, 9, 9)), labels, (0.75, 0.25)) if number != 150 else None, number / 10)
    strip = history.painted(40, ground)
    assert strip.shape == (40, STRIP_COLUMNS, 3)
    column = strip[:, -1]
    assert len(np.unique(column, axis=0)) == 2
    assert (column == column[0]).all(axis=1).sum() == 30
    assert (strip[:, 150] == 9).all()
    history.add(Prediction(Face(Box(0, 0, 9, 9)), labels, (1.0, 0.0)), 30.2)  # a late prediction leaves no gap
    assert not (history.painted(40, ground)[:, -4:] == 9).all(axis=(0, 2)).any()
    history.add(None, 5.0)  # a jump back empties it
    assert (history.painted(40, ground) == 9).all()


def test_it_fits_dense_screens_and_comes_light_and_dark(display):
    assert (palette("light"), palette("dark")) == (LIGHT, DARK)
    root = tk.Tk()
    assert density(root) >= 1.0
    root.destroy()


@pytest.mark.long
def test_ten_minutes_of_video_leave_memory_threads_and_files_as_they_were(opened):
    def used():
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096 / 1e6, len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    window = opened()
    window.toolbar.opener = lambda: Swaying
    window.start()
    pump(window.root, lambda: window.shown is not None and window.shown.frame.index > 100)
    began, figures = time.monotonic(), [used()]
    while time.monotonic() - began < 600:
        shown = window.shown.frame.index
        pump(window.root, lambda shown=shown: window.shown.frame.index > shown + 500, patience=120)
        figures.append(used())
    memory, files, threads = zip(*figures, strict=True)
    assert memory[-1] - memory[1] < 5, memory
    assert len(set(files[1:])) == 1
    assert len(set(threads[1:])) == 1


class Swaying(Still):
    """A camera that shows a face that sways, thirty times a second; it opens no file while it does."""

    def __init__(self):
        super().__init__()
        self.frames = [np.ascontiguousarray(frame) for frame in swaying_face()]

    def read(self):
        frame = super().read()
        return VideoFrame(frame.index, frame.seconds, self.frames[frame.index % len(self.frames)])


# -- the window that collects


def test_images_are_collected_after_consent_in_folders_that_are_read(display, recognizer, clip, tmp_path):
    collection = Collection(tmp_path / "mine", recognizer.classifier.card.crop, per_label=2)
    still = Still()
    still.read = lambda: (time.sleep(0.02), VideoFrame(0, time.monotonic(), astronaut()))[1]
    opened = []
    engine = Engine(lambda: recognizer, lambda: opened.append(still) or still)
    window = CollectionWindow(collection, engine, DrawnAvatar(), tk.Tk(), LIGHT)
    root = window.root
    root.update()
    click(window, "Begin")
    assert not opened
    click(window, "Everybody in the image knows this and agrees")
    click(window, "Begin")
    pump(root, lambda: window._shown is not None)
    assert opened
    assert window.label == "angry"
    window.view.focus_force()
    press(root, "key", "space")
    press(root, "key", "space")
    assert window.label == "disgust"
    click(window, "Take")
    assert [collection.count(label) for label in ("angry", "disgust", "fear")] == [2, 1, 0]
    press(root, "key", "BackSpace")
    assert collection.count("disgust") == 0
    press(root, "key", "Right")
    assert window.label == "fear"
    press(root, "key", "Left")
    assert window.label == "disgust"
    window.close()
    assert still.closed
    crops = sorted((tmp_path / "mine" / "angry").iterdir())
    assert [read(crop).shape for crop in crops] == [(96, 96, 3)] * 2
    again = Collection(tmp_path / "mine", None, per_label=2)
    assert (again.missing("angry"), again.missing("fear"), again.delete_last()) == (0, 2, None)


# -- the commands


def test_the_command_runs_from_start_to_leaving(display, clip, tmp_path):
    command = [sys.executable, "-m", "mien", "live", "--video", clip, "--out", tmp_path / "out", "--theme", "dark"]
    window = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE)
    try:
        found = subprocess.run(
            ["xdotool", "search", "--sync", "--onlyvisible", "--class", "mien"],
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        number = found.stdout.split()[-1].decode()
        time.sleep(2)
        for key in ("s", "q"):
            subprocess.run(["xdotool", "windowfocus", number, "key", key], check=False, timeout=PATIENCE)
            time.sleep(0.5)
        _, errors = window.communicate(timeout=PATIENCE)
    finally:
        window.send_signal(signal.SIGKILL)
    assert window.returncode == 0, errors.decode()
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_signal_closes_the_window_and_its_recording_is_whole(display, clip, tmp_path, number):
    command = [sys.executable, "-m", "mien", "live", "--video", clip, "--out", tmp_path / "out"]
    window = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE)
    try:
        search = ["xdotool", "search", "--sync", "--onlyvisible", "--class", "mien"]
        found = subprocess.run(search, capture_output=True, timeout=PATIENCE, check=True)
        place = found.stdout.split()[-1].decode()
        time.sleep(1)
        subprocess.run(["xdotool", "windowfocus", place, "key", "r"], check=False, timeout=PATIENCE)
        end = time.monotonic() + PATIENCE
        while not list((tmp_path / "out").glob(".mien-*")) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)
        window.send_signal(number)
        _, errors = window.communicate(timeout=PATIENCE)
    finally:
        window.send_signal(signal.SIGKILL)
    assert (window.returncode, b"Traceback" in errors) == (128 + number, False), errors.decode()
    (recording,) = (tmp_path / "out").iterdir()
    with recording.open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file))[0] == "source"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--camera", 1, "--video", "a.mp4"], "expected --camera or --video; received both"),
        (["--theme", "pink"], "expected a theme of auto, light, dark; received 'pink'"),
        (["--avatar", "cat"], "expected drawn, emoji, or a folder of images as an avatar"),
    ],
)
def test_wrong_usage_is_one_line(display, mien, arguments, message):
    code, _, err = mien("live", *arguments)
    assert (code, message in err) == (2, True), err


def test_without_a_display_one_line_says_so(mien, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":12345")
    code, _, err = mien("live")
    assert code == 2
    assert "the window needs a display, and there is none" in err


@pytest.mark.parametrize("command", [["live"], ["collect", "--out", "mine"]])
def test_without_tk_one_line_names_the_package(mien, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "tkinter", None)
    code, _, err = mien(*command)
    assert code == 2
    assert "sudo apt install python3-tk" in err
