"""What runs have in common: the setup of a table's rows, the data of a column, the settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lampbench.engine.model_arguments import SHOWN_ELSEWHERE
from lampbench.engine.pool import DEFAULT_ENGINE
from lampbench.record.recorded_run import Run
from lampbench.util.hashing import canonical, digest

CODE = "the plugin's code"
"""Among settings, what stands for the code of a method that is a plugin."""


@dataclass(frozen=True, slots=True, order=True)
class Setup:
    """What all rows of one table share, so that only the method differs between them."""

    model: str
    model_fingerprint: str
    dtype: str
    chat_template: str
    preset: str
    source: str
    model_arguments: str = ""
    engine: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """The data of one task; runs on other data are never in the same column."""

    task: str
    fingerprint: str
    query_fingerprint: str


def setup_of(run: Run) -> Setup:
    """The setup of a run."""
    details = run.manifest.model_details
    return Setup(
        model=run.manifest.model,
        model_fingerprint=details.fingerprint or "",
        dtype=details.runs_in or "",
        chat_template=_short(details.chat_template or ""),
        preset=run.manifest.preset,
        source=run.data_name or run.manifest.dataset.source,
        model_arguments=", ".join(
            f"{name}={value}"
            for name, value in sorted(details.arguments.items())
            if name not in SHOWN_ELSEWHERE
        ),
        engine=engine_of_run(run),
    )


def with_named_data(runs: Iterable[Run]) -> list[Run]:
    """Runs with one name for data of the same content, by whatever path each of them read it.

    It is the source of the oldest run on it; of ours, where there is one. Data whose histories were
    cut is called as the whole.
    """
    found = list(runs)
    names: dict[tuple[str, str], str] = {}
    for run in sorted(found, key=lambda run: (run.submitter is not None, age(run))):
        names.setdefault(_content(run), run.manifest.dataset.source)
    return [replace(run, data_name=names[_content(run)]) for run in found]


def _content(run: Run) -> tuple[str, str]:
    """What identifies the data of a run; cut histories do not matter."""
    data = run.manifest.dataset
    return run.manifest.task, data.cut_from or data.fingerprint


def engine_of_run(run: Run) -> str:
    """The engine that answered, with what identifies it, then those of single stages.

    Runs whose engine is not known are not told apart from the default engine's.
    """
    details = run.manifest.model_details
    answering = _told(details.engine or DEFAULT_ENGINE, details.engine_identity)
    stages = [
        f"{stage} by {_told(name, details.stage_identities.get(stage, {}))}"
        for stage, name in sorted(details.stage_engines.items())
    ]
    return "; ".join([answering, *stages])


def _told(engine: str, identity: Mapping[str, str]) -> str:
    """An engine's name with what identifies it."""
    told = [f"{name} {value}" for name, value in sorted(identity.items()) if name != "name"]
    return " ".join([engine, *told])


def column_of(run: Run) -> Column:
    """The data of a run."""
    data = run.manifest.dataset
    return Column(run.manifest.task, data.fingerprint, data.query_fingerprint)


def version_of(run: Run) -> str:
    """The version of lampbench that made a run."""
    return run.manifest.versions.get("lampbench") or "unknown"


def is_external(run: Run) -> bool:
    """Whether the answers of a run were made elsewhere."""
    return run.manifest.external is not None


def age(run: Run) -> tuple[str, str]:
    """What orders runs by time; the key decides where two were made in the same second."""
    return run.manifest.created, run.manifest.key


def settings_of(run: Run) -> dict[str, str]:
    """Every hyper-parameter's value as JSON, by path; of a plugin what stands for its code, too."""
    known = run.manifest.hyperparameters
    found = {path: canonical(setting.value) for path, setting in known.items()}
    code = run.manifest.plugins.get("method")
    return {**found, CODE: code} if code else found


def _short(template: str) -> str:
    """A template's name, or the digest of a template that is given in full."""
    return template if len(template) <= 40 else digest(template)
