"""Every built-in method, task and metric keeps the contract."""

import pytest

from lampbench.contract.check import check_plugin
from lampbench.registry import KINDS, Registry

EVERY = [
    (kind, name)
    for kind in KINDS
    for name in Registry().names(kind)
    # those need a large model or a service: tests/metrics/test_model_metrics.py
    if not (kind == "metric" and Registry().metric(name).batched)
]


@pytest.mark.parametrize(("kind", "name"), EVERY, ids=[f"{kind} {name}" for kind, name in EVERY])
def test_it_keeps_the_contract(shop, kind, name):
    found = list(check_plugin(kind, name, shop))
    assert not [one for one in found if one.verdict in ("failed", "note")]
    assert len(found) >= 6
