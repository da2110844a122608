"""What an unsuccessful reply means: wait and try again, or one line for the user."""

import re
from collections.abc import Mapping
from typing import Any

from lampbench.engine.openai.api_client import ApiReply
from lampbench.engine.openai.api_options import KEY_VARIABLES, ApiOptions
from lampbench.engine.openai.retry_delays import retry_after
from lampbench.util.errors import LampbenchError

_LONGEST = 200  # characters of a server's own words
_PASSING = {408, 409, 425, 429}  # and those from 500
_LASTING = {501, 505}
_CONTEXT = re.compile(
    r"context[ _](length|size|window)|context_length|too many tokens|maximum.{0,40}tokens"
    r"|prompt is too long|input is too long|exceeds? .{0,60}context", re.IGNORECASE
)  # fmt: skip
_NO_CREDIT = re.compile(r"insufficient[ _](quota|balance|credit|funds)|billing|exceeded your "
                        r"current quota", re.IGNORECASE)  # fmt: skip
_FILTERED = re.compile(r"content[ _](filter|policy)|responsible.?ai", re.IGNORECASE)


class PassingFailure(Exception):
    """A failure that may be over when the request is sent again.

    Attributes:
        throttled: whether the server had too much to do; it did not fail.
        told_by_server: whether a status of the server said so.
        remedy: what to do if it does not pass.
        wait: seconds that the server asks to wait; None where it does not say.
    """

    def __init__(
        self,
        why: str,
        *,
        throttled: bool = False,
        told_by_server: bool = False,
        remedy: str = "run the same command again later",
        wait: float | None = None,
    ) -> None:
        super().__init__(why)
        self.throttled, self.told_by_server = throttled, told_by_server
        self.remedy, self.wait = remedy, wait


class PromptFiltered(Exception):
    """The server refuses to answer this prompt."""


class OtherBudgetName(Exception):
    """The model takes `max_completion_tokens` where others take `max_tokens`."""


class ServerErrors:
    """Turns replies into exceptions; no message shows the key, even if the server's does."""

    def __init__(self, options: ApiOptions, model: str, key: str | None) -> None:
        self._options, self._model, self._key = options, model, key

    def words_of(self, text: object) -> str:
        """A server's own words for a message: one line, short, without the key."""
        line = self.without_key(" ".join(str(text).split()))
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."

    def without_key(self, text: str) -> str:
        """A text of the server as messages and files may have it."""
        return text.replace(self._key, "[key]") if self._key else text

    def refusal(self, reply: ApiReply, what: str) -> Exception:
        """The exception for a reply with an error; `what` names the request that it answers."""
        status, said = reply.status, self.said(reply)
        place = self._options.place
        shown = f"{place} answered {status}" + (f" ({self.words_of(said)})" if said else "")
        if status in (401, 403):
            return LampbenchError(f"{shown}: {self._key_remedy()}")
        if status == 402 or (status == 429 and _NO_CREDIT.search(said)):
            return LampbenchError(
                f"{shown}: the account has no credit left; run the same command again when it has"
            )
        if status in _PASSING or (status >= 500 and status not in _LASTING):
            return PassingFailure(
                shown,
                throttled=status in (429, 503),
                told_by_server=True,
                wait=retry_after(reply.headers),
            )
        if 300 <= status < 400:
            target = reply.headers.get("location", "").partition("?")[0]
            return LampbenchError(
                f"{shown}, a redirection to {self.words_of(target) or 'nowhere'}: give the final "
                "address as --api-base"
            )
        if status in (404, 405):
            return LampbenchError(
                f"{shown}: there is no model {self._model!r} or no chat API at this address; check "
                "--model, and --api-base, which usually ends in /v1"
            )
        if status in (400, 413, 422) and (found := self._bad_request(said, what)) is not None:
            return found
        return LampbenchError(
            f"{what}: {shown}: the server refuses this request; check that it takes what the "
            "method asks for (docs/api-models.md)"
        )

    def said(self, reply: ApiReply) -> str:
        """What the server says of an error, wherever in the reply it does; "" if nowhere."""
        try:
            return error_text(reply.content())
        except ValueError:
            return ""

    def _bad_request(self, said: str, what: str) -> Exception | None:
        """A refusal with a known cause; None for any other."""
        if "max_completion_tokens" in said:
            return OtherBudgetName(self.words_of(said))
        if _CONTEXT.search(said):
            return LampbenchError(
                f"{what}: the prompt and the answer's budget do not fit into the model's context "
                f"({self.words_of(said)}); an API's prompts are not shortened: quote less (--set "
                "prompting.k=N, --set profile.records=N, --max-history N), or choose a model with "
                "a longer context"
            )
        if "temperature" in said:
            return LampbenchError(
                f"{what}: the model does not take the temperature of the method's decoding "
                f"({self.words_of(said)}); many models that reason decode neither greedily nor at "
                "another temperature than 1: choose another model"
            )
        if _FILTERED.search(said):
            return PromptFiltered(self.words_of(said))
        return None

    def _key_remedy(self) -> str:
        name = self._options.key_name
        if name is None:
            return f"no key was sent; set {KEY_VARIABLES[0]}"
        return f"the key in {name} is refused; set another one"


def error_text(content: Any) -> str:
    """The message, type and code of an error in the forms that servers use; "" if there is none."""
    error = content.get("error", content) if isinstance(content, Mapping) else content
    if isinstance(error, str):
        return error
    if not isinstance(error, Mapping):
        return ""
    words = [error.get(name) for name in ("message", "detail", "type", "code")]
    return " ".join(str(word) for word in words if isinstance(word, str | int | list))
