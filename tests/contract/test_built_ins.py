"""Every built-in method, task and metric keeps the contract."""

import pytest

from lampbench.contract.check import check_plugin
from lampbench.registry import Registry

EVERY = [
    (kind, name)
    for kind in ("method", "task", "metric")
    for name in Registry().names(kind)
    # those need a large model or a service: tests/metrics/test_model_metrics.py
    if not (kind == "metric" and Registry().metric(name).batched)
]

NOTED = {
    "copy_nearest": "decoding.",  # runs no model
    "copy_recent": "decoding.",
    "copy_lead": "decoding.",
    "draft_refine": "profile.",  # every model of the trial writes the same profile
    "tam_length": "user_sft.",  # every answer of the trial is as long
}
"""Hyper-parameters of parts that the trial cannot show to matter: method -> their section."""
NOTED |= dict.fromkeys(("macro_f1", "mae", "rmse"), "no value depends on the reference")
FROM_THE_HUB = ("rag_contriever", "rag_dense")
"""Methods that need an embedding model of the hub."""


@pytest.mark.parametrize(("kind", "name"), EVERY, ids=[f"{kind} {name}" for kind, name in EVERY])
def test_it_keeps_the_contract(shop, kind, name):
    if name in FROM_THE_HUB:
        pytest.importorskip("sentence_transformers")
    found = list(check_plugin(kind, name, shop))
    if name in FROM_THE_HUB and any("cannot be loaded" in one.message for one in found):
        pytest.skip("no such model here, and no hub")
    assert not [one for one in found if one.verdict == "failed"]
    notes = [one.message for one in found if one.verdict == "note"]
    assert all(NOTED.get(name, "?") in message for message in notes), notes
    assert len(found) >= 6
