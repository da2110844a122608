"""Dense retrieval: records near to the item in the space of an embedding model."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lampbench.core.dataset import Record, User
from lampbench.engine.capability import Capability
from lampbench.plugin.context import Context, UserRecipe
from lampbench.plugin.hyperparameter import hyper
from lampbench.plugin.packaged_encoder import (
    WORDLLAMA_MODEL,
    WORDLLAMA_VERSION,
    WordLlama,
    wordllama_missing,
)
from lampbench.plugin.retrieval import Item, Retriever
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import folder_digest
from lampbench.util.whole_characters import whole_characters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_LONGEST = 32_768
"""Texts of items whose vectors are kept, so that no prompt is embedded twice."""


_NOT_INSTALLED = "dense retrieval needs sentence-transformers: pip install 'lampbench[dense]'"


@dataclass(frozen=True)
class Embeddings(UserRecipe):
    """The vectors of a user's records, one row per record, in the order of the history.

    Made one user at a time, so that a user's vectors depend on nobody else's texts. They are kept
    with the other artifacts; runs that differ in the language model or the seed share them.
    """

    name: ClassVar = "embeddings"
    section = "embeddings"
    uses_prompting = False
    from_data_alone = True

    model: str = hyper(
        "embedding model: a hub id, a folder, or wordllama, which is a package",
        default="sentence-transformers/all-MiniLM-L6-v2",
    )
    revision: str = hyper(
        "revision of a hub model (commit, tag or branch), or version of the package",
        default="main",
    )

    def needs(self) -> frozenset[Capability]:
        """Nothing: another library embeds."""
        return frozenset()

    def missing_package(self) -> str | None:
        """The library that embeds, or the package with the model."""
        if self.model == WORDLLAMA_MODEL:
            return wordllama_missing()
        return None if find_spec("sentence_transformers") else _NOT_INSTALLED

    def named_files(self) -> Mapping[str, str]:
        """The digest of a model's folder, which may be trained further in its place."""
        if not isinstance(self.model, str) or self.model == WORDLLAMA_MODEL:
            return {}  # not set yet, or a package
        return {"model": _folder_digest(self.model)} if Path(self.model).is_dir() else {}

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Embed what each record is found by."""
        for user in users:
            texts = [context.task.record_text(record) for record in user.history]
            context.put(self, user, _packed(self.encode(texts)))
            yield user

    def encode(self, texts: Sequence[str]) -> "Vectors":
        """A row per text.

        Raises:
            LampbenchError: the package or the model is missing.
        """
        import numpy as np

        encoder = _encoder(self.model, self.revision)
        if not texts:
            return np.zeros((0, 0), np.float32)
        whole = [whole_characters(text) for text in texts]
        found = encoder.encode(whole, convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(found, np.float32)


@dataclass(frozen=True)
class Dense(Retriever):
    """The records whose embeddings are nearest to the item's.

    Among equals the later record wins.
    """

    name: ClassVar = "dense"
    embeddings: Embeddings = Embeddings()
    similarity: str = hyper(
        "what is nearest: cosine or dot product", default="cosine", choices=("cosine", "dot")
    )

    def rank(
        self, context: Context, user: User, item: Item, history: Sequence[Record], k: int
    ) -> list[Record]:
        """The k nearest, nearest first."""
        import numpy as np

        if not history or k == 0:
            return []
        found = _vectors(context, self.embeddings, user)[: len(history)]
        text = context.task.query_text(item)
        asked = _vector(self.embeddings, text)
        scores = found @ asked
        if self.similarity == "cosine":
            scores = scores / np.maximum(np.linalg.norm(found, axis=1), 1e-12)
        order = sorted(range(len(history)), key=lambda i: (-scores[i], -i))
        return [history[i] for i in order[:k]]


CONTRIEVER = Dense(Embeddings(model="facebook/contriever"), similarity="dot")
"""Contriever (Izacard et al., 2022) as LaMP uses it: the mean of the last layer's token vectors,
compared by dot product. The checkpoint is a plain encoder, which sentence-transformers pools by
the mean."""
WORDLLAMA = Dense(Embeddings(model=WORDLLAMA_MODEL, revision=WORDLLAMA_VERSION))
"""WordLlama (Miller, 2024): token vectors out of a package, so that no hub is needed."""


@lru_cache(maxsize=2)  # for the whole process, as the encoder itself
def _folder_digest(folder: str) -> str:
    try:
        return folder_digest(Path(folder))
    except OSError as error:
        raise LampbenchError(
            f"{error.filename or folder}: cannot be read ({error.strerror}); make it readable, or "
            "give another --set embeddings.model=FOLDER"
        ) from error


@lru_cache(maxsize=2)
def _encoder(model: str, revision: str) -> Any:
    if model == WORDLLAMA_MODEL:
        return WordLlama(revision)
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise LampbenchError(_NOT_INSTALLED) from None
    try:
        return SentenceTransformer(model, revision=None if Path(model).is_dir() else revision)
    except Exception as error:  # hub, network and file errors of several libraries
        cause = (str(error).splitlines() or [""])[0]
        raise LampbenchError(
            f"the embedding model {model} ({revision}) cannot be loaded "
            f"({type(error).__name__}: {cause}); download it first, or give another with "
            "--set embeddings.model=MODEL and its --set embeddings.revision=NAME"
        ) from error


@lru_cache(maxsize=_LONGEST)
def _vector(embeddings: Embeddings, text: str) -> "Vectors":
    found: Vectors = embeddings.encode([text])[0]
    return found


_unpacked: dict[Path, "Vectors"] = {}
"""The vectors of the users who were asked about last, by the artifact's folder."""


def _vectors(context: Context, embeddings: Embeddings, user: User) -> "Vectors":
    place = context.artifact(embeddings, user)
    if place not in _unpacked:
        if len(_unpacked) >= 64:
            _unpacked.clear()
        _unpacked[place] = _from_packed(context.get(embeddings, user))
    return _unpacked[place]


def _packed(vectors: "Vectors") -> dict[str, Any]:
    raw = base64.b64encode(vectors.astype("<f4").tobytes())
    return {"shape": list(vectors.shape), "float32": raw.decode("ascii")}


def _from_packed(value: dict[str, Any]) -> "Vectors":
    import numpy as np

    raw = base64.b64decode(value["float32"])
    return np.frombuffer(raw, "<f4").astype(np.float32).reshape(value["shape"])
