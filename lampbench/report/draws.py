"""Whether what a run answers can depend on its seed."""

from collections.abc import Iterator
from typing import Any

from lampbench.engine.pool import DEFAULT_ENGINE, IN_THIS_PROCESS
from lampbench.plugin.decoding import Greedy
from lampbench.plugin.dense_retrieval import Dense, Embeddings
from lampbench.plugin.prompting import Plain, RetrievalAugmented
from lampbench.plugin.retrieval import BM25, Recent
from lampbench.plugin.side import OwnPrompting, OwnWeights, Side
from lampbench.plugin.weighted_sides import Contrastive, ExpertGuided, Guided
from lampbench.record.manifest import PREDICT
from lampbench.record.recorded_run import Run

_STEADY = (
    Plain, RetrievalAugmented, BM25, Recent, Dense, Embeddings, Side, OwnPrompting, OwnWeights,
    Greedy, Contrastive, Guided, ExpertGuided,
)  # fmt: skip
"""Parts of prompts and decodings that draw nothing."""


def draws(run: Run) -> bool:
    """Whether scores can depend on the seed; also where nothing is known of the method.

    They cannot where nothing is trained or generated but the answers, these greedily, no prompt
    quotes what was drawn, no plugin asks for its answers itself (`predict`, `requests`), and an
    engine answered that gives the same answer to the same request: few servers promise that.
    """
    manifest = run.manifest
    parts = manifest.method_parts
    stages = {stage.stage for stage in manifest.stages}
    untrained = "adaptation" in parts and parts["adaptation"] is None
    named = {name for part in ("prompting", "decoding") for name in _names(parts.get(part))}
    return not (
        PREDICT in stages
        and stages <= {PREDICT, Embeddings.section}
        and (manifest.model_details.engine or DEFAULT_ENGINE) in IN_THIS_PROCESS
        and untrained
        and not parts.keys() & {"predict", "requests"}
        and "decoding" in parts
        and named <= {kind.name for kind in _STEADY}
    )


def _names(part: Any) -> Iterator[str]:
    """The name of a part of a manifest, and those of the parts inside it."""
    for key, value in (part or {}).items():
        if key == "part":
            yield value
        elif isinstance(value, dict):
            yield from _names(value)
