"""A model with adapters merged into it: whose data it holds, and that it can be forgotten."""

import json
import shutil
from typing import Any

import pytest

from lampbench.engine.model_arguments import NOTHING_GIVEN
from lampbench.engine.models import resolve_model
from lampbench.engine.vllm.merged_checkpoint import merged_model
from lampbench.execution.artifact_files import META
from lampbench.execution.cache import Cache
from lampbench.execution.forget_artifacts import forget_in_cache


@pytest.fixture
def cached(tmp_path, model_folder, random_adapters):
    """A cache with a task's adapter and a user's, merged into a model; the merged model's folder
    below it.
    """
    store = Cache(tmp_path / "cache", lambda text: None)
    weights = []
    whose: list[dict[str, Any]] = [{"owner": None}, {"owner": "mallory", "others": ["trent"]}]
    kinds = "task_sft", "user_sft"
    for kind, adapter, meta in zip(kinds, random_adapters()[:2], whose, strict=True):
        staged = store.partial(kind, "key") / "adapter"
        shutil.copytree(adapter, staged)
        store.commit(kind, "key", staged, {"task": "t", **meta})
        weights.append(store.path(kind, "key") / "adapter")
    spec = resolve_model(str(model_folder("llama")))
    merged_model(spec, tuple(weights), "float32", NOTHING_GIVEN, store)
    (made,) = (store.root / "model").iterdir()
    return store.root, made


def test_it_says_whose_adapters_are_in_it(cached):
    _, made = cached
    assert json.loads((made / META).read_text())["others"] == ["mallory", "trent"]


@pytest.mark.parametrize("user", ["mallory", "trent"])
def test_it_is_forgotten_with_each_of_them(cached, user):
    root, made = cached
    assert forget_in_cache(root, "nobody")[0] == [] and made.is_dir()
    assert any(str(made) in line for line in forget_in_cache(root, user)[0])
    assert not made.exists()


def test_one_of_an_earlier_version_does_not_say_so_and_is_forgotten_with_everybody(cached):
    root, made = cached
    meta = json.loads((made / META).read_text())
    del meta["others"]
    (made / META).write_text(json.dumps(meta))
    forget_in_cache(root, "nobody")
    assert not made.exists()


def test_what_a_whole_task_shares_may_be_in_it_too(cached):
    root, _ = cached
    (told,) = forget_in_cache(root, "nobody")[1]
    assert "2 artifacts that a whole task shares" in told  # the task's adapter, and this model
