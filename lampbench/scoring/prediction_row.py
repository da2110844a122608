"""One answered query as it is recorded and scored."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """An answer beside what the user wrote.

    `reference` is None where it is withheld. Token counts and `truncated` (the answer reached the
    token budget) are None where they are unknown, because the answer was made elsewhere. `quoted`
    are the ids of the past records that the prompt quotes. `tokens` and their `rewards` (equation
    2, natural log) are recorded where contrastive decoding was asked for them.

    In a private run `prediction`, like `reference`, is None; `prediction_sha256` and
    `prediction_length` (in characters) are those of the text.

    Raises:
        ValueError: tokens and rewards differ in number.
    """

    user: str
    query: str
    prediction: str | None
    reference: str | None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    prompt_tokens_dropped: int | None = None
    truncated: bool | None = None
    quoted: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    rewards: tuple[float, ...] = ()
    prediction_sha256: str | None = None
    prediction_length: int | None = None

    def __post_init__(self) -> None:
        if self.prediction is None and None in (self.prediction_sha256, self.prediction_length):
            raise ValueError(
                f"query {self.query!r} of user {self.user!r} has neither an answer nor, as in a "
                "private run, its hash and length"
            )
        if len(self.tokens) != len(self.rewards):
            raise ValueError(
                f"query {self.query!r} of user {self.user!r} has {len(self.tokens)} tokens and "
                f"{len(self.rewards)} rewards"
            )
