"""Data of the report's files: JSON, compressed, read when it is first asked for."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from markupsafe import Markup

from lampbench.record.gzip_text import compress
from lampbench.record.recorded_run import Run
from lampbench.util.hashing import canonical


@dataclass(frozen=True, slots=True)
class PackedData:
    """A JSON value as gzip in base64, for a script element; `name` says what it is about."""

    kind: Literal["examples", "manifests", "comparisons"]
    name: str
    packed: Markup


def packed_data(kind: Literal["examples", "manifests", "comparisons"], name: str,
                value: Any) -> PackedData:  # fmt: skip
    """A JSON value, packed: text that means nothing in HTML."""
    text = b64encode(compress(canonical(value).encode("ascii"))).decode("ascii")
    return PackedData(kind, name, Markup(text))


def packed_manifests(name: str, runs: Iterable[Run]) -> PackedData:
    """Manifests as positions in one list of values, since most runs share most of their values."""
    values: list[Any] = []
    places: dict[str, int] = {}
    manifests = []
    for run in runs:
        numbered = {}
        for key, value in sorted(asdict(run.manifest).items()):
            text = canonical(value)
            if text not in places:
                places[text] = len(values)
                values.append(value)
            numbered[key] = places[text]
        manifests.append(numbered)
    return packed_data("manifests", name, {"values": values, "manifests": manifests})
