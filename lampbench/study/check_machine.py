"""Whether this machine can run experiments: versions, devices, memory, disk, the hub, plugins."""

import contextlib
import os
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, TypeVar

from lampbench.registry import KINDS, Registry, plugin_paths
from lampbench.util.disk import free_disk_bytes
from lampbench.util.errors import LampbenchError
from lampbench.util.machine import releases, usable_cores
from lampbench.util.version import VERSION

T = TypeVar("T")
State = Literal["ok", "note", "wrong"]

OPTIONAL = {
    "bert-score": "the metric BERTScore; pip install 'lampbench[bertscore]'",
    "sentence-transformers": "dense retrieval; pip install 'lampbench[dense]'",
    "vllm": "--engine vllm without --vllm-python or --vllm-url; pip install 'lampbench[vllm]'",
    "ray": "--executor ray; pip install 'lampbench[ray]'",
}
"""Packages that are not required, and what needs each."""

_HUB_SECONDS = 5.0
_LITTLE_MEMORY, _LITTLE_DISK = 2 << 30, 1 << 30
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    `state` is "wrong" for what stops runs, "note" for what limits them; `text` then says what to
    do about it.
    """

    name: str
    state: State
    text: str


def check_machine(
    cache_dir: Path, results: Path, plugins: Sequence[str], hub_seconds: float = _HUB_SECONDS
) -> Iterator[Check]:
    """Every check of the machine, one by one; none waits longer than `hub_seconds` for the net."""
    yield Check("python", "ok", f"{platform.python_version()}, {usable_cores()} cores usable")
    yield Check("lampbench", "ok", VERSION)
    yield from check_packages()
    yield from _devices()
    yield _memory()
    yield _disk("cache", cache_dir, "--cache-dir")
    yield _disk("results", results, "--results")
    yield check_hub(hub_seconds)
    yield from _metrics_and_plugins(plugins)
    for package, version in releases(OPTIONAL).items():
        if version is None:
            yield Check(package, "note", f"not installed; needed for {OPTIONAL[package]}")
        else:
            yield Check(package, "ok", version)


def check_packages() -> Iterator[Check]:
    """The packages that lampbench requires, against the versions that it asks for."""
    from packaging.requirements import Requirement

    try:
        asked = [Requirement(text) for text in metadata.requires("lampbench") or ()]
    except metadata.PackageNotFoundError:
        yield Check("packages", "note", "not checked: lampbench is not installed; pip install -e .")
        return
    needed = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    found = releases([one.name for one in needed])
    for one in needed:
        version = found[one.name]
        if version is None:
            yield Check(one.name, "wrong", f"not installed; pip install '{one}'")
        elif not one.specifier.contains(version, prereleases=True):
            yield Check(one.name, "wrong", f"{version} is too old; pip install '{one}'")
        else:
            yield Check(one.name, "ok", f"{version} ({one.specifier})")


def _devices() -> Iterator[Check]:
    try:
        import torch
    except Exception as error:  # a broken installation raises anything
        yield Check("devices", "wrong", f"torch cannot be imported ({error}); install it again")
        return
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        text = f"{name}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
        yield Check(f"cuda:{number}", "ok", text)
    if torch.backends.mps.is_available():
        yield Check("mps", "ok", "Apple's GPU")
    elif not torch.cuda.is_available():
        yield Check("devices", "note", "CPU only; large models will be slow")


def _memory() -> Check:
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return Check("memory", "note", "free memory is not known on this system")
    with contextlib.suppress(OSError, StopIteration, ValueError):  # with what caches give back
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        free = int(line.split()[1]) * 1024
    text = f"{free / _GIB:.1f} GiB free"
    if free < _LITTLE_MEMORY:
        return Check("memory", "note", f"{text}; close other programs, or use a small model")
    return Check("memory", "ok", text)


def _disk(name: str, folder: Path, option: str) -> Check:
    existed = folder.exists()
    parent = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        what = "is not writable" if parent.is_dir() else "is not a folder"
        return Check(name, "wrong", f"{folder}: {parent} {what}; choose another with {option}")
    free = free_disk_bytes(folder)
    text = f"{folder}: {free / _GIB:.1f} GiB free"
    if free < _LITTLE_DISK:
        return Check(name, "note", f"{text}; free some space or choose another with {option}")
    return Check(name, "ok", text if existed else f"{text} (not there yet)")


def check_hub(seconds: float) -> Check:
    """Whether Hugging Face's hub answers within some seconds."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return Check("hub", "note", "not asked: HF_HUB_OFFLINE is set; unset it to download")
    import urllib.error
    import urllib.request

    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    use = "use models and data that are downloaded, or check network and proxy"

    def ask() -> None:
        try:
            request = urllib.request.Request(address, method="HEAD")
            urllib.request.urlopen(request, timeout=seconds).close()
        except urllib.error.HTTPError:  # it answered
            return

    try:
        within(seconds, ask)
    except TimeoutError:
        return Check("hub", "note", f"{address} did not answer in {seconds:.0f} s; {use}")
    except (OSError, ValueError) as error:
        return Check("hub", "note", f"{address} cannot be reached ({error}); {use}")
    return Check("hub", "ok", f"{address} answers")


def within(seconds: float, function: Callable[[], T]) -> T:
    """What a function returns, if it does so in time; it is left running otherwise.

    Raises:
        TimeoutError: it took longer.
    """
    found: list[T] = []
    failed: list[BaseException] = []

    def call() -> None:
        try:
            found.append(function())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found[0]


def _metrics_and_plugins(plugins: Sequence[str]) -> Iterator[Check]:
    try:
        registry = Registry(plugin_paths(plugins))
        rows = {kind: registry.rows(kind) for kind in KINDS}
    except LampbenchError as error:
        yield Check("plugins", "wrong", str(error))
        return
    broken = [(kind, row) for kind in KINDS for row in rows[kind] if row.error]
    for kind, row in broken:
        text = f"{row.origin}: {row.error}; fix the file or do not name it"
        yield Check(f"{kind} {row.name}", "wrong", text)
    for row in rows["metric"]:
        if row.plugin is not None and (why := row.plugin.missing()):
            yield Check(f"metric {row.name}", "note", why)
    if not broken:
        counts = ", ".join(f"{len(rows[kind])} {kind}s" for kind in KINDS)
        yield Check("plugins", "ok", counts)
