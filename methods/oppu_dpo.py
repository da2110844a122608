"""Ablation of CoPe: DPO without contrastive decoding."""

from lampbench.plugin import (
    Greedy,
    LowestReward,
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
    adaptation = UserDPO(
        start=oppu, negatives=LowestReward(Samples(sampled_from=tam), judged_by=oppu)
    )
    decoding = Greedy()
