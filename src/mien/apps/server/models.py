"""``/v1/models``: which models are here, their cards, and their files for who runs them elsewhere."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from mien.apps.model_file import inspect_model
from mien.apps.server.faults import Refusal
from mien.apps.server.pages import unless_known
from mien.errors import ModelError
from mien.models.card import ModelCard
from mien.models.onnx_file import any_card_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.apps.server.service import Service
    from mien.models.store import ModelStore

PACKAGE = "package"
ONNX = "application/octet-stream"


@dataclass(frozen=True)
class Listed:
    """A model as clients are told of it.

    Attributes:
        name: by which it is asked for.
        kind: "classifier" or "detector".
        labels: that it answers with; of a detector, and of one that is not here, none.
        here: whether it is on this machine.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    here: bool


class Models:
    """The models of a store, and the one that answers, which may be a file.

    Args:
        store: where they are found.
        served: name or path of the one that answers.
        told: gives the name in its card.
    """

    def __init__(self, store: ModelStore, served: str, told: Callable[[], str]) -> None:
        self._store, self._served, self._told = store, served, told
        self._is_file = served not in {entry.name for entry in store.entries()}
        # by SHA-256: what takes a while to find out of a file is asked by every page that reads by itself
        self._described: dict[str, dict[str, Any]] = {}
        self._labelled: dict[str, tuple[str, ...]] = {}

    @property
    def default(self) -> str:
        """The name of the one that answers."""
        return self._told() if self._is_file else self._served

    def listed(self) -> list[Listed]:
        """All models."""
        entries = {entry.name: entry.kind for entry in self._store.entries() if entry.kind != PACKAGE}
        here = {name for name in entries if self._store.has(name)}
        if self._is_file:
            entries, here = {**entries, self.default: "classifier"}, {*here, self.default}
        return [
            Listed(name, kind, self._labels(name) if name in here else (), name in here)
            for name, kind in entries.items()
        ]

    def content(self, name: str) -> bytes:
        """The checked bytes of a model's file.

        Raises:
            Refusal: it is not here.
        """
        known = {entry.name for entry in self._store.entries() if entry.kind != PACKAGE}
        own = self._is_file and name == self.default
        if not own and name not in known:
            raise Refusal("not_found", "expected the name of a model; received another. See /v1/models")
        try:
            # a path that the command named, never one that a request did
            return self._store.load(Path(self._served) if own else name)
        except ModelError as error:
            raise Refusal("not_found", f"{name} is not on this machine: mien models pull {name}") from error

    def card(self, name: str) -> dict[str, Any]:
        """What a model is, as ``mien models show NAME --json`` prints it; of the same bytes it is looked up once.

        Raises:
            Refusal: it is not here.
        """
        content = self.content(name)
        digest = _digest(content)
        if digest not in self._described:
            self._described[digest] = inspect_model(content).to_dict()
        return self._described[digest]

    def _labels(self, name: str) -> tuple[str, ...]:
        content = self.content(name)
        digest = _digest(content)
        if digest not in self._labelled:
            self._labelled[digest] = _labels_in(content)
        return self._labelled[digest]


def _labels_in(content: bytes) -> tuple[str, ...]:
    try:
        card = any_card_of(content)
    except ModelError:  # a detector of others, without a card of mien's
        return ()
    return tuple(map(str, card.fused.labels)) if isinstance(card, ModelCard) else ()


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/models")

    @routes.get("", summary="The models that are here")
    async def models() -> Response:
        """Name, kind and labels of each, and which answers."""
        listed = await asyncio.to_thread(service.models.listed)
        return JSONResponse({"default": service.models.default, "models": list(map(dataclasses.asdict, listed))})

    @routes.get("/{name}", summary="A model's card")
    async def card(name: str) -> Response:
        """As ``mien models show NAME --json`` prints it."""
        return JSONResponse(await asyncio.to_thread(service.models.card, name))

    @routes.get("/{name}/file", summary="A model's file")
    async def file(request: Request, name: str) -> Response:
        """Its .onnx."""
        content = await asyncio.to_thread(service.models.content, name)
        return unless_known(request, content, ONNX, await asyncio.to_thread(_digest, content))

    return routes


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
