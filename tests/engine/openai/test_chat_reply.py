"""Replies that are answers, and those that are not."""

import pytest

from lampbench.engine.openai.chat_reply import (
    MalformedReply,
    WrongReply,
    read_chat_reply,
    same_model,
)
from lampbench.engine.openai.token_account import TokenCount
from tests.shared.api_server import MODEL, completion

BODY = {"model": MODEL, "messages": [{"role": "user", "content": "one two three"}]}


def read(content, characters=100, most_new=16):
    return read_chat_reply(content, model=MODEL, characters=characters, most_new=most_new)


def sound(text="A title", **changes):
    return completion(BODY, text, **changes)


def usage(*numbers, **more):
    return {"usage": dict(zip(("prompt_tokens", "completion_tokens", "total_tokens"), numbers,
                              strict=False)) | more}  # fmt: skip


def test_an_answer_is_read_with_what_the_server_says_of_it():
    found = read(sound())
    assert (found.text, found.truncated, found.withheld) == ("A title", False, "")
    assert (found.model, found.fingerprint) == (MODEL, "fp_1")
    assert found.counted == TokenCount(8, 3)


def test_an_answer_cut_by_the_budget_is_truncated():
    assert read(sound(_finish_reason="length", **usage(8, 16))).truncated
    assert read(sound(_finish_reason="length", **usage(8, 14))).truncated
    assert read(sound(_finish_reason="length", usage=None)).truncated
    with pytest.raises(WrongReply, match="after 9 tokens for its length, and 16 were allowed"):
        read(sound(_finish_reason="length", **usage(8, 9)))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"_message": {"content": ""}}, "empty"),
        ({"_message": {"content": " \n"}}, "empty"),
        ({"_message": {"content": None}}, "empty"),
        ({"_message": {"content": None, "reasoning_content": "so"}, "_finish_reason": "length"},
         "budget was spent before the answer began"),
        ({"_finish_reason": "content_filter"}, "filtered"),
        ({"_finish_reason": "SAFETY"}, "filtered"),
        ({"_message": {"content": None, "refusal": "I cannot"}}, "refused"),
    ],
)  # fmt: skip
def test_no_answer_is_told_with_its_reason(changes, why):
    found = read(sound(**changes))
    assert why in found.withheld and found.text == ""


@pytest.mark.parametrize(
    "content",
    [
        None, [], "text", {}, {"choices": None}, sound(choices=[]), sound(choices={}),
        sound(choices=sound()["choices"] * 2), sound(choices=["text"]), sound(_index=3),
        sound(_message=None), sound(_message="text"), sound(_message={"content": [1]}),
        sound(_finish_reason=None), sound(_finish_reason="abort"), sound(_finish_reason=["stop"]),
        sound(_finish_reason="tool_calls", _message={"content": None, "tool_calls": []}),
        sound(usage="many"), sound(**usage("8", 3)), sound(**usage(-8, 3)), sound(**usage(True, 3)),
        sound(**usage(8, 3, 4)), sound(**usage(10**30, 3)), sound(**usage(8.5, 3)),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_malformed(content):
    with pytest.raises(MalformedReply):
        read(content)


@pytest.mark.parametrize(
    "missing",
    [{"usage": None}, {"usage": {}}, usage(0, 0, 0), usage(8, 0), {"usage": {"total_tokens": 9}}],
)
def test_tokens_that_are_not_counted_are_not_known(missing):
    assert read(sound(**missing)).counted is None


def test_tokens_of_reasoning_are_written_tokens():
    details = {"completion_tokens_details": {"reasoning_tokens": 500}}
    assert read(sound(**usage(8, 503, 511, **details))).counted == TokenCount(8, 503)
    assert read(sound(**usage(8, 3, 511))).counted == TokenCount(8, 503)


def test_a_budget_that_was_not_kept_is_told():
    assert read(sound(**usage(8, 17))).counted == TokenCount(8, 17)  # with the end of turn
    with pytest.raises(WrongReply, match="18 new tokens where 16 were allowed"):
        read(sound(**usage(8, 18)))


def test_a_prompt_that_was_cut_is_told():
    assert read(sound(**usage(2_100, 3)), characters=9_000).text
    with pytest.raises(WrongReply, match=r"read 1,000 tokens .* 9,000 characters"):
        read(sound(**usage(1_000, 3)), characters=9_000)


@pytest.mark.parametrize(
    "text",
    ["<think>\nA title.</think>\n\nA title", "\n<think>The user wants", "So.\n</think>A",
     "<|channel|>analysis<|message|>So"],
)  # fmt: skip
def test_an_answer_with_reasoning_in_it_is_told(text):
    with pytest.raises(WrongReply, match="the model's reasoning in it") as told:
        read(sound(text))
    assert len(str(told.value)) < 200  # longer messages are cut
    assert read(sound("I think <b>so</b>")).text == "I think <b>so</b>"


def test_another_model_is_told():
    with pytest.raises(WrongReply, match="'large-7' answered where 'tiny-1' was asked"):
        read(sound(model="large-7"))
    assert read(sound(model=None)).model is None


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06"), ("gpt-4o", "openai/gpt-4o"), ("org/Small-3", "small-3"),
        ("claude-3-5", "claude-3-5-20241022"), ("gemini-1.5-pro", "models/gemini-1.5-pro-002"),
        ("qwen2.5:7b", "qwen2.5:7b"), ("llama3", "llama3:latest"), ("big-latest", "big-2411"),
        ("small.gguf", "/models/small.gguf"), ("gpt-4", "gpt-4-0613"), ("big", "big-preview"),
        ("c-3@20240620", "c-3@20240620"), ("o1", "o1-2024-09-12"), ("o1", "o1-latest"),
    ],
)  # fmt: skip
def test_names_of_one_model(asked, answered):
    assert same_model(asked, answered)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("gpt-4o", "gpt-4o-mini"), ("gpt-4", "gpt-4-32k"), ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
     ("a", "b"), ("qwen2.5:7b", "qwen2.5:72b"), ("llama-3", "llama-3-70b"),
     ("gpt-4", "gpt-4.1"), ("qwen2", "qwen2.5"), ("phi-3", "phi-3.5"), ("gpt-4.1", "gpt-4"),
     ("org1/llama-3", "org2/llama-3"), ("gpt-4-0613", "gpt-4"), ("big-preview", "big"),
     ("llama-3", "llama-3-8"), ("claude-3", "claude-3-5"), ("small", "small_2")],
)  # fmt: skip
def test_names_of_two_models(asked, answered):
    assert not same_model(asked, answered)
