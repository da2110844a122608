"""Models of which a row's numbers would depend on the batch, or be wrong, are refused."""

import json

import pytest
import torch
import transformers

from lampbench.core.fidelity import PAPER
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.engine.batched.prompt_tree import PromptTree
from lampbench.engine.batched.response_scorer import ScoredTree
from lampbench.engine.models import resolve_model
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.util.errors import LampbenchError
from tests.engine import tiny_models

FIRST = 96  # tokens up to which the first set of rotary frequencies holds
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
         "head_dim": 8, "initializer_range": 0.25, "pad_token_id": None}  # fmt: skip
LONG_ROPE = {"rope_type": "longrope", "rope_theta": 1e4, "factor": 4.0,
             "original_max_position_embeddings": FIRST,
             "short_factor": [1.0] * 4, "long_factor": [1.0, 3.0, 8.0, 20.0]}  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    """The folder of a random model of a configuration, with Qwen's tokenizer."""

    def make(kind, **options):
        tokens = tiny_models.tokenizer(tiny_models.FAMILIES["qwen"])
        ids = {"vocab_size": len(tokens), "bos_token_id": None, "eos_token_id": tokens.eos_token_id}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = transformers.AutoModelForCausalLM.from_config(kind(**SIZES | ids | options))
        with quiet_libraries():
            model.save_pretrained(tmp_path)
        tokens.save_pretrained(tmp_path)
        return resolve_model(str(tmp_path))

    return make


def opened(spec, **options):
    return BatchedEngine(
        spec, device="cpu", dtype="float32", chat_template=None, fidelity=PAPER, **options
    )


def test_layers_that_attend_to_chunks_are_refused(saved):
    spec = saved(transformers.Llama4TextConfig, attention_chunk_size=8, num_local_experts=2)
    with pytest.raises(LampbenchError, match=r"kind chunked_attention .*--engine reference"):
        opened(spec)


def test_frequencies_that_the_longest_row_chooses_are_refused(saved):
    spec = saved(transformers.LlamaConfig, rope_parameters=LONG_ROPE)
    with pytest.raises(LampbenchError, match=r"of more than 96 tokens .*--engine reference"):
        opened(spec)


DRY_RUN = ("run", "--method", "base", "--task", "news_headline", "--users", "2", "--dry-run")
LLAMA_4 = {"attention_chunk_size": 8, "num_local_experts": 2}


def without_kinds(config):
    """As Llama 4 is on the hub: transformers works out the kinds of layers."""
    text = {name: value for name, value in config.items() if name != "layer_types"}
    return {"model_type": "llama4", "text_config": text}


def in_old_words(config):
    """As Phi-3.5 is on the hub."""
    rotary = config.pop("rope_parameters")
    return config | {"rope_theta": rotary.pop("rope_theta"),
                     "rope_scaling": rotary | {"type": rotary.pop("rope_type")}}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options", "as_written", "said"),
    [
        (transformers.Llama4TextConfig, LLAMA_4, dict, "chunked_attention"),
        (transformers.Llama4TextConfig, LLAMA_4, without_kinds, "chunked_attention"),
        (transformers.LlamaConfig, {"rope_parameters": LONG_ROPE}, dict, "of more than 96 tokens"),
        (transformers.LlamaConfig, {"rope_parameters": LONG_ROPE}, in_old_words, "more than 96"),
    ],
)
def test_a_dry_run_refuses_them_without_their_weights(
    saved, call, monkeypatch, kind, options, as_written, said
):
    spec = saved(kind, **options)
    file = spec.folder / "config.json"
    file.write_text(json.dumps(as_written(json.loads(file.read_text()))))
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", None)
    dry = (*DRY_RUN, "--model", spec.location)
    code, _, err = call(*dry)
    assert (code, len(err.splitlines())) == (2, 1)
    assert said in err and "use --engine reference" in err
    assert call(*dry, "--engine", "reference")[0] == 0


@pytest.mark.parametrize("most", [FIRST, FIRST + 1])
def test_a_dry_run_refuses_what_loading_refuses(saved, call, most):
    """LongRoPE's second set is for contexts beyond the first one's border."""
    spec = saved(transformers.LlamaConfig, rope_parameters=LONG_ROPE, max_position_embeddings=most)
    code, _, err = call(*DRY_RUN, "--model", spec.location, "--set", "decoding.max_new_tokens=4")
    if most == FIRST:
        opened(spec)
        assert (code, err) == (0, "")
    else:
        with pytest.raises(LampbenchError) as raised:
            opened(spec)
        assert code == 2 and str(raised.value) in err


@pytest.mark.parametrize("odd", [{"layer_types": 5}, {"layer_types": [[1]]}, {"rope_scaling": 7},
                                 {"attention_chunk_size": "x"}])  # fmt: skip
def test_what_a_damaged_configuration_says_is_found_when_it_is_loaded(saved, call, odd):
    spec = saved(transformers.LlamaConfig)
    file = spec.folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | odd))
    code, _, err = call(*DRY_RUN, "--model", spec.location)
    assert (code, err) == (0, "")


def test_below_their_border_padding_does_not_choose_others(saved):
    """A tree of two branches may have more tokens than the border; none is placed beyond it."""
    made = opened(saved(transformers.LlamaConfig, rope_parameters=LONG_ROPE), context=FIRST)
    ids = tuple(range(20, 60))
    large, small = PromptTree(ids, (ids, ids[::-1])), PromptTree(ids, (ids[:2], ids[:3]))
    assert large.tokens > FIRST
    alone, together = (
        {one.id: one.logprobs for one in made._scorer.score((), trees)}
        for trees in (
            [ScoredTree(("a", "b"), (), small)],
            [ScoredTree(("a", "b"), (), small), ScoredTree(("c", "d"), (), large)],
        )
    )
    for name, logs in alone.items():
        assert together[name] == pytest.approx(logs, abs=1e-4)


def test_a_model_without_a_context_length_is_refused(saved):
    with pytest.raises(LampbenchError, match="has no context length"):
        opened(saved(transformers.BloomConfig, max_position_embeddings=None))


def test_experts_cannot_be_batch_invariant(saved):
    """How many rows an expert's product has depends on all tokens of the pass."""
    spec = saved(transformers.Qwen3MoeConfig, num_experts=4, num_experts_per_tok=2)
    opened(spec)
    with pytest.raises(LampbenchError, match=r"batch_invariant=true: .*experts"):
        opened(spec, batch_invariant=True)
