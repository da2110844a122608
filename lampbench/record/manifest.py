"""The manifest of a run: how each of its numbers was made. One type, one reader, one writer."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any, Literal

from lampbench.engine.server_configuration import NOT_TOLD, SERVER_DTYPE
from lampbench.plugin.hyperparameter import SourcedValue
from lampbench.record.columns import encode_text
from lampbench.record.recorded_dataset import OF_LONG_TABLES, RecordedDataset
from lampbench.record.table_files import part_names
from lampbench.record.typed_json import Mismatch, brief, from_json, loads
from lampbench.scoring.aggregate import Counts, Means
from lampbench.scoring.score import ScoringDescription
from lampbench.util.hashing import canonical
from lampbench.util.machine import Hardware

FORMAT = 2
MANIFEST, PREDICTIONS, SCORES = "manifest.json", "predictions.json.gz", "scores.json.gz"
"""The files of a run; the tables may go on in files that `part_names` names."""

PREDICT = "predict"
"""The stage that answers the test queries; the others make what it needs."""
LENDER = "the data of user "
"""Comes before the id of a user whose data another one needed, in why that one failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDetails:
    """The model that answered. What is not known of a run made elsewhere is None.

    `location` is a hub id or a folder, `revision` a hub model's commit, `fingerprint` identifies
    weights, configuration and tokenizer. `dtype` is the precision that was asked for, which a
    server that was joined may not have: see `runs_in`. `chat_template` is None for the tokenizer's
    own. `engine` is the engine that answered, `engine_identity` what it was (version, settings;
    empty for the default engine; what a server that was joined told of itself, "unknown" where it
    did not), `stage_engines` those of stages that another one carried out, by stage,
    `stage_identities` what these were, and `engine_arguments` what was given to all of them and may
    change an answer. `arguments` are those of
    `--model-arg` that were given, `notes` what a reader of the model's scores must know.

    `batching` bounds what the batched engine puts into one pass: rows of a decoding step, tokens
    and labels of a pass, adapters trained at once. In float32 no answer depends on it; in bfloat16
    and float16 one may, unless it only says `batch_invariant`. It is empty where the run needed no
    such engine.
    """

    location: str
    revision: str | None = None
    fingerprint: str | None = None
    dtype: str | None = None
    chat_template: str | None = None
    device: str | None = None
    engine: str | None = None
    engine_identity: Mapping[str, str] = field(default_factory=dict)
    stage_engines: Mapping[str, str] = field(default_factory=dict)
    stage_identities: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    engine_arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    batching: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def runs_in(self) -> str | None:
        """The precision in which the model answered; None where it is not known."""
        told = self.engine_identity.get(SERVER_DTYPE, self.dtype)
        return None if told == NOT_TOLD else told


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What a stage of a run cost when it was carried out, in this run or an earlier one.

    `units` are adapters, users or queries; `cached` of them were there before this run.
    `prompts_shortened` counts prompts and examples that were cut to the model's context.
    """

    stage: str
    key: str
    units: int
    cached: int
    seconds: float
    prompt_tokens: int
    new_tokens: int
    trained_tokens: int
    prompts_shortened: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDetails:
    """What a server said of a run's answers, with those of interrupted commands that it resumed.

    `models` and `fingerprints` (`system_fingerprint`) count answers by what the server called
    itself, "" where it did not say. `uncounted` answers came without a count of tokens, and
    `withheld` ones were filtered or empty: they are recorded as empty, and `withheld_from` names
    requests, a hundred at most, with the reason. Prices are of a million tokens read and written,
    `cost` is what all stages and answers cost at these, without discounts; None is not known.
    Requests that failed are in none of this.
    """

    answers: int
    models: Mapping[str, int]
    fingerprints: Mapping[str, int]
    uncounted: int = 0
    withheld: int = 0
    withheld_from: tuple[str, ...] = ()
    input_price: float | None = None
    output_price: float | None = None
    cost: float | None = None

    def without_requests(self) -> "ServiceDetails":
        """The same without what was said of single requests: a server's reasons may quote them."""
        return replace(self, withheld_from=())


@dataclass(frozen=True, slots=True)
class ExternalFile:
    """The file from which predictions made elsewhere were imported."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything known about a run except its answers and the score of each query.

    `hyperparameters` holds the value and source of each hyper-parameter by path, `overrides` the
    values of those that the user set to other than their default. `method_parts` names the
    prompting, adaptation and decoding, and by field the parts inside them; where a plugin has its
    own `predict` or `requests`, also its class. `plugins` has what stands for the code of method
    and task where these are plugins: tables mix no runs of different code. `versions` are those of
    lampbench (with its commit), Python and packages when the answers were made; `scoring` has those
    when they were scored. `prompt_head` are the first token ids of the first prompt. `failed_users`
    are users without answers, and why. `created` is in UTC (ISO 8601). `service` is set where a
    server answered, `external` for predictions that were made elsewhere.

    `private` is true where the run recorded hashes, lengths and scores but no text of its users
    and none of the model.

    `files` holds the SHA-256 of the run's files, `counts` and `scores` count and average what
    they contain; these three are filled in when the run is written.
    """

    key: str
    method: str
    task: str
    model: str
    seed: int
    preset: str
    fidelity: str
    overrides: Mapping[str, Any]
    hyperparameters: Mapping[str, SourcedValue]
    dataset: RecordedDataset
    model_details: ModelDetails
    created: str
    method_title: str = ""
    task_title: str = ""
    method_parts: Mapping[str, Any] = field(default_factory=dict)
    plugins: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str | None] = field(default_factory=dict)
    hardware: Hardware | None = None
    command: str = ""
    stages: tuple[StageCost, ...] = ()
    failed_users: Mapping[str, str] = field(default_factory=dict)
    prompt_head: tuple[int, ...] = ()
    prompts_shortened: int = 0
    scoring: ScoringDescription | None = None
    service: ServiceDetails | None = None
    external: ExternalFile | None = None
    private: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    counts: Counts = Counts(0, 0, 0, 0)
    scores: Mapping[str, Means] = field(default_factory=dict)

    def mean(self, metric: str, over: Literal["queries", "users"] = "queries") -> float | None:
        """The mean of a metric; None where it was not or could not be computed."""
        means = self.scores.get(metric)
        return None if means is None else getattr(means, over)

    def versions_of(self, metric: str) -> dict[str, str | None]:
        """The versions that a metric's numbers depend on: those that made the answers, and those
        of the scoring libraries when it was computed.
        """
        return {**self.versions, **(self.scoring.versions_of(metric) if self.scoring else {})}

    def to_json(self) -> bytes:
        """The content of manifest.json: the same bytes for equal manifests.

        `sha256` there is the digest of all the rest, so that no edit goes unnoticed.

        Raises:
            ValueError: a number is not finite, or another value is none of JSON's.
        """
        content = {"format": FORMAT, **asdict(self)}
        for name in OF_LONG_TABLES:
            if not content["dataset"][name]:
                del content["dataset"][name]
        if content["scoring"] and not content["scoring"]["rescored"]:
            del content["scoring"]["rescored"]
        complete = {**content, "sha256": _digest(content)}
        return encode_text(json.dumps(complete, indent=1, **_STRICT)) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        """Read the content of manifest.json.

        Raises:
            ValueError: it is no manifest of this format, or was changed after it was written; the
                message says what is wrong.
        """
        try:
            content = loads(data)
        except ValueError as error:
            raise ValueError(f"{MANIFEST} cannot be read: it is {error}") from error
        if not isinstance(content, dict):
            raise ValueError(f"{MANIFEST} is not an object")
        if content.get("format") != FORMAT:
            found = content.get("format")
            shown = found if isinstance(found, int) and abs(found) < 10**9 else brief(found)
            raise ValueError(f"format {shown}, this lampbench reads {FORMAT}")
        recorded = content.pop("sha256", None)
        try:
            changed = recorded != _digest(content)
        except RecursionError as error:
            raise ValueError(f"{MANIFEST} is nested too deeply") from error
        if changed:
            raise ValueError(f"{MANIFEST} was changed after the run (its sha256 does not fit)")
        del content["format"]
        try:
            manifest = from_json(cls, content)
        except Mismatch as error:
            raise ValueError(f"{MANIFEST}: {error}") from error
        tables = [part_names(manifest.files, table) for table in (PREDICTIONS, SCORES)]
        if not all(tables) or len(manifest.files) != sum(map(len, tables)):
            raise ValueError(
                f"{MANIFEST} does not record the hashes of {PREDICTIONS}, {SCORES} and the files "
                "in which these go on, and of no others"
            )
        return manifest


_STRICT: dict[str, Any] = {"ensure_ascii": False, "sort_keys": True, "allow_nan": False}


def _digest(content: Mapping[str, Any]) -> str:
    return sha256(canonical(content).encode("ascii")).hexdigest()
