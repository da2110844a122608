"""What a server that somebody else started tells of how it runs its model."""

from collections.abc import Iterator
from dataclasses import dataclass

NOT_TOLD = "unknown"
"""What stands in manifests where a server does not tell."""
SERVER_DTYPE = "server_dtype"
"""The name of a server's precision among what identifies an engine in manifests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfiguration:
    """None is what a server does not tell.

    Attributes:
        dtype: precision of weights and activations, as "bfloat16".
        quantization: how the weights are quantised; "none" if they are not.
        kv_cache_dtype: precision of the key/value cache; "auto" is that of the model.
        fingerprint: what the server calls its version and options. They cannot be read from it, but
            it is another one where they differ.
    """

    dtype: str | None = None
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    fingerprint: str | None = None

    def identity(self) -> dict[str, str]:
        """By name, for manifests: keys do not have it, since most servers tell little."""
        return {
            SERVER_DTYPE: self.dtype or NOT_TOLD,
            "server_quantization": self.quantization or NOT_TOLD,
            "server_kv_cache_dtype": self.kv_cache_dtype or NOT_TOLD,
            "server_fingerprint": self.fingerprint or NOT_TOLD,
        }

    def notes(self) -> Iterator[str]:
        """What a reader of the scores must know."""
        missing = [
            name
            for name, told in (("precision", self.dtype), ("quantisation", self.quantization))
            if told is None
        ]
        if missing:
            yield f"answered by a server that does not tell its {' or '.join(missing)}"
        if self.quantization not in (None, "none"):
            yield f"quantised by the server that answered: {self.quantization}"
        if self.kv_cache_dtype not in (None, "auto", self.dtype):
            yield f"key/value cache of the server that answered: {self.kv_cache_dtype}"
