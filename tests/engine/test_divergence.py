"""When a training job is given up."""

import math

import pytest

from lampbench.engine.divergence import divergence


def test_finite_numbers_are_no_divergence():
    assert divergence(0.0, 1e30, 1) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_reported_with_the_step_and_the_fix(bad):
    for loss, norm in ((bad, 1.0), (0.5, bad)):
        reason = divergence(loss, norm, 7)
        assert reason == (
            f"the loss is {loss:.3g} and the norm of its gradient {norm:.3g} at step 7; "
            "lower the learning rate, or use --dtype float32"
        )
