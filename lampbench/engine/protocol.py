"""What an engine does: generate answers, score responses, train adapters.

A caller passes all requests of a kind in one call. Each request names the adapters to use, so one
call may mix users. An engine may batch and reorder requests and share work between them, as long as
no result in float32 depends on the other requests in the call. In bfloat16 and float16 the rounding
of a batch may turn a near tie. It yields each result as soon as it is ready.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from lampbench.core.prompt import Prompt

Weights = tuple[Path, ...]
"""Adapters (folders in PEFT's format), applied to the base model in this order; () is the base
model itself. All but the last act as if merged into the model, as OPPU trains: (tam, user) is the
user's LoRA on top of TAM."""

PenaltyOn = Literal["scores", "logits"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draw tokens at random instead of taking the best one.

    The distribution is the softmax at `temperature`, cut to the nucleus of mass `top_p` (1.0 keeps
    all tokens).
    """

    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """Contrastive decoding: tokens are scored by a weighted sum of log-probabilities over sides.

    A side is a prompt and weights. The request's own has the factor `own`, and `tau` is the
    threshold of its plausible tokens (CoPe, equation 1). The side with the weights `against` has
    the factor -`alpha` (CoPe, equation 2), and `more` are the weights and signed factors of further
    sides. All sides share the answer's tokens; `GenerateRequest.other_prompts` has their prompts.
    With `log_eps` None, logarithms are exact and tokens outside the plausible set score minus
    infinity; a number gives the reference code's log(p + eps).
    """

    against: Weights
    alpha: float
    tau: float
    log_eps: float | None = None
    own: float = 1.0
    more: tuple[tuple[Weights, float], ...] = ()

    @property
    def others(self) -> tuple[tuple[Weights, float], ...]:
        """Weights and signed factor of each side but the request's own."""
        return ((self.against, -self.alpha), *self.more)


@dataclass(frozen=True, slots=True)
class GenerationSpec:
    """How tokens are chosen: greedily, unless `sampling` or `contrast` is given (never both).

    `repetition_penalty` applies to every token of the request's own prompt and of the output so far
    (Keskar et al., 2019): positive values are divided by it, negative ones multiplied. It acts on
    the log-probabilities or contrastive scores (`penalty_on="scores"`) or on the raw logits
    ("logits"; in contrastive decoding only on the logits of the request's own side). With
    `rewards`, contrastive decoding also returns the reward of each token: its weighted sum, without
    the penalty. An answer does not end
    before it has `min_new_tokens`: until then, stop tokens are impossible under the request's own
    weights.
    """

    max_new_tokens: int
    repetition_penalty: float = 1.0
    penalty_on: PenaltyOn = "scores"
    sampling: Sampling | None = None
    contrast: Contrast | None = None
    rewards: bool = False
    min_new_tokens: int = 0


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Answer `prompt` with `weights`, `samples` times; `seed` fixes this request's random numbers.

    `other_prompts` has the prompt of each of `spec.contrast.others`, None for one that reads the
    request's own; () if all do.

    With `teacher_text` the tokens of that text are forced (teacher forcing): each choice is made
    after the text's earlier tokens instead of after the earlier choices. The answer then has one
    choice per token of the text and its end of turn, at most `spec.max_new_tokens`.

    Without `generation_prompt` the prompts of all sides end with the user's turn: the chat template
    adds no header that opens the assistant's.
    """

    id: str
    prompt: Prompt
    weights: Weights
    spec: GenerationSpec
    samples: int = 1
    seed: int = 0
    teacher_text: str | None = None
    other_prompts: tuple[Prompt | None, ...] = ()
    generation_prompt: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError if there are not as many other prompts as other sides."""
        if self.other_prompts and len(self.other_prompts) != self._others:
            raise ValueError(
                f"{self.id}: {len(self.other_prompts)} prompts for {self._others} other sides"
            )

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompt of every side, the request's own first."""
        others = self.other_prompts or (None,) * self._others
        return (self.prompt, *(self.prompt if each is None else each for each in others))

    @property
    def _others(self) -> int:
        return len(self.spec.contrast.others) if self.spec.contrast else 0


@dataclass(frozen=True, slots=True)
class Served:
    """What a server says of an answer that it gave in place of a model in this process.

    Attributes:
        model: the model that answered; None where the server does not say.
        fingerprint: the server's own fingerprint of its state (`system_fingerprint`), or None.
        new_tokens: tokens that it counts as written, with those of reasoning; None where it does
            not count.
        withheld: why the answer is empty, where the server filtered it or left it empty.
    """

    model: str | None
    fingerprint: str | None
    new_tokens: int | None
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer to a request.

    Attributes:
        id: the request's id.
        sample: number of the sample within the request, from 0.
        text: the answer without white space around it.
        token_ids: the chosen tokens, without the stop token.
        prompt_tokens: length of the request's own prompt in tokens.
        prompt_head: the first token ids of the prompt (a doubled BOS shows here).
        prompt_tokens_dropped: tokens removed so that the prompts of all sides fit the context.
        truncated: whether the token budget ended the answer before a stop token did.
        rewards: the contrast's weighted sum for each chosen token, in nats, if the spec asks for
            it (CoPe, equation 2).
        token_texts: the chosen tokens as text, if there are rewards.
        teacher_ids: the tokens of the request's `teacher_text`; `token_ids` has one choice for
            each of them, and `text` and `truncated` have no meaning.
        served: what a server says of the answer; there are then no token ids, and the counts are
            the server's (0 where it does not count).
    """

    id: str
    sample: int
    text: str
    token_ids: tuple[int, ...]
    prompt_tokens: int
    prompt_head: tuple[int, ...]
    prompt_tokens_dropped: int
    truncated: bool
    rewards: tuple[float, ...] = ()
    token_texts: tuple[str, ...] = ()
    teacher_ids: tuple[int, ...] = ()
    served: Served | None = None

    @property
    def new_tokens(self) -> int:
        """How many tokens the answer has."""
        return len(self.token_ids) if self.served is None else self.served.new_tokens or 0


ScoreFormat = Literal["chat", "raw"]


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Ask for log p(token | prompt, earlier tokens) of each token of `response` under `weights`.

    Format "chat" puts the response after the chat prompt and scores its tokens and the end of turn.
    "raw" scores both prompt and response as plain text without a chat template; each is tokenized
    on its own and so has its own BOS, as in the reference code (compute_scores.py:51-60).
    """

    id: str
    prompt: Prompt
    response: str
    weights: Weights
    format: ScoreFormat = "chat"


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """Natural-log probabilities (float32), one per scored token, in order."""

    id: str
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SFTExample:
    """One example of supervised fine-tuning; the loss is the mean over the response's tokens."""

    prompt: Prompt
    response: str

    @property
    def responses(self) -> tuple[str, ...]:
        """The texts that are trained on: the response."""
        return (self.response,)


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """One example of DPO: what the user wrote, and a text that the user would not have written."""

    prompt: Prompt
    chosen: str
    rejected: str

    @property
    def responses(self) -> tuple[str, ...]:
        """The texts that are trained on: the chosen one, then the rejected one."""
        return self.chosen, self.rejected


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """Shape of a new adapter. `targets` are the names of linear layers of the decoder (q_proj)."""

    rank: int
    alpha: int
    dropout: float
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DoraSpec:
    """Shape of a new DoRA (Liu et al., 2024): a LoRA with a trained magnitude per output."""

    rank: int
    alpha: int
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrefixSpec:
    """A new prefix (Li and Liang, 2021): keys and values of virtual tokens in every layer."""

    length: int


@dataclass(frozen=True, slots=True)
class SoftPromptSpec:
    """A new soft prompt (Lester et al., 2021): embeddings of virtual tokens before the prompt."""

    length: int


@dataclass(frozen=True, slots=True)
class IA3Spec:
    """A new (IA)3 (Liu et al., 2022): factors of the outputs of `targets`, and of the inputs of
    those among them that are in `feedforward`.
    """

    targets: tuple[str, ...]
    feedforward: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SteeringSpec:
    """A steering vector (Zhang et al., 2025): added to the output of one decoder layer.

    It is the mean over the job's preference pairs of the layer's output at the last token of
    `chosen` minus that at the last token of `rejected`, times `strength`. `depth` in [0, 1] says
    which layer: 0 is the first, 1 the last. It acts from the last token of the prompt on.
    """

    depth: float
    strength: float


@dataclass(frozen=True, slots=True)
class GateSpec:
    """New gates on the LoRA that is last in `frozen` (Per-Pcs, Tan et al., 2024).

    In each of the LoRA's layers a vector g as wide as the input x, zero at first: the LoRA reads
    sigmoid(x . g) x. The LoRA itself is not trained.
    """


@dataclass(frozen=True, slots=True)
class PiecesSpec:
    """A LoRA assembled layer by layer from `pieces`, (LoRA, its gates) each (Tan et al., 2024).

    The job's examples are read in batches of `optim.batch_size`, on top of `frozen`. In each layer
    the score of a piece is the mean, over the tokens that predict the responses and then over the
    examples, of LN(x) . LN(g) / sqrt(width), LN being layer normalisation without parameters. The
    `k` highest are added to the layer, weighted by softmax(score / temperature), before the next
    layer is read. The weights are averaged over the batches. What is saved is a plain LoRA, the
    exact sum.
    """

    pieces: tuple[tuple[Path, Path], ...]
    k: int
    temperature: float


AdapterSpec = (
    LoraSpec
    | DoraSpec
    | PrefixSpec
    | SoftPromptSpec
    | IA3Spec
    | SteeringSpec
    | GateSpec
    | PiecesSpec
)
"""What is trained. LoRA is served in batches; the others go through the reference engine."""


@dataclass(frozen=True, slots=True)
class OptimSpec:
    """AdamW with linear warm-up and linear decay to zero.

    `batch_size` counts examples, `warmup_ratio` is a share of all steps, and `max_grad_norm` bounds
    the norm of one adapter's gradient (0.0: no bound).
    """

    learning_rate: float
    epochs: int
    batch_size: int
    weight_decay: float
    warmup_ratio: float
    max_grad_norm: float


@dataclass(frozen=True, slots=True)
class DPOSpec:
    """Equation 6: -log sigmoid(beta (r(chosen) - r(rejected))), r measured against `reference`."""

    beta: float
    reference: Weights


@dataclass(frozen=True, slots=True)
class TrainJob:
    """Train one adapter on top of `frozen` and save it to `output` in PEFT's format.

    `start` continues an existing adapter (OPPU, then DPO) instead of initialising a new one. `dpo`
    is given where preference pairs are trained on. `seed` fixes the initial weights, the order
    of examples and the dropout of this job, whatever else is trained in the same call. An engine
    may keep checkpoints in the folder `scratch` and resume from those that a killed run left there.
    """

    id: str
    frozen: Weights
    data: tuple[SFTExample, ...] | tuple[PreferencePair, ...]
    adapter: AdapterSpec
    optim: OptimSpec
    seed: int
    output: Path
    scratch: Path
    start: Path | None = None
    dpo: DPOSpec | None = None

    @property
    def lora(self) -> LoraSpec:
        """The shape of the LoRA that is trained.

        Raises:
            TypeError: the job trains something else.
        """
        if not isinstance(self.adapter, LoraSpec):
            raise TypeError(f"job {self.id} trains a {type(self.adapter).__name__}, not a LoRA")
        return self.adapter


@dataclass(frozen=True, slots=True)
class CombineJob:
    """Add up LoRA adapters and save the sum to `output` in PEFT's format.

    `terms` are adapters with their factors. What is added are the changes to the model's weights,
    scale B A of each layer; a layer that an adapter does not have counts as no change.
    """

    terms: tuple[tuple[Path, float], ...]
    output: Path


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Report of a finished job.

    Attributes:
        id: the job's id.
        steps: optimiser steps.
        tokens: tokens that went through the model.
        examples_shortened: examples that were shortened to fit into the context.
        losses: one per step.
        margins: for DPO the mean reward margin of each step, times beta, as trl logs it.
    """

    id: str
    steps: int
    tokens: int
    examples_shortened: int
    losses: tuple[float, ...]
    margins: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainFailure:
    """Report of a job that was given up because its loss or gradient became NaN or infinite.

    Nothing of it is saved, and the other jobs continue. `reason` is a sentence for the user.
    """

    id: str
    reason: str


StepHook = Callable[[str, int, int], None]
"""Called after each training step with (job id, steps done, steps in total)."""


class Engine(Protocol):
    """Runs one model. Results may come in any order and carry the id of their request."""

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts: one completion per request and sample."""
        ...

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities of given responses: one result per request."""
        ...

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Train adapters: one result or failure per job."""
        ...

    def combine(self, job: CombineJob) -> None:
        """Add up adapters.

        Raises:
            LampbenchError: an adapter is missing, damaged or not a plain LoRA.
        """
        ...
