"""WordLlama: an embedding model that comes in a package, so that it needs no hub."""

from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from lampbench.util.errors import LampbenchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORDLLAMA_MODEL = "wordllama"
"""`embeddings.model` for the vectors of WordLlama (Miller, 2024): one of 256 numbers per token of
Llama 2's vocabulary, distilled from Llama's embedding tables. A text is the mean of its tokens."""
WORDLLAMA_VERSION = "0.4.0.post1"
_NOT_INSTALLED = f"{WORDLLAMA_MODEL} is a package: pip install 'lampbench[wordllama]'"
_WEIGHTS = "wordllama/weights/l2_supercat_256.safetensors"
_TOKENIZER = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"


def wordllama_missing() -> str | None:
    """How to get the package, or None where it is installed."""
    return None if _installed() else _NOT_INSTALLED


def _installed() -> Distribution | None:
    """The package as it was installed: a folder of that name where Python looks first is not it."""
    try:
        return distribution(WORDLLAMA_MODEL)
    except PackageNotFoundError:
        return None


class WordLlama:
    """Encodes as models of sentence-transformers do: the mean of the vectors of a text's tokens.

    Two files of the package are read. Its own loader would look elsewhere for the tokenizer, and
    ask the hub for it.

    Raises:
        LampbenchError: the package or a file of it is missing, or its version is not `revision`.
    """

    def __init__(self, revision: str) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        found = _installed()
        if found is None:
            raise LampbenchError(_NOT_INSTALLED)
        if found.version != revision:
            raise LampbenchError(
                f"embeddings.revision is {revision}, but {WORDLLAMA_MODEL} {found.version} is "
                "installed; install that version, or give "
                f"--set embeddings.revision={found.version}"
            )
        # by their paths: importing the package would import more than its files need
        weights, tokens = (Path(str(found.locate_file(name))) for name in (_WEIGHTS, _TOKENIZER))
        for file in (weights, tokens):
            if not file.is_file():
                raise LampbenchError(
                    f"{file}: not there; {WORDLLAMA_MODEL} {revision} has it: install it again"
                )
        self._vectors = load_file(weights)["embedding.weight"].astype("float32")
        self._tokenizer = Tokenizer.from_file(str(tokens))

    def encode(self, texts: Sequence[str], **_: object) -> "NDArray[np.float32]":
        """A row of 256 numbers per text; zeros for a text without tokens."""
        import numpy as np

        found = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        for row, text in zip(found, texts, strict=True):
            if ids := self._tokenizer.encode(text, add_special_tokens=False).ids:
                row[:] = self._vectors[ids].mean(axis=0)
        return found
