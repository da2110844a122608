"""The pool of engines: which engine is loaded, how many at once, and what identifies a model."""

from pathlib import Path

import pytest

from lampbench.core.fidelity import PAPER
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.engine.divided_engine import DividedEngine
from lampbench.engine.pool import EngineOptions, EnginePool
from lampbench.engine.reference.engine import ReferenceEngine
from lampbench.execution.cache import Cache
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError
from lampbench.util.progress import Progress


@pytest.fixture
def pool(tmp_path):
    def make(**options):
        cache = Cache(tmp_path, print)
        given = EngineOptions(device="cpu", **options)
        return EnginePool(given, PAPER, cache, Progress(), Registry().engine)

    return make


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, BatchedEngine),
        ({"engine": "batched", "batch_size": 3}, BatchedEngine),
        ({"engine": "reference"}, ReferenceEngine),
    ],
)
def test_the_engine_asked_for_is_loaded_once(pool, model_folder, options, kind):
    made = pool(**options)
    name = str(model_folder("llama"))
    assert made.device(name) == "cpu"
    opened = made.get(name)
    engine = opened.engine
    fast = engine.batched if isinstance(engine, DividedEngine) else engine
    assert type(fast) is kind
    assert made.get(name) is opened


def test_an_unknown_engine_is_an_error(pool, model_folder):
    with pytest.raises(LampbenchError, match="no engine is called 'nothing': there are batched"):
        pool(engine="nothing").get(str(model_folder("llama")))


def test_one_engine_is_in_memory_at_a_time(pool, model_folder):
    made = pool()
    first = made.get(str(model_folder("llama")))
    made.get(str(model_folder("qwen")))
    assert list(made._open) == [("batched", str(model_folder("qwen")))]
    assert made.get(str(model_folder("llama"))) is not first


def test_a_models_identity_is_what_its_answers_depend_on(pool, model_folder):
    name = str(model_folder("llama"))
    usual = pool().identity(name)
    assert usual.keys() == {"fingerprint", "dtype", "chat_template"}
    assert (usual["dtype"], usual["chat_template"]) == ("float32", None)
    changed = [
        pool(dtype="bfloat16").identity(name),
        pool(chat_template="llama").identity(name),
        pool(engine="reference").identity(name),
        pool().identity(str(model_folder("qwen"))),
    ]
    assert all(identity != usual for identity in changed)
    assert pool(batch_size=1).identity(name) == usual
    assert Path(name).name not in str(usual)
