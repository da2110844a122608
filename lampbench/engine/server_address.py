"""The address of a server, as `--api-base` and `--vllm-url` take it: one rule for both."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from lampbench.util.errors import LampbenchError, short_repr

_PORTS = {"http": 80, "https": 443}
_REQUESTS = ("/chat/completions", "/completions", "/models")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is.

    Attributes:
        scheme: "http" or "https".
        host: its name or IP address, in lower case; of IPv6 without brackets.
        port: None for the usual one of the scheme.
        path: below which it answers; without a slash at its end, "" for none.
    """

    scheme: str
    host: str
    port: int | None
    path: str

    @property
    def origin(self) -> str:
        """The address without its path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{f':{self.port}' if self.port else ''}"

    def __str__(self) -> str:
        return self.origin + self.path


def server_address(text: str, option: str, key_variable: str) -> ServerAddress:
    """The address that an option gives, in one form; white space around it does not count.

    Args:
        text: begins with http:// or https://, so that nothing is sent unencrypted by mistake.
        option: as messages name it, such as "--api-base".
        key_variable: the environment variable where a key belongs.

    Raises:
        LampbenchError: it is no address, or holds a password or parameters, which manifests and
            messages would show.
    """
    text = text.strip()
    if any(sign in text for sign in "@?#"):
        raise LampbenchError(
            f"{option}: leave user, password, ? and # out of the address; the key is read from the "
            f"environment variable {key_variable}"
        )
    example = "write it as http://HOST:PORT or https://HOST"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError as error:
        said = f"{option} {short_repr(text)}: no address ({error}); {example}"
        raise LampbenchError(said) from error
    printable = text.isprintable() and " " not in text and parts.path.isascii()
    if parts.scheme not in _PORTS or not host or port == 0 or not printable:
        raise LampbenchError(f"{option} {short_repr(text)}: no address of a server; {example}")
    path = parts.path.rstrip("/")
    for ending in _REQUESTS:
        if path.endswith(ending):
            raise LampbenchError(f"{option} {short_repr(text)}: leave {ending} out")
    return ServerAddress(parts.scheme, host, port if port != _PORTS[parts.scheme] else None, path)
