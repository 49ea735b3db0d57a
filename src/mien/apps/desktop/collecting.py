"""The window that asks for one expression after another, and keeps images of each."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk
from typing import TYPE_CHECKING

from mien.apps.desktop.panels import AvatarPanel
from mien.apps.desktop.theme import density, dress
from mien.apps.desktop.view import ImageView
from mien.live.collection import CONSENT
from mien.live.engine import State

if TYPE_CHECKING:
    from mien.apps.desktop.theme import Palette
    from mien.live.collection import Collection
    from mien.live.engine import Engine, Reading
    from mien.visualization.avatar.styles import AvatarKind

TICK = 15
"""Milliseconds between looks for a new reading."""

HINT = "space takes an image, backspace deletes the last one, arrows choose another expression, q leaves"


class CollectionWindow:
    """Asks for consent, then for one expression after another.

    Args:
        collection: where images go.
        engine: finds the faces; started, and so the camera opened, only after consent.
        kind: what the avatar that shows the expression looks like.
        root: Tk's.
        colours: of the window.
        mirrored: whether the image is shown as in a mirror.
    """

    def __init__(
        self,
        collection: Collection,
        engine: Engine,
        kind: AvatarKind,
        root: tk.Tk,
        colours: Palette,
        *,
        mirrored: bool = True,
    ) -> None:
        self.root, self.collection = root, collection
        self._engine, self._mirrored = engine, mirrored
        self._shown: Reading | None = None
        self.root.title("mien collect")
        dress(self.root, colours)
        dense = density(self.root)
        self.root.geometry(f"{round(1000 * dense)}x{round(640 * dense)}")
        self._gap = round(10 * dense)
        self._consent = self._ask()
        self._stage = ttk.Frame(self.root)
        self.view = ImageView(self._stage, colours, dense, lambda _: None)
        self.avatar = AvatarPanel(self._stage, colours, round(220 * dense), kind)
        self.word = ttk.Label(self._stage, style="Word.TLabel", anchor="center")
        self.counts = ttk.Label(self._stage, justify="left")
        self.told = ttk.Label(self._stage, text=HINT, style="Dim.TLabel")
        self._lay_out()
        self._at = next((at for at in range(len(collection.labels)) if self._missing(at)), 0)
        self.root.protocol("WM_DELETE_WINDOW", self.close)
        self.root.bind("q", lambda _: self.close())
        self._next: str | None = None

    def _ask(self) -> ttk.Frame:
        """The notice, which has to be agreed to before the camera is opened."""
        page = ttk.Frame(self.root)
        page.pack(expand=True)
        words = CONSENT.format(folder=self.collection.folder.absolute())
        ttk.Label(page, text=words, justify="left", wraplength=60 * self._gap).pack(pady=2 * self._gap)
        agreed = tk.BooleanVar(self.root, value=False)
        begin = ttk.Button(page, text="Begin", style="Go.TButton", command=self.begin, state="disabled")
        agree = ttk.Checkbutton(
            page,
            text="Everybody in the image knows this and agrees",
            style="Toolbutton",
            variable=agreed,
            command=lambda: begin.configure(state="normal" if agreed.get() else "disabled"),
        )
        agree.pack(pady=self._gap)
        begin.pack()
        return page

    def _lay_out(self) -> None:
        stage, gap = self._stage, self._gap
        stage.columnconfigure(0, weight=1)
        stage.rowconfigure(2, weight=1)
        self.view.grid(row=0, column=0, rowspan=4, sticky="nsew", padx=gap, pady=gap)
        self.avatar.grid(row=0, column=1, padx=gap, pady=gap)
        self.word.grid(row=1, column=1, sticky="ew")
        self.counts.grid(row=2, column=1, sticky="n", pady=gap)
        buttons = ttk.Frame(stage)
        buttons.grid(row=3, column=1, pady=gap)
        for words, command in (("Take", self.take), ("Delete last", self.delete_last), ("Next", self.go_on)):
            style = "Go.TButton" if words == "Take" else "TButton"
            ttk.Button(buttons, text=words, command=command, style=style).pack(side="left", padx=gap // 4)
        self.told.grid(row=4, column=0, columnspan=2, sticky="ew", padx=gap, pady=(0, gap))

    def begin(self) -> None:
        """Opens the camera, after consent."""
        self._consent.pack_forget()
        self._stage.pack(fill="both", expand=True)
        for keys, command in (
            ("<space>", self.take),
            ("<BackSpace>", self.delete_last),
            ("<Right>", self.go_on),
            ("<Left>", lambda: self.go_on(-1)),
        ):
            self.root.bind(keys, lambda _, run=command: run())  # type: ignore[misc]  # the default binds it
        self.root.focus_set()
        self.root.update_idletasks()
        self._show_wanted()
        self._engine.start()
        self._tick()

    def close(self) -> None:
        """Lets go of the camera and leaves."""
        if self._next is not None:
            self.root.after_cancel(self._next)
            self._engine.stop()
        self.root.destroy()

    @property
    def label(self) -> str:
        """The expression that is asked for."""
        return self.collection.labels[self._at]

    def take(self) -> None:
        """Keeps an image of the largest face."""
        if self._shown is None or not self._shown.predictions:
            self.told.configure(text="There is no face in the image", style="Alarm.TLabel")
            return
        try:
            path = self.collection.keep(self.label, self._shown.frame.image, self._shown.predictions[0].face)
        except OSError as error:
            self.told.configure(text=f"It can't be written ({error})", style="Alarm.TLabel")
            return
        self.told.configure(text=f"Written: {path}", style="Dim.TLabel")
        if not self._missing(self._at):
            self.go_on()
        self._show_wanted()

    def delete_last(self) -> None:
        """Deletes the image taken last."""
        path = self.collection.delete_last()
        self.told.configure(text=f"Deleted: {path}" if path else "None was taken yet", style="Dim.TLabel")
        self._show_wanted()

    def go_on(self, by: int = 1) -> None:
        """Asks for another expression."""
        self._at = (self._at + by) % len(self.collection.labels)
        self._show_wanted()

    def _missing(self, at: int) -> int:
        return self.collection.missing(self.collection.labels[at])

    def _show_wanted(self) -> None:
        done = not any(map(self._missing, range(len(self.collection.labels))))
        self.word.configure(text="All there: thank you" if done else self.label)
        self.avatar.show((self.label,), (1.0,))
        rows = [
            f"{self.collection.count(label)} of {self.collection.wanted}  {label}" for label in self.collection.labels
        ]
        self.counts.configure(text="\n".join(rows))

    def _tick(self) -> None:
        reading, status = self._engine.newest(), self._engine.status
        if reading is not None and reading is not self._shown:
            self._shown = reading
            largest = reading.predictions[:1]
            self.view.show(reading.frame.image, (), mirrored=self._mirrored, followed=None)
            self.view.frame_faces([one.face.box for one in largest])
        elif status.state is State.FAILED or self._shown is None:
            self.view.tell(status.words)
        if status.state in (State.LOST, State.SILENT):
            self.told.configure(text=status.words, style="Alarm.TLabel")
        self._next = self.root.after(TICK, self._tick)
