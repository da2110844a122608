"""Tiny, randomly initialised models of the paper's four architectures, each with a tokenizer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTEXT = 256
WORDS = (
    "Generate a headline for the following article. The article says that a storm reached the "
    "coast on Monday and that the town, the harbour and the old bridge were closed. headline: "
    "Storm closes harbour. You are a news headline generator. The quick brown fox jumps. "
) * 3


@dataclass(frozen=True)
class Family:
    """A family's special tokens and the style of its own chat template."""

    name: str
    bos: str | None
    eos: str
    end_of_turn: str
    special: tuple[str, ...]
    own_template: str


_TURNS = (
    "{{% for m in messages %}}{{{{ '{0}' + m['role'] + '{1}' + m['content'] + '{2}' }}}}"
    "{{% endfor %}}{{% if add_generation_prompt %}}{{{{ '{0}assistant{1}' }}}}{{% endif %}}"
)
FAMILIES = {
    family.name: family
    for family in (
        Family(
            "llama",
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|eot_id|>",
            ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
            # like Llama 3.1's: it asks for a date
            "{{ bos_token }}{{ '<|start_header_id|>system<|end_header_id|>\\n\\n' + "
            "(date_string if date_string is defined else strftime_now('%d %b %Y')) }}"
            "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}"
            "{% set messages = messages[1:] %}{% endif %}{{ '<|eot_id|>' }}"
            + _TURNS.format("<|start_header_id|>", "<|end_header_id|>\\n\\n", "<|eot_id|>"),
        ),
        Family(
            "mistral",
            "<s>",
            "</s>",
            "</s>",
            ("[INST]", "[/INST]"),
            # like Mistral v0.1's: it rejects a system message, and ignores the generation prompt
            "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
            "{{ '[INST] ' + m['content'] + ' [/INST]' }}{% elif m['role'] == 'assistant' %}"
            "{{ ' ' + m['content'] + eos_token }}"
            "{% else %}{{ raise_exception('no system role') }}{% endif %}{% endfor %}",
        ),
        Family(
            "gemma",
            "<bos>",
            "<eos>",
            "<end_of_turn>",
            ("<start_of_turn>", "<end_of_turn>"),
            # drops a system message without a word
            "{{ bos_token }}{% for m in messages %}{% if m['role'] != 'system' %}"
            "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' "
            "+ m['content'] + '<end_of_turn>\\n' }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
        ),
        Family(
            "qwen",
            None,
            "<|im_end|>",
            "<|im_end|>",
            ("<|im_start|>", "<|endoftext|>"),
            _TURNS.format("<|im_start|>", "\\n", "<|im_end|>\\n"),
        ),
    )
}


def tokenizer(family: Family) -> Any:
    """A byte-level BPE of a few hundred tokens; it adds a BOS to plain text where there is one."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = [token for token in (family.bos, family.eos, *family.special) if token]
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([WORDS], trainer)
    if family.bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[(family.bos, core.token_to_id(family.bos))]
        )
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=family.bos,
        eos_token=family.eos,
        additional_special_tokens=list(family.special),
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = family.own_template
    return made


def model(name: str, tokens: Any, head_dim: int = 8) -> Any:
    """Two layers of width 32; weights large enough for sharp, varied distributions.

    Some attention kernels take no heads as narrow as 8; Qwen's are as wide as its width allows.
    """
    import torch
    import transformers as t

    shape = {
        "vocab_size": len(tokens),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.25,
        "tie_word_embeddings": False,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": None,
    }
    if head_dim != 8:
        shape |= {"hidden_size": 4 * head_dim} if name == "qwen" else {"head_dim": head_dim}
    text = {**shape, "head_dim": head_dim, "sliding_window": 12, "query_pre_attn_scalar": 8,
            "layer_types": ["sliding_attention", "full_attention"]}  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "image_size": 16, "patch_size": 8}  # fmt: skip
    tied: dict[str, Any] = {**shape, "tie_word_embeddings": True}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        match name:
            case "llama-biases":
                biased = t.LlamaConfig(**tied, attention_bias=True, mlp_bias=True)
                return _with_noise(t.LlamaForCausalLM(biased))
            case "mistral-windows":
                narrow = t.MistralConfig(**shape, sliding_window=12)
                return _with_noise(t.MistralForCausalLM(narrow))
            case "qwen-windows":
                windows: dict[str, Any] = {"sliding_window": 12, "max_window_layers": 1}
                return _with_noise(
                    t.Qwen2ForCausalLM(t.Qwen2Config(**tied, **windows, use_sliding_window=True))
                )
            case "gemma-windows":
                shared = t.Gemma3TextConfig(**{**text, "tie_word_embeddings": True})
                return _with_noise(t.Gemma3ForCausalLM(shared))
            case "qwen-norms":
                normed: dict[str, Any] = {**shape, "head_dim": head_dim}
                return _with_noise(t.Qwen3ForCausalLM(t.Qwen3Config(**normed)))
            case "gemma-caps":
                caps: dict[str, Any] = {
                    "attn_logit_softcapping": 5.0,
                    "final_logit_softcapping": 8.0,
                }
                return t.Gemma2ForCausalLM(t.Gemma2Config(**text, **caps))
            case "llama":
                return t.LlamaForCausalLM(t.LlamaConfig(**shape))
            case "mistral":
                return t.MistralForCausalLM(t.MistralConfig(**shape, sliding_window=None))
            case "qwen":
                return t.Qwen2ForCausalLM(t.Qwen2Config(**shape))
            case "gemma":
                return t.Gemma3ForCausalLM(t.Gemma3TextConfig(**text))
            case "gemma-vision":
                config = t.Gemma3Config(
                    text_config=t.Gemma3TextConfig(**text), vision_config=vision,
                    mm_tokens_per_image=1, tie_word_embeddings=False,
                )  # fmt: skip
                return t.Gemma3ForConditionalGeneration(config)
    raise ValueError(name)


def _with_noise(model: Any) -> Any:
    """A model whose biases and norms, zeros and ones when they are made, matter."""
    for name, values in model.named_parameters():
        if name.endswith(("bias", "norm.weight", "layernorm.weight")):
            values.data += 0.2 * values.data.new_empty(values.shape).normal_()
    return model


def load_engine(folder: Path, **options: Any) -> Any:
    """The batched engine on a model's folder: in float32 on the CPU unless options differ."""
    from lampbench.core.fidelity import PAPER
    from lampbench.engine.batched.engine import BatchedEngine
    from lampbench.engine.models import resolve_model

    usual = {"device": "cpu", "dtype": "float32", "chat_template": None, "fidelity": PAPER}
    return BatchedEngine(resolve_model(str(folder)), **usual | options)


def save(name: str, folder: Path, head_dim: int = 8) -> Path:
    """A model folder as `save_pretrained` leaves it."""
    family = FAMILIES[name.partition("-")[0]]
    tokens = tokenizer(family)
    made = model(name, tokens, head_dim)
    made.generation_config.eos_token_id = [tokens.eos_token_id]
    made.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder
