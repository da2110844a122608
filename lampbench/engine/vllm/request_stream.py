"""Many requests under way at one server, and what happens when it ends in the middle of them."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from lampbench.engine.protocol import Weights
from lampbench.engine.vllm.http_client import ServerGone, ServerRefused
from lampbench.engine.vllm.lanes import Lanes
from lampbench.engine.vllm.served_adapters import ServedAdapters
from lampbench.engine.vllm.server import Server
from lampbench.engine.vllm.serving import Serving
from lampbench.util.errors import LampbenchError

_TRIES = 4
_FRUITLESS = 3
_NOT_FOUND = 404

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """One request to a server.

    Attributes:
        id: of the request, for messages.
        serving: what the server must be.
        rank: its least --max-lora-rank.
        adapters: whose sum answers; () for the served model itself.
        body: what is sent, without the name of the model.
        read: takes the server's answer.
    """

    id: str
    serving: Serving
    rank: int
    adapters: Weights
    body: dict[str, Any]
    read: Callable[[Any], T]


class RequestStream:
    """Sends requests, `window` at a time, and gives answers back as they come.

    A server that ends is started again or waited for, and what it had not answered is asked again.
    """

    def __init__(self, server: Server, adapters: ServedAdapters, window: int) -> None:
        self._server, self._adapters, self._window = server, adapters, window
        self._lanes = Lanes(self._enter)
        self._epoch = 0
        self._fruitless = 0
        self._lost: LampbenchError | None = None
        self._reviving = threading.Lock()

    def run(self, asks: Iterable[Ask[T]]) -> Iterator[T]:
        """What was read from the answers; `asks` is taken only as fast as answers come.

        Raises:
            LampbenchError: the server cannot be used, refuses a request, or ends again and again.
        """
        self._lost = None
        self._fruitless = 0
        self._lanes.forget()  # a joined server may have been replaced since
        waiting: set[Future[T]] = set()
        stopped = threading.Event()
        coming = iter(asks)
        pool = ThreadPoolExecutor(self._window, thread_name_prefix="vllm")
        try:
            while True:
                for ask in islice(coming, self._window - len(waiting)):
                    waiting.add(pool.submit(self._answer, ask, stopped))
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                # answers before errors: what is finished is kept
                for future in sorted(done, key=lambda each: each.exception() is not None):
                    yield future.result()
        finally:
            stopped.set()
            under_way = [future for future in waiting if not future.cancel()]
            if under_way:
                self._hang_up()
            pool.shutdown(cancel_futures=True)

    def _answer(self, ask: Ask[T], stopped: threading.Event) -> T:
        cause, lost, stale, tries = "", -1, False, 0
        while tries < _TRIES:
            epoch = self._epoch
            try:
                if lost >= 0:
                    self._revive(lost, stopped)
                if stale:  # somebody unloaded the adapter
                    self._adapters.refresh()
                return self._once(ask, stopped)
            except ServerGone as gone:
                if stopped.is_set():
                    raise
                self._lanes.forget()  # whatever answers next is checked first
                cause, lost, tries = str(gone), epoch, tries + gone.asked
            except ServerRefused as refused:
                if refused.status != _NOT_FOUND or not ask.adapters:
                    raise LampbenchError(f"{ask.id}: {_refusal(refused)}") from refused
                cause, stale, tries = str(refused), True, tries + 1
        raise LampbenchError(
            f"{ask.id}: the vLLM server failed {_TRIES} times at this request ({cause}); leave it "
            "out, or use --engine batched: finished work is kept"
        )

    def _once(self, ask: Ask[T], stopped: threading.Event) -> T:
        with self._lanes.take((ask.serving, ask.rank), stopped):
            if not ask.adapters:
                found = self._complete(self._server.name, ask, stopped)
            else:
                with self._adapters.use(ask.adapters) as name:
                    found = self._complete(name, ask, stopped)
        self._fruitless = 0
        return ask.read(found)

    def _complete(self, model: str, ask: Ask[T], stopped: threading.Event) -> Any:
        body = {**ask.body, "model": model}
        found = self._server.client.post("/v1/completions", body, stopped)
        self._server.require_same(found)
        return found

    def _enter(self, kind: tuple[Serving, int], stopped: threading.Event) -> None:
        if self._server.prepare(*kind, stopped):
            self._adapters.refresh()

    def _revive(self, epoch: int, stopped: threading.Event) -> None:
        """Have the server back, once for all requests that it left unanswered."""
        with self._reviving:
            if self._lost is not None:
                raise self._lost
            if epoch != self._epoch:
                return
            self._fruitless += 1
            try:
                if self._fruitless > _FRUITLESS:
                    raise LampbenchError(
                        f"the vLLM server ended {_FRUITLESS} times without an answer in between; "
                        "finished work is kept"
                    )
                self._server.revive(stopped)
            except LampbenchError as error:
                self._lost = error
                raise
            self._adapters.refresh()
            self._epoch += 1

    def _hang_up(self) -> None:
        try:
            self._server.client.hang_up()
        except ServerGone:
            return


def _refusal(refused: ServerRefused) -> str:
    if "maximum context length" in str(refused) or "max_model_len" in str(refused):
        return (
            f"the server's context is too short for it ({refused}); start the server with the "
            "model's own context (a larger --max-model-len)"
        )
    return f"the vLLM server refused it: {refused}"
