"""Control for OPPU + CD: the user's plausible set (equation 1) without a contrast."""

from lampbench.plugin import Contrastive, Method, TaskSFT, UserSFT, register_method

tam = TaskSFT()


@register_method("oppu_head")
class OPPUPlausible(Method):
    """OPPU's most probable token within V_head; differs from OPPU where a penalty acts alone.

    What OPPU + CD gains over this is its contrast. Source: defined here, from equation 1 of Bu et
    al. (2025).
    """

    title = "OPPU + V_head"
    adaptation = UserSFT(start=tam)
    decoding = Contrastive(against=tam, alpha=0.0)
