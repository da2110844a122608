"""What a server said of the answers of a run, added up for its manifest."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lampbench.engine.protocol import Completion
from lampbench.record.manifest import ServiceDetails
from lampbench.util.errors import LampbenchError

_LISTED = 100  # queries without an answer that a manifest names


class ServiceTally:
    """Adds up answers of servers; answers that a model in this process gave change nothing."""

    def __init__(self) -> None:
        self._answers = self._uncounted = 0
        self._models: Counter[str] = Counter()
        self._fingerprints: Counter[str] = Counter()
        self._withheld: list[str] = []
        self._by_asked: dict[str, str] = {}

    def add(self, asked: str, completion: Completion, what: str) -> None:
        """Take an answer to `what` from the model that was asked for as `asked`.

        Raises:
            LampbenchError: the server gave earlier answers under another name: it is another model
                or version of it by now.
        """
        served = completion.served
        if served is None:
            return
        self._require_one_model(asked, served.model)
        self._answers += 1
        self._uncounted += served.new_tokens is None
        self._models[served.model or ""] += 1
        self._fingerprints[served.fingerprint or ""] += 1
        if served.withheld:
            self._withheld.append(f"{what}: {served.withheld}")

    def stored(self) -> dict[str, Any] | None:
        """The tally as JSON, for `add_stored`; None where no server answered."""
        if not self._answers:
            return None
        return {
            "answers": self._answers,
            "uncounted": self._uncounted,
            "models": dict(self._models),
            "fingerprints": dict(self._fingerprints),
            "withheld": self._withheld,
        }

    def add_stored(self, asked: str, stored: Mapping[str, Any]) -> None:
        """Add what another tally `stored` of answers from the model asked for as `asked`.

        Raises:
            LampbenchError: as `add`.
        """
        for model in stored["models"]:
            self._require_one_model(asked, model or None)
        self._answers += stored["answers"]
        self._uncounted += stored["uncounted"]
        self._models.update(stored["models"])
        self._fingerprints.update(stored["fingerprints"])
        self._withheld += stored["withheld"]

    def _require_one_model(self, asked: str, served: str | None) -> None:
        if served is None:
            return
        before = self._by_asked.setdefault(asked, served)
        if before != served:
            raise LampbenchError(
                f"model {asked!r} answered as {before!r} before and as {served!r} now, and a "
                f"run mixes no models: name one version with --model, such as --model {before}"
            )

    def notes(self) -> list[str]:
        """What a reader of the scores must know beside the manifest."""
        found = []
        if self._withheld:
            found.append(
                f"answers that the server withheld and that are empty: {len(self._withheld)}"
            )
        if self._uncounted:
            found.append(f"answers whose tokens the server did not count: {self._uncounted}")
        return found

    def details(
        self, prices: tuple[float, float] | None, cost: float | None
    ) -> ServiceDetails | None:
        """What the manifest records; None where no server answered.

        `prices` are those of a million tokens read and written, `cost` that of the run.
        """
        if not self._answers:
            return None
        return ServiceDetails(
            answers=self._answers,
            models=dict(sorted(self._models.items())),
            fingerprints=dict(sorted(self._fingerprints.items())),
            uncounted=self._uncounted,
            withheld=len(self._withheld),
            withheld_from=tuple(self._withheld[:_LISTED]),
            input_price=prices[0] if prices else None,
            output_price=prices[1] if prices else None,
            cost=None if self._uncounted else cost,
        )
