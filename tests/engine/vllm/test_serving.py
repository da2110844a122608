"""Which model a server holds for a request, and which adapter the request gets."""

import json
from pathlib import Path

import pytest

from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec, ScoreRequest
from lampbench.engine.vllm.serving import Serving, require_rank, serving
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import prompt

TAM, USER, OTHER = Path("tam"), Path("user"), Path("other")


def request(weights, contrast=None):
    return GenerateRequest("q", prompt(), weights, GenerationSpec(8, contrast=contrast))


@pytest.mark.parametrize("weights", [(), (TAM,), (TAM, USER)])
def test_without_contrast_the_adapters_are_added_up(weights):
    assert serving(request(weights)) == (Serving((), False, bool(weights)), weights)
    scored = Serving((), False, bool(weights), scores=True)
    assert serving(ScoreRequest("s", prompt(), "x", weights)) == (scored, weights)


@pytest.mark.parametrize(
    ("weights", "against", "rest"),
    [
        ((TAM, USER), (TAM,), (USER,)),
        ((USER,), (), (USER,)),
        ((TAM,), (TAM,), ()),
        ((TAM, USER, OTHER), (TAM,), (USER, OTHER)),
        ((), (), ()),
    ],
)
def test_with_contrast_the_other_side_is_merged(weights, against, rest):
    found = serving(request(weights, Contrast(against, 0.3, 0.1)))
    assert found == (Serving(against, True, bool(rest)), rest)


@pytest.mark.parametrize(
    ("weights", "contrast"),
    [
        ((TAM, USER), Contrast((OTHER,), 0.3, 0.1)),
        ((), Contrast((TAM,), 0.3, 0.1)),
        ((USER,), Contrast((), 0.3, 0.1, more=(((TAM,), 0.1),))),
        ((USER,), Contrast((), 0.3, 0.1, own=2.0)),
    ],
)
def test_what_one_server_cannot_contrast_is_refused(weights, contrast):
    with pytest.raises(LampbenchError, match="q: vLLM contrasts"):
        serving(request(weights, contrast))


def adapter(folder, **config):
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_ranks_add_up(tmp_path):
    first = adapter(tmp_path / "1", r=8)
    second = adapter(tmp_path / "2", r=4, rank_pattern={"q_proj": 20})
    large = adapter(tmp_path / "3", r=510)
    assert require_rank([]) == 16
    assert require_rank([(), (first,)]) == 16
    assert require_rank([(first,), (first, second)]) == 32
    assert require_rank([(large,)]) == 512
    with pytest.raises(LampbenchError, match="rank 518 together are too large"):
        require_rank([(large, first)])
