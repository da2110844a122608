"""Tokenizers of the tiny models with chat templates that render as the hub's own do."""

from pathlib import Path
from shutil import copytree
from typing import Any

HUB_TEMPLATES = {
    # Llama 3: a header, a blank line, the trimmed message, an end of turn
    "llama": "{{ bos_token }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' }}"
    "{{ m['content'] | trim }}{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    # Gemma 3: the system message begins the user's turn; the assistant is called model
    "gemma": "{{ bos_token }}{% set told = messages[0]['role'] == 'system' %}"
    "{% for m in (messages[1:] if told else messages) %}"
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' }}"
    "{% if told and loop.first %}{{ messages[0]['content'] + '\\n\\n' }}{% endif %}"
    "{{ m['content'] | trim }}{{ '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
    # Qwen 2.5: ChatML
    "qwen": "{% for m in messages %}"
    "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
}
HEADERS = {
    "llama": "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "gemma": "<start_of_turn>model\n",
    "qwen": "<|im_start|>assistant\n",
}
"""What opens the assistant's turn: the generation prompt."""


def with_hub_template(folder: Path, name: str, target: Path) -> Path:
    """A copy of a tiny model's folder whose tokenizer has the hub's template."""
    from transformers import AutoTokenizer

    copytree(folder, target)
    tokens = AutoTokenizer.from_pretrained(target)
    tokens.chat_template = HUB_TEMPLATES[name]
    tokens.save_pretrained(target)
    return target


def released_ids(tokens: Any, system: str, user: str) -> list[int]:
    """A prompt as CoPe's released inference renders and tokenizes it."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return list(tokens.encode(tokens.apply_chat_template(messages, tokenize=False)))
