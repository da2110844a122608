"""The data and the small models that every installation carries."""

from pathlib import Path

DATA = Path(__file__).parent / "data"
MODEL = Path(__file__).parent / "model"
