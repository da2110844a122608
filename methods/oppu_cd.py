"""Ablation of CoPe: contrastive decoding without DPO."""

from lampbench.plugin import Contrastive, Method, TaskSFT, UserSFT, register_method

tam = TaskSFT()


@register_method("oppu_cd")
class OPPUContrastive(Method):
    """OPPU's weights, CoPe's decoding (paper, Table 3)."""

    title = "OPPU + CD"
    adaptation = UserSFT(start=tam)
    decoding = Contrastive(against=tam)
