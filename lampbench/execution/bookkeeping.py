"""What the answers and artifacts of one run cost and depend on, stored with the artifacts."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lampbench.core.dataset import User
from lampbench.engine.protocol import Completion
from lampbench.execution.cache import PARTIAL, Cache
from lampbench.execution.cost_meter import CostMeter
from lampbench.execution.engines import Engines
from lampbench.execution.journal import journal_owner
from lampbench.execution.keys import Keys
from lampbench.execution.lenders import contributors
from lampbench.execution.service_tally import ServiceTally
from lampbench.execution.specification import Owner, RunSpecification
from lampbench.execution.stage_engines import engine_of
from lampbench.plugin.context import Recipe, UserRecipe
from lampbench.plugin.identity import identity
from lampbench.util.errors import LampbenchError


class Bookkeeping:
    """Counts what answers cost, and stores finished artifacts with their costs and origin.

    `meter` adds up the costs of what is being made, and `service` what servers said of all answers
    behind the run.
    """

    def __init__(self, spec: RunSpecification, cache: Cache, engines: Engines, keys: Keys) -> None:
        self.meter = CostMeter()
        self.service = ServiceTally()
        self._spec, self._cache, self._engines, self._keys = spec, cache, engines, keys
        self._counted: set[str] = set()
        self._tallies: defaultdict[str, ServiceTally] = defaultdict(ServiceTally)
        self._in_service: set[tuple[str, str]] = set()  # artifacts whose answers are counted there

    def count(self, recipe: UserRecipe | None, place: str, completion: Completion) -> None:
        """Add up what an answer cost, once, whichever process received it.

        `place` is where it is kept, the same each time that a method asks for it.
        """
        if place in self._counted:
            return
        self._counted.add(place)
        model = recipe.model_name(self._spec.model) if recipe else self._spec.model
        self.service.add(model, completion, completion.id)
        if recipe is not None:
            owner = place.rsplit("/", 2)[0]  # before the request's digest and the sample
            self._tallies[owner].add(model, completion, completion.id)
        self.meter.usage.prompt_tokens += completion.prompt_tokens
        self.meter.usage.new_tokens += completion.new_tokens
        self.meter.usage.prompts_shortened += completion.prompt_tokens_dropped > 0

    def close_group(self) -> None:
        """Forget which answers were counted: nobody will ask for these again."""
        self._counted.clear()

    def reuse(self, recipe: Recipe, owners: Iterable[Owner]) -> None:
        """Add up what servers said of artifacts that an earlier run made.

        Raises:
            LampbenchError: a server withheld texts of one, and this run is to stop at such; or
                another version of the model made it.
        """
        for owner in owners:
            section, key = recipe.section, self._keys.of(recipe, owner)
            if (section, key) in self._in_service:
                continue
            served = self._cache.meta(section, key).get("served")
            if served:
                engine = engine_of(self._engines.options, recipe)
                stops = self._engines.argument(engine, "withheld") == "stop"
                if served["withheld"] and stops:
                    raise LampbenchError(
                        f"{self._cache.path(section, key)}: made without {len(served['withheld'])} "
                        f"texts that the server withheld ({served['withheld'][0]}): give "
                        "--engine-arg withheld=record to use it, or delete this folder to have it "
                        "made again"
                    )
                self.service.add_stored(recipe.model_name(self._spec.model), served)
            self._in_service.add((section, key))

    def commit(self, recipe: Recipe, owner: Owner, payload: Path | None, value: Any) -> None:
        """Store a finished artifact: the folder `payload`, if there is one, and a JSON value.

        Raises:
            FullDisk: the disk is full.
        """
        key = self._keys.of(recipe, owner)
        place = journal_owner(owner.id, Path(PARTIAL, recipe.section, key))
        served = self._tallies.pop(place, ServiceTally()).stored()
        meta = {
            "recipe": identity(recipe),
            "task": self._spec.task.name,
            "owner": owner.id if isinstance(owner, User) else None,
            **self._others(recipe, owner),
            "model": recipe.model_name(self._spec.model),
            "seed": self._spec.seed,
            "cost": dataclasses.asdict(self.meter.take()),
            "value": value,
            **({"served": served} if served else {}),
        }
        self._cache.commit(recipe.section, key, payload, meta)
        self._in_service.add((recipe.section, key))

    def _others(self, recipe: Recipe, owner: Owner) -> dict[str, list[str]]:
        """Whose data went in besides the owner's: they may ask to be forgotten too."""
        parts = [recipe, *([self._spec.method.prompting] if recipe.uses_prompting else [])]
        others = contributors(parts, owner, self._spec.dataset, self._spec.seed) - {owner.id}
        return {"others": sorted(others)} if others else {}
