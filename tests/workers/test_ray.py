"""A real local Ray of several processes."""

import os
from dataclasses import replace

import pytest

from lampbench.workers.probe import NodeReport, need_of, own_versions, problem_of
from tests.shared import fake_worker
from tests.workers.test_workers import answers, expected, needs_ray, trained, with_fate

__all__ = ["expected", "with_fate"]


@pytest.fixture
def on_ray(with_fate, monkeypatch, root):
    """As `with_fate`, with tasks of a new local Ray, whose processes inherit this environment."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]))
    return lambda *arguments, fate="": with_fate("--executor", "ray", *arguments, fate=fate)


@needs_ray
def test_a_killed_ray_worker_is_begun_again_and_nothing_differs(on_ray, expected, tmp_path):
    code, _, err = on_ray("--workers", "3", fate="kill:1/3")
    assert code == 0, err
    assert answers(tmp_path / "results") == expected
    assert "the worker of shard 1/3 died; begun again (1 of 2)" in err
    assert max(trained(tmp_path).values()) == 1


@needs_ray
def test_tasks_that_share_only_a_store_record_the_bytes_of_one_process(
    on_ray, expected, tmp_path, url, monkeypatch
):
    monkeypatch.setenv(fake_worker.APART, str(tmp_path / "node"))
    code, _, err = on_ray("--workers", "3", "--cache-dir", url, fate="kill:1/3")
    assert code == 0, err
    assert answers(tmp_path / "results") == expected
    assert "the worker of shard 1/3 died; begun again (1 of 2)" in err
    assert len(list(tmp_path.glob("node-*"))) == 3, "each shard worked in a folder of its own"


@needs_ray
@pytest.mark.parametrize(
    ("fate", "told"),
    [
        ("poison", "user x: record 3 has no text"),
        ("full", "adapter.safetensors: no space left; free some space"),
    ],
)
def test_a_failed_shard_is_reported_while_the_others_finish(on_ray, expected, tmp_path, fate, told):
    code, _, err = on_ray("--workers", "2", fate=f"{fate}:0/2")
    last = err.splitlines()[-1]
    assert code == 2 and last.startswith(f"error: shard 0/2: {told}"), err
    done = trained(tmp_path)
    code, _, err = on_ray("--workers", "2")
    assert code == 0, err
    assert answers(tmp_path / "results") == expected
    assert not done.keys() & trained(tmp_path).keys()


@needs_ray
def test_no_cluster_at_the_address_is_one_line(with_fate):
    code, _, err = with_fate("--executor", "ray", "--address", "127.0.0.1:9")
    assert code == 2
    assert err.splitlines()[-1].startswith(
        "error: --address 127.0.0.1:9: no Ray cluster answers there; start one with"
    )


def test_what_a_node_may_be_without_is_one_line(tmp_path):
    need = need_of(["bundled"], tmp_path / "cache", tmp_path / "results", "cpu")
    sound = NodeReport(own_versions(), True, ())
    assert problem_of(sound, need) == ""
    other = replace(sound, versions={**own_versions(), "torch": "1.0"})
    assert problem_of(other, need).startswith("has torch 1.0, this machine ")
    assert problem_of("No module named 'lampbench'", need).startswith(
        "lampbench cannot be imported"
    )
    apart = replace(sound, shared=False)
    assert problem_of(apart, need).startswith(f"does not see the cache {tmp_path / 'cache'}")
    assert problem_of(replace(sound, models=("model x is not there",)), need) == (
        "model x is not there"
    )


def test_a_cache_that_is_not_shared_and_other_models_are_found(tmp_path):
    from lampbench.workers.probe import look_around

    need = need_of(["bundled"], tmp_path / "cache", tmp_path / "results", "cpu")
    with need.token():
        assert look_around(need).shared and not look_around(need).models
        elsewhere = replace(need, cache_dir=str(tmp_path / "other"))
        assert not look_around(elsewhere).shared
        ((name, (fingerprint, _)),) = need.models.items()
        (problem,) = look_around(replace(need, models={name: (fingerprint, 1 << 60)})).models
        assert "bytes of memory are free, and the weights of bundled take" in problem
        (problem,) = look_around(replace(need, models={name: ("another", 0)})).models
        assert problem.startswith("model bundled has other files there")
        (problem,) = look_around(replace(need, models={"/no/folder": ("x", 0)})).models
        assert problem.startswith("model /no/folder is not there: ")
    assert not look_around(need).shared
