"""lampbench's chat templates by name."""

import pytest

from lampbench.engine.chat_template import (
    CHAT_TEMPLATES,
    load_chat_template,
    paper_chat_template,
)
from lampbench.util.errors import LampbenchError


def test_a_template_is_found_by_name():
    assert "<start_of_turn>" not in load_chat_template("gemma")
    with pytest.raises(LampbenchError, match=r"no chat template is called 'gpt'.*mistral"):
        load_chat_template("gpt")


def test_every_template_says_where_it_comes_from():
    for name in CHAT_TEMPLATES:
        assert load_chat_template(name).startswith("{#")


def test_families_of_the_papers_templates():
    types = ("mistral", "llama", "gemma3", "gemma3_text", "qwen2")
    assert [paper_chat_template(t) for t in types] == ["mistral", "llama", "gemma", "gemma", "qwen"]
    with pytest.raises(LampbenchError, match="models of type gpt2"):
        paper_chat_template("gpt2")
