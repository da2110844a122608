"""The engine's three verbs: generate, score, train, over batches that mix users.

A caller hands over everything it wants at once; each request names the weights that answer it.
A backend may batch, reorder and share work as it likes, so long as no result depends on who else
is in the batch, and yields each result as soon as it stands.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from lampbench.core.prompt import Prompt

Weights = tuple[Path, ...]
"""Adapters (folders in PEFT's format) applied in order on the base model; () is the base model.
All but the last act as if merged, as OPPU trains: (tam, user) is the user's LoRA on top of TAM."""

PenaltyOn = Literal["scores", "logits"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draw tokens: softmax at `temperature`, cut to the nucleus of mass `top_p` (1.0: no cut)."""

    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """Reward-guided decoding (CoPe, equations 1 to 3) of the request's weights against others.

    `log_eps` None takes exact logarithms and minus infinity outside the plausible set; a number
    is the reference code's log(p + eps).
    """

    against: Weights
    alpha: float
    tau: float
    log_eps: float | None = None


@dataclass(frozen=True, slots=True)
class GenerationSpec:
    """How tokens are chosen: greedily, unless `sampling` or `contrast` is given (never both).

    `repetition_penalty` divides positive and multiplies negative values of every token that
    stands in the prompt or the output so far. It acts on the log-probabilities or contrastive
    scores (`penalty_on="scores"`) or on the raw logits ("logits"; in contrastive decoding on those
    of the request's own weights alone). `rewards` asks for the tokens' rewards in contrastive
    decoding.
    """

    max_new_tokens: int
    repetition_penalty: float = 1.0
    penalty_on: PenaltyOn = "scores"
    sampling: Sampling | None = None
    contrast: Contrast | None = None
    rewards: bool = False


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Answer `prompt` with `weights`, `samples` times; `seed` fixes the draws of this request.

    With `follow`, each token is chosen after the tokens of that text instead of after the choices
    before it (teacher forcing), until the text and its end of turn, or the budget, are over.
    """

    id: str
    prompt: Prompt
    weights: Weights
    spec: GenerationSpec
    samples: int = 1
    seed: int = 0
    follow: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer. `sample` counts from 0 within a request.

    `prompt_head` are the first token ids of the prompt (a doubled BOS shows there),
    `prompt_tokens_dropped` how many prompt tokens were dropped to fit the context, `truncated`
    whether the token budget ended the answer before a stop token did. `rewards` are equation 2 of
    each new token (natural log) and `pieces` the tokens as text, for contrastive decoding that asks
    for them. `followed` are the tokens of a request's `follow`: `token_ids` has the choice made in
    the place of each, and `text` and `truncated` mean nothing then.
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
    pieces: tuple[str, ...] = ()
    followed: tuple[int, ...] = ()


ScoreText = Literal["chat", "raw"]


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Ask for log p(response token | prompt, earlier tokens) under `weights`.

    `text` "chat" puts the response after the chat prompt and scores its tokens and the end of
    turn; "raw" scores prompt text and response as plain text without a template, each tokenized on
    its own (so each with its BOS) and both scored, as the reference code does.
    """

    id: str
    prompt: Prompt
    response: str
    weights: Weights
    text: ScoreText = "chat"


@dataclass(frozen=True, slots=True)
class Score:
    """Natural-log probabilities (float32), one a scored token, in order."""

    id: str
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """Supervised fine-tuning: the loss is the mean over the response's tokens."""

    prompt: Prompt
    response: str


@dataclass(frozen=True, slots=True)
class Preference:
    """A pair for DPO: what the user wrote, and what is unlikely to be theirs."""

    prompt: Prompt
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """Shape of a new adapter. `targets` are names of linear layers of the decoder."""

    rank: int
    alpha: int
    dropout: float
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OptimSpec:
    """AdamW with linear warm-up and linear decay to zero; batch size in examples."""

    learning_rate: float
    epochs: int
    batch_size: int
    weight_decay: float
    warmup_ratio: float
    max_grad_norm: float


@dataclass(frozen=True, slots=True)
class DPOSpec:
    """Equation 6: -log sigmoid(beta (r(chosen) - r(rejected))), r against `reference`."""

    beta: float
    reference: Weights


@dataclass(frozen=True, slots=True)
class TrainJob:
    """Train one adapter on top of `frozen` and save it to `output` in PEFT's format.

    `start` continues an existing adapter (OPPU -> DPO) instead of initialising a new one.
    `dpo` is given exactly when `data` holds preferences. `seed` fixes initialisation, order of
    examples and dropout of this job, whoever trains beside it. A backend may keep checkpoints
    under `scratch` (not yet existing, or left by a killed run) and resume from them.
    """

    id: str
    frozen: Weights
    data: tuple[Example, ...] | tuple[Preference, ...]
    lora: LoraSpec
    optim: OptimSpec
    seed: int
    output: Path
    scratch: Path
    start: Path | None = None
    dpo: DPOSpec | None = None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a finished job reports: `losses` one a step, tokens that went through the model.

    `cut` counts examples shortened to fit the context. For DPO `margins` holds the mean reward
    margin (beta-scaled, as trl logs it) of each step.
    """

    id: str
    steps: int
    tokens: int
    cut: int
    losses: tuple[float, ...]
    margins: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainFailure:
    """A job that was set aside because its loss or gradient was no longer a number; nothing of
    it was saved, and the others went on. `reason` is a sentence for the user.
    """

    id: str
    reason: str


StepHook = Callable[[str, int, int], None]
"""Called with (job id, steps done, steps in all)."""


class Engine(Protocol):
    """A backend. Results come in any order and carry the id of their request."""

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts."""
        ...

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[Score]:
        """Log-probabilities of given responses."""
        ...

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Train adapters, one a job."""
        ...
