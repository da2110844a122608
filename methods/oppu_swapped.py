"""Control for OPPU: another user's LoRA answers."""

from lampbench.plugin import AnotherUsers, Method, TaskSFT, UserSFT, register_method


@register_method("oppu_swapped")
class OPPUSwapped(Method):
    """OPPU's adapters, each used for somebody else: what is left of the gain is not personal.

    Source: defined here.
    """

    title = "OPPU, another user's"
    adaptation = AnotherUsers(UserSFT(start=TaskSFT()))
