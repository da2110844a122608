"""The committed models: size, tokenizer, and that they load and answer."""

import json
from pathlib import Path
from typing import Any

import pytest

from lampbench.bundled import DATA
from lampbench.engine.models import BUNDLED, resolve_model
from lampbench.registry import Registry
from scripts.model_card import model_card
from scripts.tokenizer import BOS, EOS
from scripts.user_rows import read_users

MESSAGES = [
    {"role": "system", "content": "You are a title generator."},
    {"role": "user", "content": "Generate a title.\ntitle:"},
    {"role": "assistant", "content": "A Title"},
]


@pytest.fixture(scope="module", params=BUNDLED)
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(resolve_model(request.param).location)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_every_file_is_small_enough(folder: Path) -> None:
    files = [path for path in folder.iterdir() if path.is_file()]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in files}
    assert all(path.stat().st_size <= 16 * 2**20 for path in files)


def test_the_card_is_made_from_the_log(folder: Path) -> None:
    facts = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert model_card(facts) == (folder / "README.md").read_text(encoding="utf-8")


def test_a_chat_begins_with_exactly_one_begin_token(tokenizer: Any) -> None:
    text = tokenizer.apply_chat_template(MESSAGES, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids[-1] == tokenizer.eos_token_id
    assert ids == tokenizer.apply_chat_template(MESSAGES, return_dict=False)


def test_plain_text_gets_one_begin_token(tokenizer: Any) -> None:
    assert tokenizer("Hello")["input_ids"].count(tokenizer.bos_token_id) == 1
    assert tokenizer.bos_token_id not in tokenizer("Hello", add_special_tokens=False)["input_ids"]


def test_a_prompt_is_the_beginning_of_the_answered_chat(tokenizer: Any) -> None:
    asked = tokenizer.apply_chat_template(MESSAGES[:2], tokenize=False, add_generation_prompt=True)
    answered = tokenizer.apply_chat_template(MESSAGES, tokenize=False)
    assert answered == f"{asked}A Title{EOS}"
    assert asked.startswith(BOS)
    ids = tokenizer(asked, add_special_tokens=False)["input_ids"]
    assert tokenizer(answered, add_special_tokens=False)["input_ids"][: len(ids)] == ids


@pytest.mark.parametrize(
    "text", ["Grüße, 世界!", "  two\n\n spaces ", "“quotes” — 3.14%", "\t\x00"]
)
def test_decoding_gives_back_the_text(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_the_models_differ_in_size_and_in_nothing_else() -> None:
    folders = [Path(resolve_model(name).location) for name in BUNDLED]
    assert len({(folder / "tokenizer.json").read_bytes() for folder in folders}) == 1
    facts = [json.loads((folder / "training.json").read_text("utf-8")) for folder in folders]
    for one in facts:
        one["config"]["training"].pop("minutes")
        length = one["config"]["model"].pop("max_position_embeddings")
        assert length == 1024
    texts, training, sizes = (
        {json.dumps(value, sort_keys=True) for value in values}
        for values in (
            [one["corpus"] for one in facts],
            [{**one["config"], "model": None} for one in facts],
            [one["config"]["model"] for one in facts],
        )
    )
    assert (len(texts), len(training), len(sizes)) == (1, 1, len(BUNDLED))


def test_the_model_answers_a_task_and_ends(folder: Path, tokenizer: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer)
    query = read_users(DATA / "scholarly_title" / "test.jsonl")[0]["queries"][0]
    prompt = Registry().task("scholarly_title").prompt(query["fields"])
    asked = [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": prompt.text},
    ]
    ids = tokenizer.apply_chat_template(
        asked, add_generation_prompt=True, return_tensors="pt", return_dict=False
    )
    with torch.no_grad():
        answer = model.generate(ids, max_new_tokens=60)[0, ids.shape[1] :].tolist()
    assert 3 < len(answer) < 60
    assert answer[-1] == tokenizer.eos_token_id
