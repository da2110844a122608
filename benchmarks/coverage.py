"""How often intervals hold the truth, and tests find what is not there: simulated experiments.

Users have unequal numbers of queries. The true mean difference is zero in every world, so that an
interval without zero misses, and a p-value of at most 5% is a false finding.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks import interval_kinds
from benchmarks.interval_kinds import Drawn, Floats, Sample
from benchmarks.results_file import RESULTS, write_results
from lampbench.report.seed_spread import seed_spread
from lampbench.report.statistics import Paired, Scores, interval, paired
from lampbench.scoring.aggregate import mean

USERS = (6, 32, 100)
SEEDS = 3
QUERY_SD = 0.1
"""Of one query's difference, in scores; user and seed standard deviations are fractions of it."""
TWO_STEP_EVERY = 4
"""The two-step bootstrap is tried on one experiment in so many."""


@dataclass(frozen=True, slots=True)
class World:
    """A population of users: how their own mean differences are drawn, around zero."""

    name: str
    own: Callable[[np.random.Generator, int], Floats]


def _normal(sd: float) -> Callable[[np.random.Generator, int], Floats]:
    return lambda rng, users: sd * rng.standard_normal(users)


def _tenth(rng: np.random.Generator, users: int) -> Floats:
    """One user in ten gains 0.09, the others lose 0.01: zero on average."""
    return np.where(rng.random(users) < 0.1, 0.09, -0.01)


WORLDS = (
    World("users alike", _normal(0.0)),
    World("small user variance", _normal(0.02)),
    World("large user variance", _normal(0.1)),
    World("a tenth of the users carry the effect", _tenth),
)
TENTH_SD = 0.02
"""Of one query in the last world, so that users and not queries decide there."""


def experiment(rng: np.random.Generator, world: World, users: int) -> Scores:
    """Differences of two methods by (user, query); users have 2 to 30 queries, 7 on average."""
    counts = np.minimum(1 + rng.geometric(1 / 6, size=users), 30)
    sd = TENTH_SD if world.own is _tenth else QUERY_SD
    own = world.own(rng, users)
    values = np.repeat(own, counts) + sd * rng.standard_normal(counts.sum())
    places = [(f"{user:03}", f"{q:02}") for user in range(users) for q in range(counts[user])]
    return dict(zip(places, values.tolist(), strict=True))


def simulate(world: World, users: int, experiments: int) -> dict[str, float | int]:
    """Shares of experiments, in percent, of one world and number of users."""
    rng = np.random.default_rng([users, WORLDS.index(world)])
    drawn = Drawn.of(users)
    rows: list[dict[str, float]] = []
    for number in range(experiments):
        gaps = experiment(rng, world, users)
        found = paired(gaps, dict.fromkeys(gaps, 0.0))
        sample = Sample.of(gaps)
        row = {**_verdicts(found), **_other_draws(found, sample, drawn)}
        for name, ends in interval_kinds.KINDS.items():
            low, high = ends(sample, drawn)
            row[f"covers_{name}"] = low <= 0 <= high
            row[f"disagrees_{name}"] = (low <= 0 <= high) == (row["redrawn_p"] <= 0.05)
        if number % TWO_STEP_EVERY == 0:
            low, high = interval_kinds.two_step(gaps, rng)
            row["covers_two_step"] = low <= 0 <= high
        rows.append(row)
    shares = {name: _percent(rows, name) for name in rows[0] if name != "redrawn_p"}
    rejected = [row for row in rows if row["size_exchange"]]
    shares["warned"] = _percent(rejected, "warned")
    return shares


def _verdicts(found: Paired) -> dict[str, float]:
    gap = found.difference
    return {
        "covers": gap.low <= 0 <= gap.high,
        "too_low": gap.high < 0,
        "too_high": gap.low > 0,
        "size_exchange": found.exchange <= 0.05,
        "size_bootstrap": found.bootstrap <= 0.05,
        "disagree": found.borderline,
        "warned": bool(found.concentration.warnings()),
    }


def _other_draws(found: Paired, sample: Sample, drawn: Drawn) -> dict[str, float]:
    """Whether the same interval, or the same test, decides otherwise with other random draws."""
    low, high = interval_kinds.expanded(sample, drawn)
    p = interval_kinds.exchange(sample, drawn)
    return {
        "redrawn_interval": (low <= 0 <= high) == found.difference.excludes_zero,
        "redrawn_test": (p <= 0.05) != (found.exchange <= 0.05),
        "redrawn_p": p,
    }


def simulate_seeds(users: int, seed_sd: float, experiments: int) -> dict[str, float | int]:
    """Coverage, in percent, of the intervals for other users and for other users and seeds."""
    rng = np.random.default_rng([users, int(1000 * seed_sd)])
    rows: list[dict[str, float]] = []
    for _ in range(experiments):
        gaps = _with_seeds(rng, users, seed_sd)
        means = {place: mean(each[place] for each in gaps.values()) for place in gaps[0]}
        alone = interval(means)
        both = seed_spread(gaps).users_and_seeds(alone)
        rows.append(
            {
                "covers_for_users": alone.low <= 0 <= alone.high,
                "covers_for_users_and_seeds": both.low <= 0 <= both.high,
            }
        )
    return {name: _percent(rows, name) for name in rows[0]}


def _with_seeds(rng: np.random.Generator, users: int, seed_sd: float) -> Mapping[int, Scores]:
    """An experiment with small user variance, and with parts of seeds, and of users by seeds."""
    base = experiment(rng, WORLDS[1], users)
    found: dict[int, Scores] = {}
    for seed in range(SEEDS):
        shift = seed_sd * rng.standard_normal()
        own = 0.02 * rng.standard_normal(users)
        noise = QUERY_SD * rng.standard_normal(len(base))
        found[seed] = {
            place: value + shift + float(own[int(place[0])]) + float(one)
            for (place, value), one in zip(base.items(), noise, strict=True)
        }
    return found


def _percent(rows: list[dict[str, float]], name: str) -> float:
    known = [row[name] for row in rows if name in row]
    return round(100 * sum(known) / len(known), 1) if known else 0.0


def measure(
    users: tuple[int, ...], experiments: int
) -> Iterator[tuple[str, dict[str, float | int]]]:
    """Every world with every number of users, then differences between seeds."""
    for number in users:
        for world in WORLDS:
            yield f"{number} users, {world.name}", simulate(world, number, experiments)
    for number in users:
        for seed_sd in (0.0, 0.005, 0.02):
            name = f"{number} users, {SEEDS} seeds, seed sd {seed_sd}"
            yield name, simulate_seeds(number, seed_sd, experiments)


@click.command()
@click.option("--experiments", default=2_000, show_default=True)
@click.option("--users", multiple=True, type=int, default=USERS, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS)
def main(experiments: int, users: tuple[int, ...], output: Path) -> None:
    """Simulate; writes coverage.json. The same options give the same numbers on every machine."""
    results = {}
    for name, found in measure(users, experiments):
        results[name] = found
        click.echo(f"{name}: {found}")
    settings = {"experiments": experiments, "users": list(users), "query_sd": QUERY_SD}
    write_results("coverage", settings, results, output)


if __name__ == "__main__":
    main()
