"""The JSON file of a benchmark: results, settings, and the machine they were measured on."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lampbench.record.versions import versions
from lampbench.util.machine import hardware

RESULTS = Path(__file__).parent / "results"


def write_results(benchmark: str, settings: Mapping[str, Any], results: Any, folder: Path) -> None:
    """Write a benchmark's results to `folder`, in a file of its name.

    Results that are already in the file and were not measured again stay there, if the machine and
    the settings are the same. What was measured on a GPU says so in the setting `device`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{benchmark.replace('/', '-')}.json"  # a model may be a hub id or a folder
    machine = asdict(hardware(settings.get("device", "cpu")))
    page = {"benchmark": benchmark, "hardware": machine, "settings": _as_json(settings)}
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    same = all(known.get(name) == value for name, value in page.items())
    everything = {**(known["results"] if same else {}), **results}
    text = json.dumps({**page, "versions": versions(), "results": everything}, indent=1)
    file.write_text(text + "\n", encoding="utf-8")


def _as_json(value: Any) -> Any:
    """A value as it comes back from a JSON file."""
    return json.loads(json.dumps(value))
