"""Whether a worker's machine has what a command needs, known before the work begins."""

import contextlib
import os
import platform
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lampbench.engine.model_files import fingerprint
from lampbench.engine.models import resolve_model
from lampbench.execution.remote_folder import store_of
from lampbench.execution.remote_store import RemoteStore
from lampbench.util.errors import LampbenchError
from lampbench.util.machine import releases
from lampbench.util.version import VERSION

_PACKAGES = ("torch", "transformers", "peft", "tokenizers")
"""Packages whose version may change an answer."""


@dataclass(frozen=True)
class Need:
    """What every node must have: the driver's versions, its cache and results, its models.

    `folder` is the driver's, `cache_dir` and `results` are absolute, `models` have fingerprints and
    the bytes of their weights. `store` is the URL of a cache in a remote store, empty for a folder.
    """

    folder: str
    cache_dir: str
    results: str
    device: str | None
    models: dict[str, tuple[str, int]]
    versions: dict[str, str | None] = field(default_factory=lambda: own_versions())
    secret: str = field(default_factory=lambda: secrets.token_hex(8))
    store: str = ""

    @contextlib.contextmanager
    def token(self) -> Iterator[None]:
        """A file in the cache while nodes are asked whether they see it."""
        if self.store:
            with RemoteStore(self.store).token(self.secret):
                yield
            return
        file = self._file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.secret, encoding="ascii")
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return Path(self.cache_dir) / f".probe-{self.secret}"

    def is_shared(self) -> bool:
        """Whether this machine sees the driver's cache.

        Raises:
            LampbenchError: it is in a store that cannot be used from here.
        """
        if self.store:
            return RemoteStore(self.store).read_token(self.secret) == self.secret
        try:
            return self._file.read_text(encoding="ascii") == self.secret
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node has: versions, the driver's cache or not, what is wrong with the models and with
    the remote store of the cache.
    """

    versions: dict[str, str | None]
    shared: bool
    models: tuple[str, ...]
    store: str = ""


def need_of(models: Sequence[str], cache_dir: Path, results: Path, device: str | None) -> Need:
    """What nodes need for some models, as far as this machine has it.

    Raises:
        LampbenchError: this machine has no such model.
    """
    found = {}
    for name in models:
        spec = resolve_model(name)
        weights = 0
        if spec.folder is not None:
            weights = sum(file.stat().st_size for file in Path(spec.folder).glob("*.safetensors"))
        found[name] = fingerprint(spec), weights
    store = store_of(cache_dir)
    return Need(
        str(Path.cwd()), str(cache_dir.absolute()), str(results.absolute()), device, found,
        store="" if store is None else store.url,
    )  # fmt: skip


def own_versions() -> dict[str, str | None]:
    """Versions of what may change an answer, here."""
    return {"lampbench": VERSION, "Python": platform.python_version(), **releases(_PACKAGES)}


def look_around(need: Need) -> NodeReport:
    """What this machine has of what is needed."""
    wrong = []
    try:
        shared = need.is_shared()
    except LampbenchError as error:
        return NodeReport(own_versions(), False, (), str(error))
    if shared:
        for name, (expected, weights) in need.models.items():
            if problem := _model_problem(name, expected, weights, need):
                wrong.append(problem)
    return NodeReport(own_versions(), shared, tuple(wrong))


def _model_problem(name: str, expected: str, weights: int, need: Need) -> str:
    try:
        enter(need.folder, made=bool(need.store))
        found = fingerprint(resolve_model(name))
    except (LampbenchError, OSError) as error:
        return f"model {name} is not there: {error}"
    if found != expected:
        return f"model {name} has other files there ({found}) than here ({expected})"
    free = _free_memory(need.device)
    if free < weights:
        return (
            f"{free:,} bytes of memory are free, and the weights of {name} take {weights:,}; use "
            "larger nodes or a smaller model"
        )
    return ""


def _free_memory(device: str | None) -> int:
    """Bytes free where the model would be."""
    import torch

    from lampbench.engine.device_memory import free_memory

    on_gpu = device != "cpu" and torch.cuda.is_available()
    return free_memory(torch.device("cuda" if on_gpu else "cpu"))


def enter(folder: str, *, made: bool) -> None:
    """Work in the driver's folder; `made` where this machine need not share it.

    Raises:
        OSError: it is not there, or cannot be made.
    """
    if made:
        Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)


def problem_of(report: NodeReport | str, need: Need) -> str:
    """What is wrong with a node, in one line; empty if nothing is."""
    if isinstance(report, str):
        return f"lampbench cannot be imported ({report}); install lampbench {VERSION} there"
    for package, here in need.versions.items():
        if (there := report.versions.get(package)) != here:
            return f"has {package} {there}, this machine {here}; install the same version"
    if report.store:
        return report.store
    if not report.shared:
        place = need.store or need.cache_dir
        return (
            f"does not see the cache {place} of this machine; give a folder that all nodes share, "
            "or the URL of a store, with --cache-dir"
        )
    return report.models[0] if report.models else ""
