"""The client of a vLLM server: prompts are encoded here, and token ids go in and come out.

Chat templates, stop tokens, shortening of prompts and checks of adapters are lampbench's, the same
as in the other engines. What is vLLM's: forward passes, greedy choice, sampling (its own random
numbers: a seed gives other samples than the other engines') and log-probabilities.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from lampbench.core.fidelity import Fidelity
from lampbench.engine.combine_adapters import combine_adapters
from lampbench.engine.decoded_answer import completion, encode_sides
from lampbench.engine.prompt_encoder import PromptEncoder, TokenIds
from lampbench.engine.protocol import (
    CombineJob,
    Completion,
    GenerateRequest,
    ScoreRequest,
    ScoreResult,
    StepHook,
    TrainFailure,
    TrainJob,
    TrainResult,
    Weights,
)
from lampbench.engine.vllm.model_shapes import ModelShapes
from lampbench.engine.vllm.request_stream import Ask, RequestStream
from lampbench.engine.vllm.served_adapters import AdapterFolders, ServedAdapters
from lampbench.engine.vllm.server import Server
from lampbench.engine.vllm.serving import Serving, require_rank, serving
from lampbench.engine.vllm.wire_format import (
    LEAST_TEMPERATURE,
    generation_body,
    needs_plugin,
    response_logprobs,
    score_body,
    token_answers,
)
from lampbench.util.errors import LampbenchError


class VllmEngine:
    """Answers and scores through a server, as `lampbench.engine.protocol` describes.

    `folder` is for the adapters that the server reads and for its output, `most_adapters` how many
    adapters it holds, `window` how many requests are under way, and `has_plugin` whether the server
    has the logits processor of lampbench-vllm.
    """

    def __init__(
        self,
        server: Server,
        shapes: ModelShapes,
        *,
        chat_template: str | None,
        fidelity: Fidelity,
        folder: Path,
        most_adapters: int,
        window: int,
        has_plugin: bool,
    ) -> None:
        self.device = "vllm"
        self.server = server
        self._model, self._base = shapes.model, shapes.model.name_or_path
        self._encoder = PromptEncoder(shapes.tokenizer, chat_template, shapes.context, fidelity)
        self._stop = self._encoder.stop_ids(shapes.model)
        self._has_plugin = has_plugin
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._adapters = ServedAdapters(
            server, AdapterFolders(folder / "adapters", shapes.model, self._base), most_adapters
        )
        self._stream = RequestStream(server, self._adapters, window)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts; those that need the same server are sent together.

        Raises:
            LampbenchError: a prompt does not fit into the context, an adapter cannot be used, the
                server does not do what a request asks, or it does not come back.
        """
        for request in requests:
            self._require_possible(request)
        for kind, rank, group in _grouped(requests):
            asks = (self._ask(request, kind, rank) for request in group)
            for completions in self._stream.run(asks):
                yield from completions

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities of responses, as the server computes them for prompts.

        Raises:
            LampbenchError: as in `generate`.
        """
        for kind, rank, group in _grouped(requests):
            encoded = [(request, self._encoded(request)) for request in group]
            for request, (_, response) in encoded:
                if not response:  # a raw text of a single token
                    yield ScoreResult(request.id, ())
            yield from self._stream.run(
                self._ask_score(request, ids, kind, rank) for request, ids in encoded if ids[1]
            )

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Refuse: a server does not train.

        Raises:
            LampbenchError: always.
        """
        raise LampbenchError(
            "engine vllm cannot train adapters; give the stages that train to another engine"
        )

    def combine(self, job: CombineJob) -> None:
        """Add up adapters.

        Raises:
            LampbenchError: an adapter is missing, damaged or made for another model.
        """
        combine_adapters(job, self._model, self._base)

    def close(self) -> None:
        """Take this engine's adapters out of the server; stop it if lampbench started it.

        The output of a server that did not start, or that ended, is kept: an error names it.
        """
        self._adapters.unload_all()
        self.server.stop()
        kept = self._folder / "adapters" if self.server.troubled else self._folder
        shutil.rmtree(kept, ignore_errors=True)

    def _require_possible(self, request: GenerateRequest) -> None:
        spec = request.spec
        if needs_plugin(spec) and not self._has_plugin:
            what = (
                "decode contrastively"
                if spec.contrast
                else "apply a repetition penalty to log-probabilities (decoding.penalty_on=logits "
                "and decoding.repetition_penalty=1.0 are possible)"
            )
            raise LampbenchError(
                f"{request.id}: a vLLM server without lampbench-vllm cannot {what}; install it in "
                "the server's environment (docs/vllm.md) or use --engine batched"
            )
        if spec.contrast and spec.penalty_on == "logits" and spec.repetition_penalty != 1.0:
            raise LampbenchError(
                f"{request.id}: vLLM applies a repetition penalty to contrastive scores, not to "
                "logits; leave decoding.penalty_on=logits out, or use --engine batched"
            )
        if spec.sampling is not None and spec.sampling.temperature < LEAST_TEMPERATURE:
            raise LampbenchError(
                f"{request.id}: vLLM samples at a temperature of {LEAST_TEMPERATURE} at least; "
                "raise it, or use --engine batched"
            )
        if len(set(request.prompts)) > 1:
            raise LampbenchError(
                f"{request.id}: vLLM contrasts sides of one prompt; use --engine batched"
            )

    def _ask(self, request: GenerateRequest, kind: Serving, rank: int) -> Ask[list[Completion]]:
        prompts = encode_sides(request, self._encoder)
        ids = prompts[0].ids

        def read(found: object) -> list[Completion]:
            answers = token_answers(found, ids, self._stop, request.spec.max_new_tokens)
            if request.spec.sampling is None:
                answers *= request.samples
            if len(answers) != request.samples:
                raise LampbenchError(
                    f"{request.id}: the server sent {len(answers)} samples of {request.samples}"
                )
            return [
                completion(request, sample, prompts, (), answer, self._encoder)
                for sample, answer in enumerate(answers)
            ]

        body = generation_body(request.spec, request.samples, request.seed, ids, self._stop)
        return Ask(request.id, kind, rank, serving(request)[1], body, read)

    def _ask_score(
        self, request: ScoreRequest, encoded: tuple[TokenIds, TokenIds], kind: Serving, rank: int
    ) -> Ask[ScoreResult]:
        prompt, response = encoded

        def read(found: object) -> ScoreResult:
            return ScoreResult(request.id, response_logprobs(found, prompt, response))

        body = score_body(prompt, response)
        return Ask(request.id, kind, rank, serving(request)[1], body, read)

    def _encoded(self, request: ScoreRequest) -> tuple[TokenIds, TokenIds]:
        if request.format == "raw":
            ids = self._encoder.encode_raw(request.prompt.text, request.response)
            return ids[:1], ids[1:]
        encoded = self._encoder.encode_responses(request.id, request.prompt, [request.response])
        return encoded.prompt, encoded.responses[0]


def _grouped(
    requests: Sequence[GenerateRequest] | Sequence[ScoreRequest],
) -> Iterator[tuple[Serving, int, list]]:  # type: ignore[type-arg]
    """Requests that need the same server, with the rank that all of them need.

    Those of the same adapters are next to each other.
    """
    groups: dict[Serving, dict[Weights, list]] = {}  # type: ignore[type-arg]
    for request in requests:
        kind, adapters = serving(request)
        groups.setdefault(kind, {}).setdefault(adapters, []).append(request)
    rank = require_rank(adapters for group in groups.values() for adapters in group)
    for kind in sorted(groups, key=lambda each: (each.merged, each.contrast, each.adapted)):
        yield kind, rank, [one for same in groups[kind].values() for one in same]
