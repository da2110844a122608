"""A language model of two layers with random weights and a tokenizer, made in a second."""

from pathlib import Path
from typing import Any

_END, _START = "<|im_end|>", "<|im_start|>"
_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + "
    "'<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_CONTEXT = 512  # tokens: short enough that a prompt with a long history must be shortened


def save_tiny_model(folder: Path, head_dim: int = 8) -> Path:
    """Save a Llama of width 32 as `save_pretrained` does; the same weights in every process.

    Attention heads are as wide as `head_dim`; some engines take none below 32.

    The weights are large enough for sharp, varied distributions: another prompt gives another
    answer.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from lampbench.engine.quiet_libraries import quiet_libraries

    tokens = _tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head_dim,
        max_position_embeddings=_CONTEXT,
        initializer_range=0.25,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = [tokens.eos_token_id]
    with quiet_libraries():
        model.save_pretrained(folder)
        tokens.save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    """A byte-level BPE whose tokens are the bytes and a few of their pairs."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made: Any = transformers.PreTrainedTokenizerFast  # untyped

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[_START, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(["the author wrote a new text about the old town and its bridge"],
                             trainer)  # fmt: skip
    tokens = made(
        tokenizer_object=core,
        eos_token=_END,
        additional_special_tokens=[_START],
        clean_up_tokenization_spaces=False,
    )
    tokens.chat_template = _TEMPLATE
    return tokens
