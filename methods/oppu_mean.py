"""Control for OPPU: the mean of all users' LoRAs answers."""

from lampbench.plugin import MeanOfUsers, Method, TaskSFT, UserSFT, register_method


@register_method("oppu_mean")
class OPPUMean(Method):
    """One adapter for everybody, the mean of OPPU's: more training, but nothing personal.

    Source: defined here.
    """

    title = "OPPU, mean of users"
    adaptation = MeanOfUsers(UserSFT(start=TaskSFT()))
