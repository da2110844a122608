"""Ways to carry out a decoding step: as it comes, in static shapes, or replayed by a GPU."""

from collections.abc import Callable, Sequence
from functools import cache

import torch

from lampbench.engine.batched.decoding_step import Choice, DecodingStep
from lampbench.engine.batched.step_shape import StepShape, exact_shape, padded_shape, static_shape
from lampbench.engine.device_memory import is_out_of_memory
from lampbench.util.errors import LampbenchError

STEP_KINDS = ("exact", "static", "graph")
"""`exact` computes the answers that there are; `static` rounds the shape of a step up, for tests;
`graph` lets CUDA record the step of each static shape once and replay it, which takes one launch
instead of thousands.
"""

Advance = Callable[[Sequence[int]], Choice]
"""A step for slots whose longest rows have these many tokens, the new one included."""

StepRecorder = Callable[[Callable[[], Choice]], Callable[[], Choice]]
"""Records work: returns a function that does it again, always in the same memory and so with the
same result tensors. Recording alone does nothing.
"""


def step_kind(asked: str | None, device: torch.device, replayable: bool) -> str:
    """The kind of step that is asked for, or the fastest one on a device.

    `replayable` says whether the model's steps are known to be no obstacle to a CUDA graph.

    Raises:
        LampbenchError: steps of the asked kind cannot be carried out there.
    """
    if asked is None:
        return "graph" if device.type == "cuda" and replayable else "exact"
    require_step_kind(asked, device)
    return asked


def require_step_kind(kind: str, device: torch.device) -> None:
    """Make sure that steps of this kind can be carried out on a device.

    Raises:
        LampbenchError: they cannot.
    """
    if kind not in STEP_KINDS:
        raise LampbenchError(f"no decoding step is called {kind!r}: {', '.join(STEP_KINDS)}")
    if kind == "graph" and device.type != "cuda":
        raise LampbenchError(
            f"--engine-arg step=graph needs CUDA, and the device is {device}; leave it out"
        )


def stepper(kind: str, step: DecodingStep, shared: Callable[[], int]) -> Advance:
    """How the steps of a loop are carried out; `shared` tells when shared adapters change."""
    if step.batch_invariant:
        return lambda lengths: step.advance(padded_shape(lengths, step.computed(len(lengths))))
    if kind == "exact":
        return lambda lengths: step.advance(exact_shape(lengths))
    if kind == "static":
        return lambda lengths: step.advance(static_shape(lengths, step.slots, step.tokens))
    return ReplayedSteps(step, shared, lambda: CudaRecorder(step.device))


class ReplayedSteps:
    """Steps of which each static shape is recorded at its second use and replayed from then on.

    The first use lets libraries set themselves up for it. A recording holds the memory of
    everything that took part, so it ends when shared adapters are replaced: `shared` gives another
    number then, and `recorder` makes what records from then on.
    """

    def __init__(
        self,
        step: DecodingStep,
        shared: Callable[[], int],
        recorder: Callable[[], StepRecorder],
    ) -> None:
        self._step, self._shared, self._recorder = step, shared, recorder
        self._record = recorder()
        self._recorded: dict[StepShape, Callable[[], Choice]] = {}
        self._used: set[StepShape] = set()
        self._state = shared()

    def __call__(self, lengths: Sequence[int]) -> Choice:
        """One step.

        Raises:
            LampbenchError: the model's steps cannot be recorded.
        """
        step = self._step
        shape = static_shape(lengths, step.slots, step.tokens)
        if self._shared() != self._state:
            self._recorded.clear()
            self._record = self._recorder()
            self._state = self._shared()
        if shape not in self._used:
            self._used.add(shape)
            return step.advance(shape)
        if shape not in self._recorded:
            self._recorded[shape] = self._recording(shape)
        chosen, rewards = self._recorded[shape]()
        return chosen.clone(), None if rewards is None else rewards.clone()

    def _recording(self, shape: StepShape) -> Callable[[], Choice]:
        step = self._step
        try:
            return self._record(lambda: step.advance(shape))
        except RuntimeError as error:
            if is_out_of_memory(_first(error)):
                raise _first(error)  # noqa: B904
            cause = str(_first(error)).partition("\n")[0]
            raise LampbenchError(
                f"this model's decoding steps cannot be replayed as a CUDA graph ({cause}); "
                "give --engine-arg step=exact"
            ) from error


def _first(error: RuntimeError) -> RuntimeError:
    """What ended a recording: to end one that has failed may fail, too, with an error of its own.

    No variable may hold it where it is raised: it would keep all memory of the loop.
    """
    before = error.__context__
    return before if isinstance(before, RuntimeError) else error


class CudaRecorder:
    """Records work as CUDA graphs that share their memory, since they never run at once.

    Graphs that are made when all others are gone need a recorder of their own: torch gives no more
    memory to the pool of the others.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, _stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], Choice]) -> Callable[[], Choice]:
        """Record work that has run before."""
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self._device),
            torch.cuda.graph(graph, pool=self._pool, stream=self._stream),
        ):
            found = work()

        def replay() -> Choice:
            graph.replay()
            return found

        return replay


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """The stream on which a device's work is recorded.

    torch's own is on one GPU only, and what runs on another would be carried out, not recorded. It
    is made once: libraries keep memory for every stream.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
