"""Sends a request until it has its reply: retries, delays, budgets, errors told in one line."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Event, Lock
from typing import Any, Protocol, TypeVar

from lampbench.engine.openai.api_client import ApiClient, ApiReply, NoReply
from lampbench.engine.openai.api_options import ApiOptions
from lampbench.engine.openai.chat_reply import MalformedReply, WrongReply
from lampbench.engine.openai.parallel import Abandoned
from lampbench.engine.openai.retry_delays import LONGEST_WAIT, SharedPause, backoff
from lampbench.engine.openai.server_errors import PassingFailure, ServerErrors, error_text
from lampbench.engine.openai.token_account import TokenAccount, TokenCount
from lampbench.util.errors import LampbenchError
from lampbench.util.progress import duration


class CountedReply(Protocol):
    """What was read from a reply, with the tokens that the server counts."""

    @property
    def counted(self) -> TokenCount | None:
        """Tokens read and written; None where the server does not say."""
        ...


T = TypeVar("T", bound=CountedReply)


class PersistentRequests:
    """Sends requests from any thread.

    A failure that may pass is tried again, `options.retries` times in a row. Throttling counts anew
    whenever another request got through: a slow account is no failure. Until a first reply was
    usable, silence and nonsense are tried again only once: a wrong address is told soon.
    """

    def __init__(
        self,
        options: ApiOptions,
        client: ApiClient,
        errors: ServerErrors,
        account: TokenAccount,
        say: Callable[[str], object],
    ) -> None:
        self._options, self._client, self._errors = options, client, errors
        self._account, self._say = account, say
        self._pause = SharedPause()
        self._lock = Lock()
        self._successes = 0
        self._waits_told = 0

    def send(
        self,
        path: str,
        body: Mapping[str, Any],
        what: str,
        most: TokenCount,
        read: Callable[[Any], T],
        stop: Event,
    ) -> T:
        """What `read` makes of the reply's JSON.

        `what` names the request in messages, `most` is the most that it can cost.

        Raises:
            Abandoned: `stop` was set.
            OutOfBudget: the budget has no room for it.
            LampbenchError: it cannot be answered.
        """
        failures, seen = 0, self._successes
        while True:
            if not self._pause.wait(stop) or not self._account.reserve(most, stop):
                raise Abandoned
            try:
                return self._once(path, body, what, most, read)
            except PassingFailure as failure:
                if failure.throttled and self._successes != seen:
                    failures, seen = 0, self._successes
                failures += 1
                if failures > self._allowed(failure):
                    tries = "1 try" if failures == 1 else f"{failures} tries"
                    raise LampbenchError(
                        f"{what}: {failure}; given up after {tries}: {failure.remedy} (what is "
                        "finished is kept)"
                    ) from failure
                self._delay(failure, failures, stop)

    def _allowed(self, failure: PassingFailure) -> int:
        """How many failures in a row are tried again."""
        retries = self._options.retries
        return retries if failure.told_by_server or self._successes else min(retries, 1)

    def _delay(self, failure: PassingFailure, failures: int, stop: Event) -> None:
        """Wait before the next try; where the server has too much to do, all requests wait.

        Raises:
            LampbenchError: the server asks for a longer wait than a command should make.
        """
        wait = failure.wait
        if wait is not None and wait > LONGEST_WAIT:
            raise LampbenchError(
                f"{failure}, and asks to wait {duration(wait)} (Retry-After): run the same command "
                "again then; what is finished is kept"
            ) from failure
        seconds = backoff(failures) if wait is None else wait
        with self._lock:
            self._waits_told += 1
            first = self._waits_told == 1
        if first:
            self._say(f"{failure}; trying again, and whenever this happens")
        if failure.throttled or wait is not None:
            self._pause.extend(seconds)
        else:
            stop.wait(seconds)

    def _once(
        self,
        path: str,
        body: Mapping[str, Any],
        what: str,
        most: TokenCount,
        read: Callable[[Any], T],
    ) -> T:
        """One try; what it costs goes into the account, whatever becomes of it."""
        spent: TokenCount | None = None
        try:
            try:
                reply = self._client.post(path, body)
            except NoReply as error:
                spent = None if error.unsent else most  # the server may count it
                raise self._unanswered(error) from error
            if not 200 <= reply.status < 300:
                raise self._errors.refusal(reply, what)
            spent = most
            found = self._understood(reply, what, read)
            spent = found.counted
        finally:
            self._account.settle(most, spent)
        if found.counted is None and self._options.has_budget:
            raise LampbenchError(
                f"{self._options.place} does not say how many tokens it counts (usage), so that no "
                "budget can be kept; leave max_total_tokens and max_cost out, or use another server"
            )
        with self._lock:
            self._successes += 1
        return found

    def _unanswered(self, error: NoReply) -> Exception:
        why = f"{self._options.place}: {self._errors.words_of(error)}"
        remedy = "is the server running, and --api-base its address?"
        if error.lasting:
            return LampbenchError(f"{why}; check --api-base")
        if not error.unsent:
            remedy = "is the server well? --engine-arg timeout=SECONDS allows it more time"
        return PassingFailure(why, remedy=remedy)

    def _understood(self, reply: ApiReply, what: str, read: Callable[[Any], T]) -> T:
        """What `read` makes of a reply with a status of success."""
        place, words = self._options.place, self._errors.words_of
        try:
            content = reply.content()
        except ValueError as error:
            kind = reply.headers.get("content-type", "no type").partition(";")[0]
            raise PassingFailure(
                f"{place} sent {words(kind)} that is not JSON",
                remedy="is it an OpenAI-compatible server? --api-base usually ends in /v1",
            ) from error
        if isinstance(content, dict) and (told := content.get("error")):
            code = told.get("code") if isinstance(told, dict) else None
            if isinstance(code, int) and 400 <= code < 600:  # a gateway's way to pass an error on
                raise self._errors.refusal(replace(reply, status=code), what)
            raise PassingFailure(f"{place} answered with an error ({words(error_text(told))})")
        try:
            return read(content)
        except MalformedReply as error:
            raise PassingFailure(
                f"{place}: {words(error)}", remedy="is it an OpenAI-compatible server?"
            ) from error
        except WrongReply as error:
            raise LampbenchError(f"{what}: {place}: {words(error)}") from error
