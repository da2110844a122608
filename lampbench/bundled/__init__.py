"""The embedded default: the data and the small model that every installation carries."""

from pathlib import Path

DATA = Path(__file__).parent / "data"
MODEL = Path(__file__).parent / "model"
