"""Whether a few users carry a difference between two methods, so that tests err more often.

Tests and intervals treat users as draws from one population, and are right on average where their
differences scatter about alike on both sides of the mean. Where a tenth of the people carry the
whole effect, few samples hold their share of them (docs/statistics.md, "Few users who carry most").
"""

import math
from dataclasses import dataclass

import numpy as np

from lampbench.report.resampling import DECIMALS, Floats, residuals

TOP = 10
"""One user in so many is looked at; at least one."""
MOST = 0.5
"""A larger share of a direction's differences than this is carried by few."""
LOPSIDED = 0.2
"""At this asymmetry, Student's t interval misses on one side in 4.2% of samples instead of 2.5%.
The excess is skewness / (6 sqrt(N)) (2 z^2 + 1) phi(z), at z = 1.96 8.5% of the asymmetry (Hall
1992, section 2.6)."""
TOO_OFTEN = 0.05
"""Samples that miss a tenth of the people more often than this are too small to speak for them."""


@dataclass(frozen=True, slots=True)
class Concentration:
    """How users share a difference. The direction is that of the total.

    `top` users, a tenth of all `users` and those who differ most, make `share` of what all users
    who differ in this direction differ by; NaN where the total is zero. `asymmetry` is the skewness
    of the users' differences from their mean divided by the square root of their number: positive
    where a few are far out in this direction, negative where they are in the other.
    """

    users: int
    top: int
    share: float
    asymmetry: float

    @property
    def carried(self) -> bool:
        """Whether few users carry most of the difference."""
        return self.users > 1 and self.share > MOST

    @property
    def opposed(self) -> bool:
        """Whether few users, far from all others, differ the other way."""
        return self.users >= TOP and self.asymmetry < -LOPSIDED

    @property
    def missing(self) -> float:
        """The probability that such a sample has no user of a kind that is one in ten."""
        return (1 - 1 / TOP) ** self.users

    def warnings(self) -> list[str]:
        """What a reader of the difference must know, in a few words each."""
        found = []
        if self.carried:
            found.append(
                f"{self.top} of {self.users} users carry {self.share:.0%} of what users differ by "
                "in this direction"
            )
        if self.opposed:
            found.append("a few users differ far in the other direction")
        if self.missing > TOO_OFTEN:
            found.append(
                f"{self.users} users: a kind of person that is 1 in {TOP} is missing with "
                f"probability {self.missing:.0%}"
            )
        return found


def concentration(sums: Floats, sizes: Floats) -> Concentration:
    """How users share a difference; user u's `sizes[u]` differences add up to `sums[u]`."""
    users = len(sums)
    top = max(1, users // TOP)
    total = float(sums.sum())
    direction = math.copysign(1.0, total)
    ordered = np.sort(direction * sums)[::-1]
    gained = float(ordered[ordered > 0].sum())
    apart = direction * np.round(residuals(sums, sizes), DECIMALS)
    spread = float(np.mean(apart**2)) ** 1.5
    return Concentration(
        users=users,
        top=top,
        share=float(ordered[:top].clip(min=0).sum()) / gained if total and gained else math.nan,
        asymmetry=float(np.mean(apart**3)) / spread / math.sqrt(users) if spread else 0.0,
    )
