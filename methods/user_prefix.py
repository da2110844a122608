"""Prefix tuning per user: virtual tokens of the user's own in front of every prompt."""

from lampbench.plugin import Method, Prefix, TaskSFT, UserTuning, register_method


@register_method("user_prefix")
class UserPrefix(Method):
    """OPPU with a prefix (Li and Liang, 2021) where OPPU has a LoRA."""

    title = "Prefix per user"
    adaptation = UserTuning(start=TaskSFT(), what=Prefix())
