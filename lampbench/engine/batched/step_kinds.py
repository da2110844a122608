"""Ways to carry out a decoding step: as it comes, in static shapes, or replayed by a GPU."""

from collections.abc import Callable, Sequence

import torch

from lampbench.engine.batched.decoding_step import Choice, DecodingStep
from lampbench.engine.batched.step_shape import StepShape, exact_shape, padded_shape, static_shape
from lampbench.util.errors import LampbenchError

STEP_KINDS = ("exact", "static", "graph")
"""`exact` computes the answers that there are; `static` rounds the shape of a step up, for tests;
`graph` lets CUDA record the step of each static shape once and replay it, which takes one launch
instead of thousands.
"""

Advance = Callable[[Sequence[int]], Choice]
"""A step for slots whose longest rows have these many tokens, the new one included."""


def step_kind(asked: str | None, device: torch.device, batch_invariant: bool) -> str:
    """The kind of step that is asked for, or the fastest one on a device.

    Raises:
        LampbenchError: steps of the asked kind cannot be carried out there.
    """
    if asked is None:
        return "graph" if device.type == "cuda" and not batch_invariant else "exact"
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
    return ReplayedSteps(step, shared, CudaRecorder())


class ReplayedSteps:
    """Steps of which each static shape is recorded at its second use and replayed from then on.

    The first use lets libraries set themselves up for it. A recording holds the memory of
    everything that took part, so it ends when shared adapters are replaced: `shared` gives another
    number then. `record(work)` returns a function that does the work again, always in the same
    memory and so with the same result tensors; recording alone does nothing.
    """

    def __init__(
        self,
        step: DecodingStep,
        shared: Callable[[], int],
        record: Callable[[Callable[[], Choice]], Callable[[], Choice]],
    ) -> None:
        self._step, self._shared, self._record = step, shared, record
        self._recorded: dict[StepShape, Callable[[], Choice]] = {}
        self._used: set[StepShape] = set()
        self._state = shared()

    def __call__(self, lengths: Sequence[int]) -> Choice:
        """One step."""
        step = self._step
        shape = static_shape(lengths, step.slots, step.tokens)
        if self._shared() != self._state:
            self._recorded.clear()
            self._state = self._shared()
        if shape not in self._used:
            self._used.add(shape)
            return step.advance(shape)
        if shape not in self._recorded:
            self._recorded[shape] = self._record(lambda: step.advance(shape))
        chosen, rewards = self._recorded[shape]()
        return chosen.clone(), None if rewards is None else rewards.clone()


class CudaRecorder:
    """Records work as CUDA graphs that share their memory, since they never run at once."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], Choice]) -> Callable[[], Choice]:
        """Record work that has run before."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            found = work()

        def replay() -> Choice:
            graph.replay()
            return found

        return replay
