"""Training jobs with all that their first step needs: token ids, starts, the reference's scores."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from lampbench.engine.adapter_files import read_start
from lampbench.engine.batched.prompt_tree import PromptTree
from lampbench.engine.batched.response_scorer import ResponseScorer, ScoredTree
from lampbench.engine.batched.shared_adapters import SharedAdapters, split_shared
from lampbench.engine.batched.training_run import TrainingExample, TrainingRun
from lampbench.engine.lora_init import initial_matrices
from lampbench.engine.prompt_encoder import PromptEncoder
from lampbench.engine.protocol import PreferencePair, SFTExample, TrainJob, Weights


class TrainingData:
    """Encodes the examples of jobs for `model`, which was loaded from `base`.

    `scorer` computes log-probabilities for DPO; it applies other adapters to `shared`.
    """

    def __init__(
        self,
        model: Any,
        base: str,
        encoder: PromptEncoder,
        scorer: ResponseScorer,
        shared: SharedAdapters,
    ) -> None:
        self._model, self._base, self._encoder = model, base, encoder
        self._scorer, self._shared = scorer, shared

    def runs(self, jobs: Sequence[TrainJob], ahead: int) -> Iterator[TrainingRun]:
        """Jobs on the same frozen weights with their data encoded, `ahead` at a time.

        The reference model of DPO never changes: it is scored here, once for all epochs.

        Raises:
            LampbenchError: a prompt does not fit into the context; an adapter cannot be used, or
                `start` has another shape than the job's LoRA.
        """
        for begin in range(0, len(jobs), ahead):
            runs = [self.run(job) for job in jobs[begin : begin + ahead]]
            if runs[0].job.dpo is not None:
                self._score_reference(runs, runs[0].job.frozen, runs[0].job.dpo.reference)
            yield from runs

    def run(self, job: TrainJob) -> TrainingRun:
        """A job with its data encoded, without the reference model's scores.

        Raises:
            LampbenchError: as in `runs`.
        """
        data: Sequence[SFTExample | PreferencePair] = job.data
        encoded = [
            self._encoder.encode_responses(
                f"{job.id}, example {number}", item.prompt, item.responses
            )
            for number, item in enumerate(data, start=1)
        ]
        examples = [TrainingExample(PromptTree(each.prompt, each.responses)) for each in encoded]
        if job.start is None:
            start = initial_matrices(self._model, job.lora, job.seed)
        else:
            start = read_start(job.start, self._model, self._base, job.lora)
        return TrainingRun(job, examples, start, sum(each.shortened for each in encoded))

    def _score_reference(
        self, runs: Sequence[TrainingRun], frozen: Weights, reference: Weights
    ) -> None:
        """Fill in the reference model's log-probabilities of all runs' examples."""
        shared = frozen
        if reference[: len(shared)] != shared:
            shared = split_shared(reference)[0]
        own = reference[len(shared) :]
        trees = [
            ScoredTree((f"{r} {i} 0", f"{r} {i} 1"), own, example.tree)
            for r, run in enumerate(runs)
            for i, example in enumerate(run.examples)
        ]
        sums = {each.id: sum(each.logprobs) for each in self._scorer.score(shared, trees)}
        for r, run in enumerate(runs):
            run.examples = [
                replace(example, reference=(sums[f"{r} {i} 0"], sums[f"{r} {i} 1"]))
                for i, example in enumerate(run.examples)
            ]
        self._shared.apply(frozen)
