"""A recorded run as programs read it (`--format json`; docs/json-output.md describes the keys)."""

from typing import TYPE_CHECKING, Any

from lampbench.core.findings import leaks_first

if TYPE_CHECKING:
    from lampbench.record.recorded_run import Run


def run_record(run: "Run") -> dict[str, Any]:
    """What a run was, and the means of its scores over queries (None: not computed)."""
    manifest = run.manifest
    return {
        "key": manifest.key,
        "path": run.path.as_posix(),
        "method": manifest.method,
        "task": manifest.task,
        "model": manifest.model,
        "seed": manifest.seed,
        "preset": manifest.preset,
        "fidelity": manifest.fidelity,
        "overrides": dict(manifest.overrides),
        "data": manifest.dataset.source,
        "max_history": manifest.dataset.max_history,
        "synthetic": manifest.dataset.synthetic,
        "data_findings": leaks_first(manifest.dataset.findings),
        "model_notes": list(manifest.model_details.notes),
        "users": manifest.counts.users,
        "queries": manifest.counts.queries,
        "failed_users": sorted(manifest.failed_users),
        "engine": "external" if manifest.external else manifest.model_details.engine,
        "submitted_by": run.submitter,
        "created": manifest.created,
        "scores": {metric: manifest.mean(metric) for metric in manifest.scores},
    }
