"""An API engine with a server that does what a test wants."""

import pytest

from lampbench.engine.openai import persistent_request
from lampbench.engine.openai.api_engine import ApiEngine
from lampbench.engine.openai.api_options import ApiOptions
from lampbench.engine.openai.token_account import TokenAccount
from tests.shared.api_server import MODEL


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(persistent_request, "backoff", lambda failures: 0.01)


@pytest.fixture
def said():
    return []


@pytest.fixture
def engine(api_server, said, quick):
    made = []

    def make(**options):
        chosen = ApiOptions(**{"address": api_server.base, "timeout": 5.0, "retries": 3, **options})
        made.append(ApiEngine(MODEL, chosen, TokenAccount(chosen), said.append))
        return made[-1]

    yield make
    for each in made:
        each.close()
