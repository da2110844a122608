"""lampbench-vllm without vLLM: its equations, its settings, its refusals."""

import sys
import tomllib
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from lampbench.engine.next_token import contrastive_scores
from lampbench.engine.protocol import Contrast
from lampbench.engine.vllm.contrastive_form import ARCHITECTURES
from lampbench.engine.vllm.told_configuration import CONTRASTS_ALL
from lampbench.engine.vllm.vllm_environment import NEEDED
from lampbench.engine.vllm.wire_format import NEEDS, generation_body, probe_body


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch, request):
    monkeypatch.syspath_prepend(str(request.config.rootpath / "lampbench-vllm"))


@pytest.mark.parametrize("log_eps", [None, 1e-8])
def test_the_equations_are_the_other_engines(log_eps):
    from lampbench_vllm.scores import contrastive_scores as of_plugin

    noise = torch.Generator().manual_seed(0)
    user, base = torch.randn(2, 64, 50, generator=noise) * 3
    user[:, 7] = -torch.inf  # a stop token that is not allowed yet
    alphas, taus = torch.rand(2, 64, 1, generator=noise)
    taus[0] = 0.0
    found = of_plugin(user, base, alphas, taus, log_eps)
    for row, (alpha, tau) in enumerate(zip(alphas, taus, strict=True)):
        contrast = Contrast((), float(alpha), float(tau), log_eps)
        logs = [one[row : row + 1].log_softmax(-1) for one in (user, base)]
        expected = contrastive_scores(logs[0], logs[1:], contrast)
        torch.testing.assert_close(found[row : row + 1], expected, atol=1e-5, rtol=1e-5)


def test_it_understands_what_the_engine_sends():
    from lampbench_vllm.request_settings import RequestSettings, request_settings

    from lampbench.engine.protocol import GenerationSpec

    def asked(spec):
        return request_settings(generation_body(spec, 1, 0, (5,), {1}).get("vllm_xargs"))

    assert asked(GenerationSpec(4)) is None
    assert asked(GenerationSpec(4, 1.2, "logits")) is None
    assert asked(GenerationSpec(4, 1.2)) == RequestSettings(log_probabilities=True)
    contrast = Contrast((), 0.3, 0.1)
    assert asked(GenerationSpec(4, contrast=contrast)) == RequestSettings(alpha=0.3, tau=0.1)
    contrast = Contrast((), 0, 1, 1e-8)
    assert asked(GenerationSpec(4, 2.0, contrast=contrast)) == RequestSettings(0.0, 1.0, 1e-8)
    assert request_settings(probe_body(11)["vllm_xargs"]) == RequestSettings(probe=11)
    assert request_settings({"of_others": "x"}) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lampbench_contrast_alpha": 0.3}, "belong together"),
        ({"lampbench_contrast_tau": 0.3}, "belong together"),
        ({"lampbench_contrast_log_eps": 1e-8}, "belong together"),
        ({"lampbench_contrast_alpha": "x", "lampbench_contrast_tau": 0.1}, "must be a number"),
        ({"lampbench_contrast_alpha": 0.3, "lampbench_contrast_tau": 1.5}, "between 0 and 1"),
        ({"lampbench_alpha": 0.3}, "is unknown"),
    ],
)
def test_settings_that_are_not_valid_are_refused(given, message):
    from lampbench_vllm.request_settings import request_settings

    with pytest.raises(ValueError, match=message):
        request_settings(given)


def config(**changed):
    found = {
        "pipeline": 1, "tensor": 1, "speculative": None, "sharded": False, "eager": True,
        "hf": SimpleNamespace(),
    } | changed  # fmt: skip
    return SimpleNamespace(
        parallel_config=SimpleNamespace(
            pipeline_parallel_size=found["pipeline"],
            tensor_parallel_size=found["tensor"],
            enable_batch_sharded_sampling=found["sharded"],
        ),
        speculative_config=found["speculative"],
        scheduler_config=SimpleNamespace(),
        model_config=SimpleNamespace(enforce_eager=found["eager"], hf_config=found["hf"]),
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pipeline": 2}, "pipeline"),
        ({"tensor": 2}, "tensor"),
        ({"speculative": object()}, "speculative"),
        ({"sharded": True}, "sharded"),
        ({"eager": False}, "enforce-eager"),
        ({"hf": SimpleNamespace(contrast_alpha=0.3)}, "without contrast_tau"),
        ({"hf": SimpleNamespace(contrast_alpha=0.3, contrast_tau=2)}, "between 0 and 1"),
    ],
)
def test_servers_that_it_cannot_run_in_do_not_start(vllm_fingerprints, changed, message):
    from lampbench_vllm.refusals import require_supported
    from lampbench_vllm.told_settings import tell_settings

    tell_settings()
    require_supported(config())
    require_supported(config(hf=SimpleNamespace(contrast_alpha=0.3, contrast_tau=0.1)))
    with pytest.raises(ValueError, match=message):
        require_supported(config(**changed))


@pytest.fixture
def vllm_fingerprints(monkeypatch):
    """vLLM's module that makes fingerprints, as far as this package knows it."""
    from lampbench_vllm.told_settings import Telling

    module: Any = ModuleType("vllm.entrypoints.serve.utils.fingerprint")
    module.build_system_fingerprint = lambda config, mode="full", custom_value=None: (
        None if mode == "none" else custom_value or "vllm-0.32.0-1a2b"
    )
    parent = ""
    for name in module.__name__.split(".")[:-1]:
        parent = f"{parent}.{name}".lstrip(".")
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    monkeypatch.setattr(sys.modules[parent], "fingerprint", module, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(Telling, "ready", False)
    return module


def test_a_contrast_for_all_requests_is_in_every_fingerprint(vllm_fingerprints):
    from lampbench_vllm.told_settings import tell_settings

    tell_settings()
    tell_settings()  # as vLLM may
    for_all = config(hf=SimpleNamespace(contrast_alpha=0.5, contrast_tau=0.1))
    build = vllm_fingerprints.build_system_fingerprint
    assert build(for_all) == "vllm-0.32.0-1a2b contrast_alpha=0.5 contrast_tau=0.1"
    for options in ({"mode": "none"}, {"mode": "custom", "custom_value": "mine"}):
        found = build(for_all, **options)
        assert found.count(CONTRASTS_ALL) == 1, "what the engine looks for"
    assert build(config()) == "vllm-0.32.0-1a2b" and build(config(), mode="none") is None


def test_without_fingerprints_no_server_contrasts_every_request(vllm_fingerprints):
    from lampbench_vllm.refusals import require_supported
    from lampbench_vllm.told_settings import tell_settings

    del vllm_fingerprints.build_system_fingerprint
    tell_settings()
    require_supported(config())
    with pytest.raises(ValueError, match="system_fingerprint"):
        require_supported(config(hf=SimpleNamespace(contrast_alpha=0.3, contrast_tau=0.1)))


def test_lampbench_needs_no_more_than_this_version_is(request, monkeypatch):
    from lampbench_vllm import request_settings as room

    file = request.config.rootpath / "lampbench-vllm" / "pyproject.toml"
    assert tomllib.loads(file.read_text("utf-8"))["project"]["version"] == NEEDED
    assert probe_body(11)["vllm_xargs"][NEEDS] == room.INTERFACE
    monkeypatch.setattr(room, "INTERFACE", room.INTERFACE - 1)
    with pytest.raises(ValueError, match=NEEDS):
        room.request_settings(probe_body(11)["vllm_xargs"])


def test_both_sides_name_the_same_architectures():
    import lampbench_vllm

    assert tuple(lampbench_vllm.MODELS) == ARCHITECTURES
