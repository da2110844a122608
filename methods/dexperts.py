"""Decoding-time experts: the user's and the task's adapter steer the model as it is."""

from lampbench.plugin import ExpertGuided, Method, TaskSFT, UserSFT, register_method

tam = TaskSFT()


@register_method("dexperts")
class DecodingExperts(Method):
    """DExperts (Liu et al., 2021) with OPPU as the expert and TAM as the anti-expert."""

    title = "DExperts"
    decoding = ExpertGuided(expert=UserSFT(start=tam), antiexpert=tam)
