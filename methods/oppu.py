"""OPPU: one LoRA per user, on top of TAM."""

from lampbench.plugin import Greedy, Method, TaskSFT, UserSFT, register_method


@register_method("oppu")
class OPPU(Method):
    """One PEFT per user: the user's history fine-tunes a LoRA of their own (Tan et al., 2024)."""

    title = "OPPU"
    adaptation = UserSFT(start=TaskSFT())
    decoding = Greedy()
