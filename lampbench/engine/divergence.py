"""When a training job is given up, and what its user is told."""

import math


def divergence(loss: float, norm: float, step: int) -> str | None:
    """Why training cannot continue after a step, counted from 1; None if it can.

    It cannot if the loss or the norm of its gradient is NaN or infinite.
    """
    if math.isfinite(loss) and math.isfinite(norm):
        return None
    return (
        f"the loss is {loss:.3g} and the norm of its gradient {norm:.3g} at step {step}; "
        "lower the learning rate, or use --dtype float32"
    )
