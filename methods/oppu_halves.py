"""Control for DPO on held-out records: OPPU trained on each half of the history."""

from lampbench.plugin import MeanOfHalves, Method, TaskSFT, UserSFT, register_method


@register_method("oppu_halves")
class OPPUHalves(Method):
    """The mean of two LoRAs per user, each trained on every second record of the history.

    Source: defined here.
    """

    title = "OPPU, mean of halves"
    min_history = 2
    adaptation = MeanOfHalves(UserSFT(start=TaskSFT()))
