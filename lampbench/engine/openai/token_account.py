"""What a server counted in this process, and the budgets that bound it."""

from dataclasses import dataclass
from threading import Condition, Event

from lampbench.engine.openai.api_options import ApiOptions
from lampbench.util.errors import OutOfBudget


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens that a server read and wrote."""

    read: int
    written: int

    def __add__(self, other: "TokenCount") -> "TokenCount":
        return TokenCount(self.read + other.read, self.written + other.written)

    def __sub__(self, other: "TokenCount") -> "TokenCount":
        return TokenCount(self.read - other.read, self.written - other.written)


_NOTHING = TokenCount(0, 0)


class TokenAccount:
    """Counts tokens over all requests of one command, from any thread.

    Before a request is sent, the most that it can cost is reserved, so that a budget is not
    exceeded by requests that are under way.
    """

    def __init__(self, options: ApiOptions) -> None:
        self._options = options
        self._changed = Condition()
        self._reserved = _NOTHING
        self.counted = _NOTHING

    def reserve(self, most: TokenCount, stop: Event) -> bool:
        """Wait until the budget has room for a request; False if `stop` is set before.

        Raises:
            OutOfBudget: the request does not fit, and no other one is under way.
        """
        with self._changed:
            while not stop.is_set():
                what = self._exceeded(self.counted + self._reserved + most)
                if what is None:
                    self._reserved += most
                    return True
                if self._reserved == _NOTHING:
                    raise OutOfBudget(
                        f"{what}; run the same command again to resume with a fresh budget"
                    )
                self._changed.wait(0.1)
            return False

    def settle(self, most: TokenCount, counted: TokenCount | None) -> None:
        """Replace a reservation by what the server counted; None: the request had no reply."""
        with self._changed:
            self._reserved -= most
            if counted is not None:
                self.counted += counted
            self._changed.notify_all()

    def _exceeded(self, sum_: TokenCount) -> str | None:
        """The budget that a sum of tokens exceeds, and what of it is spent; None if it fits."""
        options, spent = self._options, self.counted
        tokens = spent.read + spent.written
        if (
            options.max_total_tokens is not None
            and sum_.read + sum_.written > options.max_total_tokens
        ):
            return (
                f"the budget of {options.max_total_tokens:,} tokens is spent ({tokens:,} counted)"
            )
        cost = options.cost(sum_.read, sum_.written)
        if options.max_cost is not None and cost is not None and cost > options.max_cost:
            paid = options.cost(spent.read, spent.written) or 0.0
            return f"the budget of {options.max_cost:g} is spent ({paid:.4g} counted)"
        return None
