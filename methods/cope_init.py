"""Sensitivity of CoPe to the base model of its contrast: the model before any training."""

from lampbench.plugin import Contrastive, register_method

from .cope import CoPe


@register_method("cope_init")
class CoPeAgainstInit(CoPe):
    """CoPe that contrasts with the untouched model (Figure 3a, "init").

    Source: Bu et al., EMNLP 2025.
    """

    title = "CoPe against init"
    decoding = Contrastive(against=None)
