"""What recorded runs need of a cache, beside the artifacts of their stages."""

import tracemalloc
from collections import Counter
from typing import Any

import pytest

import lampbench
from lampbench.engine import model_files
from lampbench.engine.models import MODEL_PRESETS
from lampbench.engine.packaged_model import KIND, converted_key
from lampbench.execution.artifact_files import write_meta
from lampbench.execution.cache import PARTIAL
from lampbench.execution.cache_contents import damaged_artifacts
from lampbench.execution.partial_work import checked_work
from lampbench.study import unused_artifacts
from lampbench.study.unused_artifacts import ARTIFACT, PARTIAL_WORK, Needed, needed, unused

SPEC: Any = MODEL_PRESETS["smollm2-135m"]


def test_gc_keeps_the_conversion_that_recorded_runs_need(tmp_path, monkeypatch, on_fake_engine):
    key = converted_key(SPEC.package)
    folder = tmp_path / KIND / key
    folder.mkdir(parents=True)
    write_meta(folder, KIND, key, {"model": SPEC.name, "owner": None})
    (found,) = unused(tmp_path, Needed(), days=0)
    assert found.path == folder
    monkeypatch.setattr(model_files, "packaged_file", lambda _: folder / "meta.json")
    monkeypatch.setattr(model_files, "require_known", lambda *_: None)
    lampbench.run("base", "news_headline", model=SPEC.name, users=2, results=tmp_path / "results",
                  cache_dir=tmp_path)  # fmt: skip
    kept = needed([tmp_path / "results"], tmp_path)
    assert f"{KIND}/{key}" in kept.artifacts
    assert folder not in [each.path for each in unused(tmp_path, kept, days=0)]


def filled(root, count):
    for number in range(count):
        key = f"{number:016x}"
        folder = root / "user_sft" / key
        folder.mkdir(parents=True)
        (folder / "adapter.bin").write_bytes(key.encode())
        write_meta(folder, "user_sft", key, {"task": "t", "owner": f"user{number}"})
        journal = root / PARTIAL / "predictions" / "run" / key
        journal.mkdir(parents=True)
    return root


def collect(root, count):
    keep = Needed()
    for number in range(0, count, 2):
        keep.artifacts.add(f"user_sft/{number:016x}")
    found = Counter(each.what for each in unused(root, keep, days=0))
    return found == {ARTIFACT: count // 2, PARTIAL_WORK: 1}


def verify(root, count):
    return not list(damaged_artifacts(root)) and not list(checked_work(root))


@pytest.mark.parametrize("command", [collect, verify])
def test_no_memory_is_needed_per_artifact(tmp_path, command):
    def peak(count):
        root, sizes = tmp_path / str(count), []
        for _ in range(3):  # in one of them the interpreter's own table of names may grow
            tracemalloc.start()
            assert command(root, count)
            sizes.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        return min(sizes)

    for count in (500, 2000):
        filled(tmp_path / str(count), count)
    assert peak(2000) < peak(500) + 30_000, "20 bytes per artifact would be too much"


def test_keys_that_are_dropped_from_memory_are_kept_all_the_same(
    tmp_path, monkeypatch, on_fake_engine
):
    monkeypatch.setattr(unused_artifacts, "_KNOWN", 0)
    lampbench.run("cope", "news_headline", users=3, results=tmp_path / "results",
                  cache_dir=tmp_path / "cache")  # fmt: skip
    kept = needed([tmp_path / "results"], tmp_path / "cache")
    left = unused(tmp_path / "cache", kept, days=0)
    assert len(kept.artifacts) > 6
    assert ARTIFACT not in {each.what for each in left}
