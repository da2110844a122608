"""Dense retrieval, over an encoder that counts words, and over a real one where it is installed."""

import sys
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from lampbench.core.dataset import Query, Record, User
from lampbench.execution.runner import execute
from lampbench.plugin import (
    CONTRIEVER,
    WORDLLAMA,
    Dense,
    Embeddings,
    Method,
    RetrievalAugmented,
    packaged_encoder,
)
from lampbench.plugin import dense_retrieval as dense
from lampbench.plugin.hyperparameter import ValueSources, resolve
from lampbench.util.errors import LampbenchError
from tests.shared.fake_runs import Planner, RecordingEngine

WORDS = ("cat", "dog", "sun", "rain", "article", "headline", "new")


class Encoder:
    """Vectors of word counts; remembers what it was asked."""

    loaded: ClassVar[list[tuple[str, str | None]]] = []
    encoded: ClassVar[list[list[str]]] = []

    def __init__(self, model: str, revision: str | None = None) -> None:
        self.loaded.append((model, revision))

    def encode(self, texts: list[str], **_: object) -> np.ndarray:
        self.encoded.append(texts)
        counts = [Counter(text.split()) for text in texts]
        return np.asarray([[float(one[word]) for word in WORDS] for one in counts])


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch):
    """No encoder and no vector is kept from another test."""
    for cached in (dense._encoder, dense._vector, dense._folder_digest):
        cached.cache_clear()
    dense._unpacked.clear()
    Encoder.loaded, Encoder.encoded = [], []


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> type[Encoder]:
    package = ModuleType("sentence_transformers")
    package.SentenceTransformer = Encoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    return Encoder


def ready(part: Dense) -> Dense:
    return resolve(part, ValueSources({}, {}), "a test", {})


def ranked(
    planner: Planner, part: Dense, texts: Sequence[str], asked: str, k: int = 2
) -> list[str]:
    """Ids of the records, named by their places, that are found for a query."""
    history = tuple(Record(str(n), {"text": text}, "") for n, text in enumerate(texts))
    user = User("ann", history, (Query("q", {"text": asked}, "x"),))
    context, part = planner("rag").executor, ready(part)
    assert list(part.embeddings.build(context, [user])) == [user]
    return [record.id for record in part.rank(context, user, user.queries[0], history, k)]


@pytest.mark.usefixtures("encoder")
class TestRanking:
    TEXTS = ("cat cat cat dog dog", "cat", "rain", "cat cat sun")

    def test_cosine_compares_directions(self, planner) -> None:
        assert ranked(planner, Dense(), self.TEXTS, "cat") == ["1", "3"]

    def test_dot_product_prefers_long_vectors(self, planner) -> None:
        assert ranked(planner, Dense(similarity="dot"), self.TEXTS, "cat") == ["0", "3"]

    def test_among_equals_the_later_wins(self, planner) -> None:
        assert ranked(planner, Dense(), ["cat", "dog", "cat"], "cat", k=3) == ["2", "0", "1"]

    def test_texts_without_a_direction_are_last(self, planner) -> None:
        assert ranked(planner, Dense(), ["unknown", "cat dog"], "cat") == ["1", "0"]

    def test_no_record_no_quote(self, planner) -> None:
        assert ranked(planner, Dense(), [], "cat") == []
        assert ranked(planner, Dense(), ["cat"], "cat", k=0) == []


@pytest.mark.usefixtures("encoder")
class TestEmbeddings:
    def test_they_are_made_once_for_all_models_and_seeds(self, planner, tmp_path, encoder) -> None:
        texts = []
        for seed in (0, 1):
            fresh_process()
            execute(planner("rag_dense", seed=seed), "lampbench", tmp_path / "results")
            texts.append(sum(len(one) for one in encoder.encoded))
            encoder.encoded = []
        assert texts[0] == 7 + 5  # records, and queries of the three test users
        assert texts[1] == 5

    def test_another_embedding_model_has_vectors_and_runs_of_its_own(self, planner) -> None:
        one = planner("rag_dense")
        other = planner("rag_dense", "embeddings.model=another/one")
        assert one.folder != other.folder
        keys = [plan.executor.keys.of(plan.stages[0].recipe, plan.stages[0].owners[0])
                for plan in (one, other)]  # fmt: skip
        assert keys[0] != keys[1]

    def test_users_are_encoded_apart(self, planner, tmp_path, encoder) -> None:
        execute(planner("rag_dense"), "lampbench", tmp_path / "results")
        users = [{text.split("by ")[-1] for text in one} for one in encoder.encoded[:3]]
        assert [len(one) for one in users] == [1, 1, 1]

    def test_training_users_have_vectors_where_their_prompts_train(
        self, planner: Planner, engine: RecordingEngine, tmp_path: Path
    ) -> None:
        from lampbench.plugin import TaskSFT

        class Trained(Method):
            title = "TAM on dense retrieval"
            prompting = RetrievalAugmented(k=1, retriever=Dense())
            adaptation = TaskSFT()

        plan = planner(Trained)
        assert [stage.name for stage in plan.stages] == ["embeddings", "task_sft"]
        execute(plan, "lampbench", tmp_path / "results")
        assert all("headline 0" in one.prompt.text for one in engine.trained[0].data)

    def test_a_hub_model_has_a_revision_and_a_folder_none(self, tmp_path, encoder) -> None:
        Embeddings(model="some/model", revision="abc").encode(["cat"])
        Embeddings(model=str(tmp_path), revision="abc").encode(["cat"])
        assert encoder.loaded == [("some/model", "abc"), (str(tmp_path), None)]

    def test_a_model_that_was_trained_further_in_its_folder_is_another_one(
        self, planner: Planner, tmp_path: Path
    ) -> None:
        weights = tmp_path / "encoder" / "1_Pooling" / "weights"
        weights.parent.mkdir(parents=True)
        found = set()
        for content in ("one", "two", "one"):
            weights.write_text(content)
            dense._folder_digest.cache_clear()  # as in another process
            plan = planner("rag_dense", f"embeddings.model={tmp_path / 'encoder'}")
            (stage,) = plan.stages
            found.add((plan.folder, plan.executor.keys.of(stage.recipe, stage.owners[0])))
        assert len(found) == len({key for _, key in found}) == 2

    def test_vectors_come_back_as_they_were(self) -> None:
        vectors = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
        assert np.array_equal(dense._from_packed(dense._packed(vectors)), vectors)


def fresh_process() -> None:
    dense._vector.cache_clear()
    dense._unpacked.clear()


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch, planner, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(LampbenchError, match=r"pip install 'lampbench\[dense\]'") as told:
        execute(planner("rag_dense"), "lampbench", tmp_path / "results")
    assert "\n" not in str(told.value)


def test_a_model_that_is_not_there_is_one_line(monkeypatch, encoder) -> None:
    def broken(self: Encoder, model: str, revision: str | None = None) -> None:
        raise OSError("no network\nand a long story")

    monkeypatch.setattr(encoder, "__init__", broken)
    with pytest.raises(LampbenchError, match="no/model") as told:
        Embeddings(model="no/model", revision="main").encode(["a"])
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("part", [CONTRIEVER, WORDLLAMA])
def test_half_a_surrogate_pair_is_an_unknown_character(encoder, part) -> None:
    """Data that was made in Python may have one, and no tokenizer takes it."""
    encode = ready(part).embeddings.encode
    half, whole = ["cat \ud83d", "dog \udc00 sun"], ["cat \ufffd", "dog \ufffd sun"]
    assert np.array_equal(encode(half), encode(whole))
    if part is CONTRIEVER:
        assert encoder.encoded == [whole, whole]


def test_importing_the_plugins_loads_no_encoder(python) -> None:
    code = "import lampbench.plugin, sys; print('sentence_transformers' in sys.modules)"
    assert python("-c", code).stdout.strip() == "False"


def test_contriever_is_the_mean_of_the_last_layer_by_dot_product(tmp_path, monkeypatch) -> None:
    """A plain encoder, as the checkpoint of Contriever is, with random weights."""
    pytest.importorskip("sentence_transformers")
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    vocabulary = {word: place for place, word in enumerate(words)}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names: dict[str, Any] = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="[UNK]", mask_token="[MASK]", **names
    )
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = BertModel(BertConfig(vocab_size=len(words), intermediate_size=16, **sizes)).eval()
    tokenizer.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)

    texts = ["cat dog sun", "rain"]
    found = Embeddings(model=str(tmp_path), revision="main").encode(texts)
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    mask = batch["attention_mask"][..., None]
    wanted = (hidden.last_hidden_state * mask).sum(1) / mask.sum(1)
    assert np.allclose(found, wanted.numpy(), atol=1e-5)
    assert CONTRIEVER.embeddings.model == "facebook/contriever"
    assert CONTRIEVER.similarity == "dot"


class TestWordLlama:
    def test_a_text_is_the_mean_of_its_tokens_vectors(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        place = find_spec("wordllama")
        assert place is not None and place.origin is not None
        folder = Path(place.origin).parent
        (weights,) = (folder / "weights").glob("*.safetensors")
        (tokens,) = (folder / "tokenizers").glob("*.json")
        table = load_file(weights)["embedding.weight"].astype(np.float32)
        ids = Tokenizer.from_file(str(tokens)).encode("A cat sat.", add_special_tokens=False).ids
        found = ready(WORDLLAMA).embeddings.encode(["A cat sat.", "rain", ""])
        assert np.allclose(found[0], table[ids].mean(axis=0), atol=1e-6)
        assert not found[2].any()
        assert "wordllama" not in sys.modules  # importing it takes seconds

    def test_another_version_than_the_installed_is_refused(self, monkeypatch) -> None:
        monkeypatch.setattr(
            packaged_encoder, "distribution", lambda _: SimpleNamespace(version="9.9")
        )
        with pytest.raises(LampbenchError, match=r"--set embeddings\.revision=9\.9") as told:
            packaged_encoder.WordLlama("0.4")
        assert "\n" not in str(told.value)

    def test_a_missing_file_is_named(self, monkeypatch, tmp_path) -> None:
        found = SimpleNamespace(version="0.4", locate_file=lambda name: tmp_path / name)
        monkeypatch.setattr(packaged_encoder, "distribution", lambda _: found)
        with pytest.raises(LampbenchError, match=r"l2_supercat_256.safetensors: not there"):
            packaged_encoder.WordLlama("0.4")

    def test_without_the_package_one_line_says_how_to_get_it(self, monkeypatch, tmp_path) -> None:
        def missing(name: str) -> None:
            raise PackageNotFoundError(name)

        (tmp_path / "wordllama").mkdir()  # a folder of that name is not the package
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(dense, "find_spec", lambda _: True)
        monkeypatch.setattr(packaged_encoder, "distribution", missing)
        part = ready(WORDLLAMA).embeddings
        assert "wordllama is a package" in (part.missing_package() or "")
        assert ready(Dense()).embeddings.missing_package() is None
        with pytest.raises(LampbenchError, match=r"pip install 'lampbench\[wordllama\]'"):
            packaged_encoder.WordLlama("0.4")
