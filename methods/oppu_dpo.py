"""Ablation of CoPe: DPO without contrastive decoding."""

from lampbench.plugin import (
    BestOfN,
    Greedy,
    Method,
    Samples,
    TaskSFT,
    UserDPO,
    UserSFT,
    register_method,
)

tam = TaskSFT()
oppu = UserSFT(start=tam)


@register_method("oppu_dpo")
class OPPUPreference(Method):
    """CoPe's weights, greedy decoding (paper, Table 3)."""

    title = "OPPU + DPO"
    adaptation = UserDPO(start=oppu, negatives=BestOfN(Samples(source=tam), judged_by=oppu))
    decoding = Greedy()
