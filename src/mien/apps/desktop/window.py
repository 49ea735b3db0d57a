"""The live window: a source on the left, the avatar that wears its expression on the right."""

from __future__ import annotations

import time
import tkinter as tk
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from tkinter import filedialog, messagebox
from typing import TYPE_CHECKING

from mien.apps.desktop.foot import Foot
from mien.apps.desktop.keeping import Keeper
from mien.apps.desktop.panels import StripPanel
from mien.apps.desktop.side import SidePanel
from mien.apps.desktop.theme import density, dress, palette
from mien.apps.desktop.tools import AGAIN, START, STOP, Tools
from mien.apps.desktop.view import ImageView
from mien.live.engine import Engine, State
from mien.media.camera import cameras
from mien.visualization.annotate import draw
from mien.visualization.avatar.styles import Cover

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.live.engine import Reading
    from mien.media.camera import Camera
    from mien.recognizer import Recognizer
    from mien.structures import Frame, Prediction
    from mien.visualization.avatar.styles import AvatarKind

    Load = Callable[[str, str], Recognizer]

TICK = 8
"""Milliseconds between looks for a new reading; a frame is shown this much late at most."""

SLOW = 0.1
"""Seconds between what need not follow every frame: the strip, words, rates."""

WELCOME = "Choose a camera, or open a video or an image, and press Start."
NO_CAMERA = "No camera was found. Plug one in, or open a video or an image."
KEYS = """space\tstart, stop
o\topen a video or an image
m\tmirror the camera
c\tcover faces with their avatars
b\tread relative to your face at rest
r\trecord a table
s\ttake a snapshot
n\tfollow the next face
f\tfill the screen
q\tleave"""


@dataclass(frozen=True)
class Choices:
    """What the window begins with.

    Attributes:
        source: the number of a camera from 0, the path of a video or image, or None to wait for a click.
        model: a model's name or path.
        detector: a detector's name or path.
        models: names to choose from.
        detectors: the same.
        mirrored: whether cameras are shown as in a mirror.
        theme: "auto", "light" or "dark".
        folder: where snapshots and recordings go.
    """

    source: int | Path | None = None
    model: str = "compact"
    detector: str = "auto"
    models: tuple[str, ...] = ("compact",)
    detectors: tuple[str, ...] = ("auto", "haar")
    mirrored: bool = True
    theme: str = "auto"
    folder: Path = field(default_factory=Path)


class LiveWindow:
    """The window. It runs in the thread that made it; reading is the engine's.

    Args:
        choices: what it begins with.
        load: makes a recognizer of the names of a model and a detector.
        kind: what the avatar looks like.
        root: Tk's; made if None.
        found: the cameras to choose from; those of the system if None.
    """

    def __init__(
        self,
        choices: Choices,
        load: Load,
        kind: AvatarKind,
        root: tk.Tk | None = None,
        found: tuple[Camera, ...] | None = None,
    ) -> None:
        self.root = root or tk.Tk(className="mien")
        self._load, self._cover = load, Cover(kind)
        self.engine: Engine | None = None
        self.shown: Reading | None = None
        self.delays: deque[float] = deque(maxlen=1000)
        self._followed: int | None = None
        self._slow = 0.0
        self.root.title("mien")
        colours = palette(choices.theme)
        dress(self.root, colours)
        dense = density(self.root)
        gap = round(8 * dense)
        self.model, self.detector = (tk.StringVar(self.root, value=name) for name in (choices.model, choices.detector))
        self.tools = Tools(
            self.root,
            gap,
            cameras() if found is None else found,
            choices.source,
            mirrored=choices.mirrored,
            commands=self,
        )
        self.view = ImageView(self.root, colours, dense, self.follow)
        self.side = SidePanel(self.root, colours, dense, kind)
        self.side.add_choice("Model", self.model, choices.models, self._restart)
        self.side.add_choice("Detector", self.detector, choices.detectors, self._restart)
        self.strip = StripPanel(self.root, colours, round(52 * dense))
        self.foot = Foot(self.root, gap, self.tell_keys)
        self._keeper = Keeper(choices.folder, self.foot.say)
        self._lay_out(gap, dense)
        self._bind()
        self.root.protocol("WM_DELETE_WINDOW", self.close)
        self.root.update_idletasks()
        self._rest()
        if choices.source is not None:
            self.start()
        self._next = self.root.after(TICK, self._tick)

    def _lay_out(self, gap: int, dense: float) -> None:
        high = min(round(740 * dense), self.root.winfo_screenheight() - round(90 * dense))
        self.root.geometry(f"{round(1080 * dense)}x{high}")
        self.root.minsize(round(820 * dense), round(600 * dense))
        self.root.columnconfigure(0, weight=1)
        self.root.rowconfigure(1, weight=1)
        self.tools.grid(row=0, column=0, columnspan=2, sticky="ew", padx=gap, pady=(gap, 0))
        self.view.grid(row=1, column=0, sticky="nsew", padx=(gap, 0), pady=gap)
        self.side.grid(row=1, column=1, sticky="ns", padx=gap, pady=gap)
        self.strip.grid(row=2, column=0, columnspan=2, sticky="ew", padx=gap)
        self.foot.grid(row=3, column=0, columnspan=2, sticky="ew", padx=gap, pady=gap // 2)

    def _bind(self) -> None:
        tools = self.tools
        for keys, command in (
            ("<space>", self.toggle),
            ("o", self.ask_for_file),
            ("m", lambda: tools.flip(tools.mirrored)),
            ("c", lambda: tools.flip(tools.covered)),
            ("b", lambda: tools.flip(tools.relative)),
            ("r", lambda: tools.flip(tools.recording)),
            ("s", self.snapshot),
            ("n", self.follow_next),
            ("f", self.fill_screen),
            ("<F11>", self.fill_screen),
            ("<Escape>", lambda: self.root.attributes("-fullscreen", 0)),
            ("<F1>", self.tell_keys),
            ("q", self.close),
            ("<Control-w>", self.close),
        ):
            self.root.bind(keys, lambda event, run=command: _pressed(event, run))  # type: ignore[misc]  # the default binds it

    # -- starting and stopping

    def start(self) -> None:
        """Opens the source that is chosen and reads it; what ran before is stopped."""
        self.stop()
        opener = self.tools.opener()
        if opener is None:
            self.view.tell(NO_CAMERA)
            return
        model, detector = self.model.get(), self.detector.get()
        self.engine = Engine(lambda: self._load(model, detector), opener)
        self.engine.start()
        if self.tools.relative.get():
            self.engine.begin_baseline()
        self.tools.name_go(STOP)
        self.foot.note(on=True)

    def stop(self) -> None:
        """Stops reading and lets go of the camera."""
        engine, self.engine = self.engine, None
        if engine is not None and not engine.stop():
            self.foot.say("The camera does not answer; it is let go as soon as it does")
        self._end_recording()
        self._rest()

    def toggle(self) -> None:
        """Starts, or stops; what came to its end starts again."""
        if self.engine is None or self.engine.status.state in (State.ENDED, State.FAILED):
            self.start()
        else:
            self.stop()

    def close(self) -> None:
        """Stops and leaves."""
        self.root.after_cancel(self._next)
        self.stop()
        self.root.destroy()

    def ask_for_file(self) -> None:
        """Asks for a video or image, and starts with it."""
        chosen = filedialog.askopenfilename(parent=self.root, title="A video or an image")
        if chosen:
            self.open(Path(chosen))

    def open(self, path: Path) -> None:
        """Starts with a video or image."""
        self.tools.choose_file(path)
        self.start()

    def _restart(self) -> None:
        if self.engine is not None:
            self.start()

    def _rest(self) -> None:
        """The window as it is while nothing is read."""
        self.shown = self._followed = None
        self.tools.name_go(START)
        self.foot.note(on=False)
        self.foot.tell_rate("")
        self.foot.rest()
        self.view.tell(WELCOME if self.tools.anything else NO_CAMERA)
        self.side.rest()

    # -- showing what is read

    def _tick(self) -> None:
        """Shows the newest reading, if there is a new one."""
        engine = self.engine
        if engine is not None:
            reading = engine.newest()
            if reading is not None and reading is not self.shown:
                self._show(reading)
            if time.monotonic() - self._slow > SLOW:
                self._slow = time.monotonic()
                self._tell_state(engine)
        self._next = self.root.after(TICK, self._tick)

    def _show(self, reading: Reading) -> None:
        self.shown = reading
        face = self._face_of(reading.predictions)
        self._followed = face.track if face else self._followed
        self.paint_again()
        if face is None:
            self.side.show_none()
        else:
            self.side.show(face)
        self.strip.history.add(face, reading.frame.seconds)
        self._keeper.add(reading.result)
        self.delays.append(time.monotonic() - reading.taken)

    def paint_again(self) -> None:
        """Shows the newest frame, its faces boxed or covered."""
        if self.shown is None:
            return
        predictions = () if self.tools.covered.get() else self.shown.predictions
        mirrored = self.tools.mirrored.get() and self.tools.file is None
        self.view.show(self._image(self.shown), predictions, mirrored=mirrored, followed=self._followed)

    def _image(self, reading: Reading) -> Frame:
        """A reading's frame, its faces covered if that is wanted."""
        frame = reading.frame
        if not self.tools.covered.get():
            return frame.image
        return self._cover.covered(frame.image, reading.predictions, frame.seconds)

    def _face_of(self, predictions: Sequence[Prediction]) -> Prediction | None:
        """The face followed, else the largest."""
        followed = [one for one in predictions if one.track == self._followed]
        return next(iter([*followed, *predictions]), None)

    def _tell_state(self, engine: Engine) -> None:
        self.strip.redraw()
        if self.shown is not None and engine.rate:
            self.foot.tell_rate(_rate_words(engine.rate, self.shown, list(self.delays)[-50:]))
        status = engine.status
        if status.state in (State.ENDED, State.FAILED):
            self.tools.name_go(AGAIN)
        if status.state is State.FAILED:
            self.view.tell(status.words)
        if status.state is State.OPENING and self.shown is None:
            self.view.tell("Opening…")
        share = engine.baseline_share
        if status.state in (State.LOST, State.SILENT):
            self.foot.alarm(status.words)
        elif share is not None and share < 1:
            self.foot.ask(f"Look at the camera with a face at rest: {100 * share:.0f} %")
        else:
            self.foot.rest("Relative to your face at rest" if share else "")

    # -- what can be asked for

    def tell_keys(self) -> None:
        """Shows what the keys do."""
        messagebox.showinfo("Keys", KEYS, parent=self.root)

    def follow(self, track: int) -> None:
        """Shows the avatar of one face from now on."""
        self._followed = track
        self.paint_again()

    def follow_next(self) -> None:
        """Follows the next face, from the largest down."""
        tracks = [one.track for one in self.shown.predictions if one.track is not None] if self.shown else []
        if tracks:
            place = tracks.index(self._followed) + 1 if self._followed in tracks else 0
            self.follow(tracks[place % len(tracks)])

    def snapshot(self) -> None:
        """Writes what is shown as an image: with boxes and avatars, or with faces covered."""
        if self.shown is None:
            self.foot.say("There is no image yet")
            return
        image = self._image(self.shown)
        self._keeper.keep(image if self.tools.covered.get() else draw(image, self.shown.predictions))

    def fill_screen(self) -> None:
        """Fills the screen, or no longer."""
        self.root.attributes("-fullscreen", not self.root.attributes("-fullscreen"))

    def switch_baseline(self) -> None:
        """Begins a baseline, or ends it."""
        if self.engine is not None and self.tools.relative.get():
            self.engine.begin_baseline()
        elif self.engine is not None:
            self.engine.end_baseline()
            self.foot.say("The baseline is off")

    def switch_recording(self) -> None:
        """Begins a recording, or ends it."""
        if not self.tools.recording.get():
            self._end_recording()
        elif self.shown is None or not self.shown.predictions:
            self.tools.recording.set(False)
            self.foot.say("A recording begins when a face is shown")
        else:
            self._keeper.begin(self.shown.predictions[0].labels)
            self.tools.recording.set(self._keeper.recording)

    def _end_recording(self) -> None:
        self.tools.recording.set(False)
        self._keeper.end()


def _pressed(event: tk.Event[tk.Misc], run: Callable[[], object]) -> str | None:
    # a button that has the focus takes the space bar itself
    if event.keysym == "space" and event.widget.winfo_class() in ("TButton", "TCheckbutton", "TCombobox"):
        return None
    run()
    return "break"


def _rate_words(rate: float, reading: Reading, delays: list[float]) -> str:
    delay = 1000 * sorted(delays)[len(delays) // 2] if delays else 0.0
    return (
        f"{rate:.0f} a second; faces {reading.detecting:.0f} ms, expressions {reading.classifying:.0f} ms, "
        f"shown after {delay:.0f} ms"
    )
