"""An answer on its way: what is asked, and what has been chosen so far."""

from collections.abc import Collection
from dataclasses import dataclass, field

from lampbench.engine.prompt_encoder import EncodedPrompt, TokenIds
from lampbench.engine.protocol import GenerateRequest, Weights


@dataclass(frozen=True, slots=True, eq=False)
class EncodedRequest:
    """One sample of a request, ready to be decoded.

    Attributes:
        request: the request.
        sample: the sample's number.
        prompts: the prompt of each row of the slot; the first is the request's own.
        seed: seed of this sample's random numbers.
        own: for each row of the slot that has adapters of its own, these adapters.
        forced: tokens that are forced (teacher forcing), or none.
    """

    request: GenerateRequest
    sample: int
    prompts: tuple[EncodedPrompt, ...]
    seed: int
    own: tuple[Weights, ...]
    forced: TokenIds

    @property
    def longest_prompt(self) -> int:
        """Tokens of the longest of the prompts."""
        return max(len(prompt.ids) for prompt in self.prompts)


@dataclass(slots=True, eq=False)
class AnswerSlot:
    """An answer being decoded: its tokens and rewards so far, at most `budget` of each.

    `stopped` says whether a stop token ended it; this token is none of the answer's.
    """

    encoded: EncodedRequest
    budget: int
    tokens: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    stopped: bool = False

    @property
    def left(self) -> int:
        """Tokens that it may still get."""
        return 0 if self.stopped else self.budget - len(self.tokens)

    @property
    def length(self) -> int:
        """Tokens of the longest prompt and of the answer."""
        return self.encoded.longest_prompt + len(self.tokens)

    def add(self, token: int, stop: Collection[int]) -> None:
        """Add a chosen token, unless the answer has ended."""
        if self.left and token in stop and not self.encoded.forced:
            self.stopped = True
        elif self.left:
            self.tokens.append(token)
