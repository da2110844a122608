"""What recorded runs need of a cache, beside the artifacts of their stages."""

from typing import Any

import lampbench
from lampbench.engine import model_files
from lampbench.engine.models import MODEL_PRESETS
from lampbench.engine.packaged_model import KIND, converted_key
from lampbench.execution.cache import write_meta
from lampbench.study.unused_artifacts import Needed, needed, unused

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
    assert (KIND, key) in kept.artifacts
    assert folder not in [each.path for each in unused(tmp_path, kept, days=0)]
