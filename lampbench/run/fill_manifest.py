"""The manifest of a run: how each of its numbers was made."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lampbench
from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.data.stats import measure, words
from lampbench.engine.models import commit_of, is_bundled, resolve_model
from lampbench.plugin.hyperparameter import Part, child_parts
from lampbench.run.plan import Plan
from lampbench.util.machine import releases, usable_cores

_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "tokenizers",
    "accelerate",
    "rank-bm25",
    "rouge-score",
    "nltk",
    "sacrebleu",
)


def describe(
    plan: Plan,
    stages: Sequence[Mapping[str, Any]],
    predictions: Sequence[Mapping[str, Any]],
    command: Sequence[str],
) -> dict[str, Any]:
    """Everything known about a run but its scores, which are added when it is written."""
    executor, method, dataset = plan.executor, plan.method, plan.spec.dataset
    spec = resolve_model(executor.model)
    return {
        "key": plan.folder.name,
        "method": method.name,
        "method_title": method.title or method.name,
        "task": executor.task.name,
        "task_title": executor.task.title,
        "model": spec.name,
        "seed": executor.seed,
        "preset": plan.preset,
        "fidelity": executor.fidelity.name,
        "overrides": {path: setting.value for path, setting in sorted(plan.overridden.items())},
        "choices": {
            name: _shape(getattr(method, name)) for name in ("prompting", "adaptation", "decoding")
        },
        "parts": {
            path: {"value": setting.value, "source": setting.source}
            for path, setting in sorted(plan.settings.items())
        },
        "dataset": describe_data(dataset, executor.task),
        "model_info": {
            "location": "lampbench.bundled" if is_bundled(spec) else spec.location,
            "revision": commit_of(spec),
            "device": executor.engines.device(executor.model),
            **executor.engines.identity(executor.model),
        },
        "versions": versions(),
        "hardware": hardware(),
        "command": shlex.join(command),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "stages": list(stages),
        **({"failed_users": dict(executor.failed_users)} if executor.failed_users else {}),
        "prompt_head": list(predictions[0]["prompt_head"]) if predictions else [],
        "prompts_shortened": sum(row["prompt_tokens_dropped"] > 0 for row in predictions),
    }


def _shape(part: Part | None) -> dict[str, Any] | None:
    """A part's class and, by field, the parts inside it; None for no part."""
    if part is None:
        return None
    inside = {name: _shape(child) for name, child in child_parts(part)}
    return {"part": type(part).__name__, **inside}


def describe_data(dataset: Dataset, task: Task) -> dict[str, Any]:
    """A dataset's content by its fingerprints, how to read it again, and its row of Table 4."""
    row = asdict(measure(dataset, task, words, "word"))
    elsewhere = ("task", "source", "synthetic", "users", "queries", "notes")
    return {
        "source": dataset.source,
        "asked": dict(dataset.asked),
        "fingerprint": dataset.fingerprint,
        "query_fingerprint": dataset.query_fingerprint,
        "synthetic": dataset.synthetic,
        "train_users": len(dataset.train_users),
        "test_users": len(dataset.test_users),
        "queries": sum(len(user.queries) for user in dataset.test_users),
        "notes": list(dataset.notes),
        "statistics": {name: value for name, value in row.items() if name not in elsewhere},
    }


def versions() -> dict[str, str | None]:
    """Versions of what a number depends on; None where a package is not installed."""
    return {
        "lampbench": lampbench.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        **releases(_PACKAGES),
    }


def hardware() -> dict[str, Any]:
    """Processor, cores, memory in GiB, and accelerators as far as torch was needed to see them."""
    pages = os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    torch = sys.modules.get("torch")
    cuda = torch is not None and torch.cuda.is_available()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": usable_cores(),
        "memory_gib": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**30, 1) if pages else None,
        "accelerator": torch.cuda.get_device_name() if torch is not None and cuda else None,
        "threads": torch.get_num_threads() if torch is not None else None,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str | None:
    """The commit of the checkout that runs, marked where files differ from it; None elsewhere."""
    root = Path(lampbench.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        code = ["lampbench", "methods", "tasks"]
        dirty = subprocess.run([*git, "status", "--porcelain", "--", *code], capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")
