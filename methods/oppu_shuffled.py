"""Control for OPPU: LoRAs trained on histories that were shuffled among the users."""

from lampbench.plugin import Method, OnShuffledHistories, TaskSFT, UserSFT, register_method


@register_method("oppu_shuffled")
class OPPUShuffled(Method):
    """As many records, steps and parameters per user as OPPU, but dealt out from all users.

    Source: defined here.
    """

    title = "OPPU, shuffled histories"
    adaptation = OnShuffledHistories(UserSFT(start=TaskSFT()))
