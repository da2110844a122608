"""A decoding says how tokens are chosen; one that does not is refused when a run is planned."""

from dataclasses import dataclass

import pytest

from lampbench.core.task import Task
from lampbench.paper.presets import defaults
from lampbench.plugin import Decoding, Greedy, Method, Prediction
from lampbench.plugin.hyperparameter import ValueSources
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True)
class Silent(Decoding):
    """Says nothing."""


class Asks(Method):
    name = "asks"
    decoding: Decoding = Silent()  # type: ignore[abstract]  # an author who runs no mypy


class AsksNobody(Asks):
    def predict(self, context, users):
        for user in users:
            for query in user.queries:
                yield Prediction(user.id, query.id, "the same for everybody")


MISSING = r"Silent has no spec\(\): define it, or derive from Greedy$"


@pytest.fixture
def layers():
    task: Task = Registry().task("news_headline")
    return ValueSources({}, defaults("paper", task))


def test_a_decoding_without_spec_is_refused_before_anything_is_made(planner, layers):
    with pytest.raises(LampbenchError, match=MISSING):
        Asks().resolved(layers)
    method = Asks()
    method.decoding = Greedy()
    context = planner("base").executor
    ready, _ = method.resolved(layers)
    assert ready.decoding.spec(context, context.dataset.test_users[0]).max_new_tokens > 0


def test_a_method_that_asks_no_model_needs_no_spec(planner, layers):
    AsksNobody().resolved(layers)
    context = planner("base").executor
    with pytest.raises(LampbenchError, match=MISSING):  # it asks after all
        AsksNobody().requests(context, context.dataset.test_users[0])
