"""What work costs: seconds, and tokens that went through the model."""

import time
from dataclasses import dataclass


@dataclass
class Usage:
    """Seconds; tokens read, written and trained on; prompts shortened to fit the context."""

    seconds: float = 0.0
    prompt_tokens: int = 0
    new_tokens: int = 0
    trained_tokens: int = 0
    prompts_shortened: int = 0


class CostMeter:
    """Counts until its reading is taken."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin at zero."""
        self.usage, self._since = Usage(), time.monotonic()

    def take(self) -> Usage:
        """The costs since `start` or the last call."""
        usage, now = self.usage, time.monotonic()
        usage.seconds = now - self._since
        self.usage, self._since = Usage(), now
        return usage
