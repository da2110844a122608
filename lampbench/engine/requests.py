"""What an engine is asked to generate and to score, and what it returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
