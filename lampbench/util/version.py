"""The version of lampbench, and which earlier versions' runs stand beside its own."""

VERSION = "0.2.0"

SAME_RESULTS_SINCE = "0.2.0"
"""The oldest version whose runs this one would repeat exactly. Raise it with every change of
results: tables leave older runs out."""


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparisons; () where it is not known."""
    numbers = version.split("+")[0].split(".")
    return tuple(int(part) for part in numbers) if all(p.isdecimal() for p in numbers) else ()
