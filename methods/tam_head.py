"""Control for CoPe: the plausible set (equation 1) without a contrast or user weights."""

from lampbench.plugin import Contrastive, Method, TaskSFT, register_method

tam = TaskSFT()


@register_method("tam_head")
class TAMPlausible(Method):
    """TAM's most probable token within V_head; differs from TAM where a penalty acts alone.

    A penalty on scores cannot push the choice out of V_head, so that contrastive decoding also
    protects from the penalty. What this gains over TAM is that protection, and nothing personal;
    `oppu_head` is the same for the user's weights. Source: defined here, from equation 1 of Bu et
    al. (2025).
    """

    title = "TAM + V_head"
    adaptation = tam
    decoding = Contrastive(against=tam, alpha=0.0)
