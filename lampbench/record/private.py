"""Private runs: hashes, lengths and scores are recorded, but no text of a user or of the model."""

from dataclasses import replace
from hashlib import sha256

from lampbench.scoring.prediction_row import PredictionRow

PRIVATE = "(private: not recorded)"
"""What is shown in the place of a text that a private run did not record."""


def without_texts(row: PredictionRow) -> PredictionRow:
    """A prediction as private runs record it."""
    if row.prediction is None:
        return row
    data = row.prediction.encode("utf-8", "surrogatepass")
    return replace(
        row,
        prediction=None,
        reference=None,
        tokens=(),
        rewards=(),
        prediction_sha256=sha256(data).hexdigest(),
        prediction_length=len(row.prediction),
    )


def shown_text(text: str | None) -> str:
    """A text as it is shown."""
    return PRIVATE if text is None else text
