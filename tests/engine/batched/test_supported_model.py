"""Models of which a row's numbers would depend on the batch, or be wrong, are refused."""

import pytest
import torch
import transformers

from lampbench.core.fidelity import PAPER
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.engine.batched.prompt_tree import PromptTree
from lampbench.engine.batched.response_scorer import ScoredTree
from lampbench.engine.models import resolve_model
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
