"""TAM: one LoRA for the task, shared by all users."""

from lampbench.plugin import Greedy, Method, TaskSFT, register_method


@register_method("tam")
class TAM(Method):
    """Task-adapted model: trained on the users who are not tested (Tan et al., 2024)."""

    title = "TAM"
    adaptation = TaskSFT()
    decoding = Greedy()
