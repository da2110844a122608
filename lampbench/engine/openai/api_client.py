"""One HTTP request to an API: a deadline for the reply's body, a bound on its size."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

from lampbench.engine.openai.api_options import ApiOptions
from lampbench.util.errors import LampbenchError
from lampbench.util.version import VERSION

_LARGEST = 64 * 2**20  # bytes of a reply: log-probabilities of a prompt are the longest
_CONNECT = 10.0  # seconds
_OF_THE_ENVIRONMENT = ("http_proxy", "https_proxy", "all_proxy", "ssl_cert_file", "ssl_cert_dir")


class NoReply(Exception):
    """A request without a complete reply; the text says why.

    Attributes:
        unsent: whether the server cannot have seen it, so that it costs nothing.
        lasting: whether the same request cannot succeed later.
    """

    def __init__(self, why: str, *, unsent: bool, lasting: bool = False) -> None:
        super().__init__(why)
        self.unsent, self.lasting = unsent, lasting


@dataclass(frozen=True, slots=True)
class ApiReply:
    """Status, headers (names in lower case) and body of a reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def content(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is none; NaN and Infinity are none either.
        """
        try:
            return json.loads(self.body, parse_constant=_refuse)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error


class ApiClient:
    """Sends requests to one server, from any thread.

    Redirects are not followed, so that the key goes to no other address. The proxies of the
    environment are used, but not for this machine.

    Raises:
        LampbenchError: a proxy or the certificates that the environment names cannot be used.
    """

    def __init__(self, options: ApiOptions, key: str | None) -> None:
        import httpx2

        self._options = options
        self._lock = Lock()
        self._closed, self._under_way = False, 0
        headers = {"User-Agent": f"lampbench/{VERSION}", "Accept": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        try:
            self._client = httpx2.Client(
                headers=headers,
                timeout=httpx2.Timeout(options.timeout, connect=min(_CONNECT, options.timeout)),
                limits=httpx2.Limits(max_connections=options.concurrency),
                follow_redirects=False,
                trust_env=not options.on_this_machine,
            )
        except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
            named = [name for name in os.environ if name.lower() in _OF_THE_ENVIRONMENT]
            # no words of an address: it may hold a password
            missing = isinstance(error, ImportError)
            cause = str(error).partition(". ")[0] if missing else type(error).__name__
            raise LampbenchError(
                f"a proxy or certificates of the environment cannot be used ({cause}): mend or "
                f"unset {', '.join(named) or 'the certificates of this system'}"
            ) from error

    def post(self, path: str, payload: Mapping[str, Any]) -> ApiReply:
        """Send a JSON object to a path under the address.

        Raises:
            NoReply: there is no complete reply within the time.
        """
        return self._send("POST", path, json.dumps(payload).encode())

    def get(self, path: str) -> ApiReply:
        """Ask for a path under the address.

        Raises:
            NoReply: as `post`.
        """
        return self._send("GET", path, None)

    def close(self) -> None:
        """Close all connections, as soon as no request is under way; waits for none."""
        with self._lock:
            self._closed = True
            idle = self._under_way == 0
        if idle:
            self._client.close()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """A request that is under way: the last one closes what `close` could not."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                last = self._closed and self._under_way == 0
            if last:
                self._client.close()

    def _send(self, method: str, path: str, body: bytes | None) -> ApiReply:
        import httpx2

        deadline = time.monotonic() + self._options.timeout
        headers = {"Content-Type": "application/json"} if body is not None else {}
        url = f"{self._options.address}{path}"
        try:
            with (
                self._counted(),
                self._client.stream(method, url, content=body, headers=headers) as reply,
            ):
                received = bytearray()
                for part in reply.iter_bytes():
                    received += part
                    if len(received) > _LARGEST:
                        raise NoReply(f"it sent more than {_LARGEST:,} bytes", unsent=False)
                    if time.monotonic() > deadline:
                        raise NoReply(self._too_slow, unsent=False)
                found = {name.lower(): value for name, value in reply.headers.items()}
                return ApiReply(reply.status_code, found, bytes(received))
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            untrusted = "CERTIFICATE" in str(error).upper()
            why = f"no connection ({str(error) or 'timed out'})"
            raise NoReply(why, unsent=True, lasting=untrusted) from error
        except httpx2.TimeoutException as error:
            raise NoReply(self._too_slow, unsent=False) from error
        except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL) as error:
            raise NoReply(str(error), unsent=True, lasting=True) from error
        except UnicodeError as error:  # a host of which no name server can be asked
            raise NoReply(f"no address ({error})", unsent=True, lasting=True) from error
        except httpx2.DecodingError as error:
            raise NoReply(f"its reply cannot be decompressed ({error})", unsent=False) from error
        except httpx2.TransportError as error:
            raise NoReply(f"the connection broke ({error})", unsent=False) from error

    @property
    def _too_slow(self) -> str:
        return f"no complete reply within {self._options.timeout:g} s"


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
