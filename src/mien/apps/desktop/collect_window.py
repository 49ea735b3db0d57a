"""The window that collects images: it shows one expression after another to pose, and saves images of each."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk
from typing import TYPE_CHECKING

from mien.apps.desktop.image_view import ImageView
from mien.apps.desktop.panels import AvatarPanel
from mien.apps.desktop.theme import density, dress
from mien.live.collection import CONSENT
from mien.live.engine import State

if TYPE_CHECKING:
    from mien.apps.desktop.theme import Palette
    from mien.live.collection import Collection
    from mien.live.engine import Engine, LiveResult
    from mien.visualization.avatar.styles import AvatarKind

POLL_MS = 15
"""Interval at which the window polls the engine."""

HINT = "space takes an image, backspace deletes the last one, arrows choose another expression, q quits"


class CollectionWindow:
    """Requests consent, then shows one expression after another.

    Args:
        collection: where images go.
        engine: detects the faces; it is started, and the camera opened, only after consent.
        kind: of the avatar that shows the expression.
        root: the Tk window.
        colours: of the window.
        mirrored: whether the image is mirrored.
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
        self._shown: LiveResult | None = None
        self.root.title("mien collect")
        dress(self.root, colours)
        scale = density(self.root)
        self.root.geometry(f"{round(1000 * scale)}x{round(640 * scale)}")
        self._gap = round(10 * scale)
        self._consent = self._consent_page()
        self._stage = ttk.Frame(self.root)
        self.view = ImageView(self._stage, colours, scale, lambda _: None)
        self.avatar = AvatarPanel(self._stage, colours, round(220 * scale), kind)
        self.expression = ttk.Label(self._stage, style="Large.TLabel", anchor="center")
        self.counts = ttk.Label(self._stage, justify="left")
        self.message = ttk.Label(self._stage, text=HINT, style="Dim.TLabel")
        self._arrange()
        self._at = next((at for at in range(len(collection.labels)) if self._missing(at)), 0)
        self.root.protocol("WM_DELETE_WINDOW", self.close)
        self.root.bind("q", lambda _: self.close())
        self._next: str | None = None

    def _consent_page(self) -> ttk.Frame:
        """The notice that must be agreed to before the camera is opened."""
        page = ttk.Frame(self.root)
        page.pack(expand=True)
        text = CONSENT.format(folder=self.collection.folder.absolute())
        ttk.Label(page, text=text, justify="left", wraplength=60 * self._gap).pack(pady=2 * self._gap)
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

    def _arrange(self) -> None:
        stage, gap = self._stage, self._gap
        stage.columnconfigure(0, weight=1)
        stage.rowconfigure(2, weight=1)
        self.view.grid(row=0, column=0, rowspan=4, sticky="nsew", padx=gap, pady=gap)
        self.avatar.grid(row=0, column=1, padx=gap, pady=gap)
        self.expression.grid(row=1, column=1, sticky="ew")
        self.counts.grid(row=2, column=1, sticky="n", pady=gap)
        buttons = ttk.Frame(stage)
        buttons.grid(row=3, column=1, pady=gap)
        for text, command in (("Take", self.take), ("Delete last", self.delete_last), ("Next", self.next_expression)):
            style = "Go.TButton" if text == "Take" else "TButton"
            ttk.Button(buttons, text=text, command=command, style=style).pack(side="left", padx=gap // 4)
        self.message.grid(row=4, column=0, columnspan=2, sticky="ew", padx=gap, pady=(0, gap))

    def begin(self) -> None:
        """Open the camera, after consent."""
        self._consent.pack_forget()
        self._stage.pack(fill="both", expand=True)
        for key, command in (
            ("<space>", self.take),
            ("<BackSpace>", self.delete_last),
            ("<Right>", self.next_expression),
            ("<Left>", lambda: self.next_expression(-1)),
        ):
            self.root.bind(key, lambda _, run=command: run())  # type: ignore[misc]  # the default binds it
        self.root.focus_set()
        self.root.update_idletasks()
        self._show_expression()
        self._engine.start()
        self._poll()

    def close(self) -> None:
        """Close the camera and the window."""
        if self._next is not None:
            self.root.after_cancel(self._next)
            self._engine.stop()
        self.root.destroy()

    @property
    def label(self) -> str:
        """The expression to pose."""
        return self.collection.labels[self._at]

    def take(self) -> None:
        """Save an image of the largest face."""
        if self._shown is None or not self._shown.predictions:
            self.message.configure(text="There is no face in the image", style="Alarm.TLabel")
            return
        try:
            path = self.collection.save(self.label, self._shown.frame.image, self._shown.predictions[0].face)
        except OSError as error:
            self.message.configure(text=f"The image cannot be written ({error})", style="Alarm.TLabel")
            return
        self.message.configure(text=f"Written: {path}", style="Dim.TLabel")
        if not self._missing(self._at):
            self.next_expression()
        self._show_expression()

    def delete_last(self) -> None:
        """Delete the last image."""
        path = self.collection.delete_last()
        self.message.configure(text=f"Deleted: {path}" if path else "No image was taken yet", style="Dim.TLabel")
        self._show_expression()

    def next_expression(self, step: int = 1) -> None:
        """Go to another expression."""
        self._at = (self._at + step) % len(self.collection.labels)
        self._show_expression()

    def _missing(self, at: int) -> int:
        return self.collection.missing(self.collection.labels[at])

    def _show_expression(self) -> None:
        collection = self.collection
        complete = not any(map(self._missing, range(len(collection.labels))))
        self.expression.configure(text="Complete: thank you" if complete else self.label)
        self.avatar.show((self.label,), (1.0,))
        rows = [f"{collection.count(label)} of {collection.per_label}  {label}" for label in collection.labels]
        self.counts.configure(text="\n".join(rows))

    def _poll(self) -> None:
        latest, status = self._engine.latest(), self._engine.status
        if latest is not None and latest is not self._shown:
            self._shown = latest
            self.view.show(latest.frame.image, (), mirrored=self._mirrored, followed=None)
            self.view.outline_faces([prediction.face.box for prediction in latest.predictions[:1]])
        elif status.state is State.FAILED or self._shown is None:
            self.view.show_message(status.message)
        if status.state in (State.LOST, State.SILENT):
            self.message.configure(text=status.message, style="Alarm.TLabel")
        self._next = self.root.after(POLL_MS, self._poll)
