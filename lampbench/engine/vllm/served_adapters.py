"""The adapters that a server holds: loaded when they are needed, unloaded when it holds too many.

vLLM takes one LoRA per request, and ignores ranks and scales that differ between layers. So what is
served is always one new adapter, the sum of those of a request: their ranks are concatenated, which
is exact (r1 + r2 columns), and its scale is 1.
"""

import contextlib
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lampbench.engine.adapter_files import file_signature
from lampbench.engine.combine_adapters import combine_adapters
from lampbench.engine.protocol import CombineJob, Weights
from lampbench.engine.vllm.http_client import ServerGone, ServerRefused
from lampbench.engine.vllm.server import Server
from lampbench.engine.vllm.server_checks import adapter_names
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest, file_digest

_NOT_FOUND = 404
_UNLOAD_SECONDS = 30.0


class AdapterFolders:
    """Writes the adapters that are served into `folder`, each once.

    `model` has the shapes of the model's layers, and `base` is where the model is. Their names are
    no other process's: a server reads an adapter's files again when it needs to, and another
    process that used the same adapter would delete them.
    """

    def __init__(self, folder: Path, model: Any, base: str) -> None:
        self._folder, self._model, self._base = folder, model, base
        self._prefix = f"lampbench-{secrets.token_hex(8)}"
        self._made: dict[Any, Path] = {}
        self._lock = threading.Lock()

    def of(self, weights: Weights) -> Path:
        """The folder of the sum of some adapters; its name ends with a digest of what it holds.

        Raises:
            LampbenchError: an adapter is missing, damaged, more than a plain LoRA, on the output
                layer or the embeddings, or made for another model.
        """
        with self._lock:
            key = tuple(file_signature(path) for path in weights)
            if key not in self._made:
                self._made[key] = self._make(weights)
            return self._made[key]

    def drop(self, name: str) -> None:
        """Delete the folder of that name; it is written again when it is asked for."""
        with self._lock:
            self._made = {key: path for key, path in self._made.items() if path.name != name}
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _make(self, weights: Weights) -> Path:
        made = self._folder / "new"
        terms = tuple((path, 1.0) for path in weights)
        combine_adapters(CombineJob(terms, made), self._model, self._base)
        content = [file_digest(file) for file in sorted(made.iterdir())]
        named = self._folder / f"{self._prefix}-{digest(content)}"
        shutil.rmtree(named, ignore_errors=True)
        made.rename(named)
        return named


@dataclass(slots=True)
class _Loaded:
    """One loading of an adapter: `users` are its requests that are under way."""

    users: int = 0


class ServedAdapters:
    """Loads adapters into a server, and unloads those that have not been used for longest.

    At most `most` are loaded at a time; a request for one more waits until one is free.
    """

    def __init__(self, server: Server, folders: AdapterFolders, most: int) -> None:
        self._server, self._folders, self._most = server, folders, most
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self._free = threading.Condition()

    @contextlib.contextmanager
    def use(self, weights: Weights) -> Iterator[str]:
        """The name under which the server has the sum of some adapters, while it is used.

        Raises:
            LampbenchError: an adapter cannot be used, or the server refuses it.
            ServerGone: the server does not answer.
        """
        name = self._folders.of(weights).name
        with self._free:
            self._free.wait_for(lambda: name in self._loaded or self._has_room())
            if name not in self._loaded:
                # again: while this one waited, another may have unloaded and dropped it
                self._load(name, self._folders.of(weights))
            loaded = self._loaded.setdefault(name, _Loaded())
            loaded.users += 1
            self._loaded.move_to_end(name)
        try:
            yield name
        finally:
            with self._free:
                loaded.users -= 1
                self._free.notify_all()

    def refresh(self) -> None:
        """Keep only what the server still has: it may be a new one, or somebody unloaded some.

        Raises:
            ServerGone: the server does not answer.
        """
        with self._free:
            there = adapter_names(self._server.client)
            self._loaded = OrderedDict(
                (name, loaded) for name, loaded in self._loaded.items() if name in there
            )
            self._free.notify_all()

    def unload_all(self) -> None:
        """Take all adapters out of the server, if it still answers soon."""
        with self._free, contextlib.suppress(ServerGone):
            for name in list(self._loaded):
                self._unload(name, timeout=_UNLOAD_SECONDS)

    def _has_room(self) -> bool:
        return len(self._loaded) < self._most or any(
            not loaded.users for loaded in self._loaded.values()
        )

    def _load(self, name: str, folder: Path) -> None:
        while len(self._loaded) >= self._most:
            self._unload(next(one for one, loaded in self._loaded.items() if not loaded.users))
        try:
            self._server.client.post(
                "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder.resolve())}
            )
        except ServerRefused as refused:
            if "already been loaded" not in str(refused):  # for a reply that was lost
                raise LampbenchError(_refusal(folder, refused)) from refused

    def _unload(self, name: str, timeout: float | None = None) -> None:
        with contextlib.suppress(ServerRefused):  # it is not there
            self._server.client.post(
                "/v1/unload_lora_adapter", {"lora_name": name}, timeout=timeout
            )
        del self._loaded[name]
        self._folders.drop(name)


def _refusal(folder: Path, refused: ServerRefused) -> str:
    cause = str(refused)
    if "max_lora_rank" in cause:
        return (
            f"an adapter is too large for the server ({cause}); start it with a larger "
            "--max-lora-rank: the ranks of a request's adapters add up"
        )
    if refused.status == _NOT_FOUND and "No adapter found" in cause:
        return (
            f"the server cannot read {folder}; it must share lampbench's file system and be "
            "allowed to read the cache's folder (--cache-dir chooses another)"
        )
    if refused.status == _NOT_FOUND:
        return (
            "the server cannot load adapters while it runs; start it with --enable-lora and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment"
        )
    return f"the server refused an adapter: {cause}"
