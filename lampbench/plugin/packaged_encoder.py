"""WordLlama: an embedding model that comes in a package, so that it needs no hub."""

from importlib.metadata import version
from importlib.resources import as_file, files
from importlib.util import find_spec
from typing import Any

from lampbench.util.errors import LampbenchError

WORDLLAMA_MODEL = "wordllama"
"""`embeddings.model` for the vectors of WordLlama (Miller, 2024): one of 256 numbers per token of
Llama 2's vocabulary, distilled from Llama's embedding tables. A text is the mean of its tokens."""
WORDLLAMA_VERSION = "0.4.0.post1"
_NOT_INSTALLED = f"{WORDLLAMA_MODEL} needs the package of that name: pip install 'lampbench[dense]'"
_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"


def wordllama_missing() -> str | None:
    """How to get the package, or None where it is installed."""
    return None if find_spec(WORDLLAMA_MODEL) else _NOT_INSTALLED


def load_wordllama(revision: str) -> Any:
    """WordLlama as a model of sentence-transformers, on the CPU.

    Only two files of the package are used: its own loader looks elsewhere for the tokenizer, and
    asks the hub.

    Raises:
        ImportError: sentence-transformers is missing.
        LampbenchError: the package is missing, or its version is not `revision`.
    """
    missing = wordllama_missing()
    if missing:
        raise LampbenchError(missing)
    installed = version(WORDLLAMA_MODEL)
    if installed != revision:
        raise LampbenchError(
            f"embeddings.revision is {revision}, but {WORDLLAMA_MODEL} {installed} is installed; "
            f"install that version, or give --set embeddings.revision={installed}"
        )
    from safetensors.numpy import load_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    package = files(WORDLLAMA_MODEL)
    with as_file(package / _WEIGHTS) as weights, as_file(package / _TOKENIZER) as tokenizer:
        vectors = load_file(weights)["embedding.weight"].astype("float32")
        static = StaticEmbedding(Tokenizer.from_file(str(tokenizer)), embedding_weights=vectors)
    return SentenceTransformer(modules=[static], device="cpu")
