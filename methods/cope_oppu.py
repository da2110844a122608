"""Sensitivity of CoPe to the base model of its contrast: the user's model before DPO."""

from lampbench.plugin import Contrastive, register_method

from .cope import CoPe, oppu


@register_method("cope_oppu")
class CoPeAgainstOPPU(CoPe):
    """CoPe that contrasts with the user's own model before DPO (Figure 3a, "OPPU").

    Source: Bu et al., EMNLP 2025.
    """

    title = "CoPe against OPPU"
    decoding = Contrastive(against=oppu)
