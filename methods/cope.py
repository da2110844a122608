"""CoPe: DPO on the user's LoRA, then contrastive decoding."""

from lampbench.plugin import (
    Contrastive,
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


@register_method("cope")
class CoPe(Method):
    """Contrasting Personal Preference (Bu et al., EMNLP 2025, section 3)."""

    title = "CoPe"
    adaptation = UserDPO(
        start=oppu, negatives=LowestReward(Samples(sampled_from=tam), judged_by=oppu)
    )
    decoding = Contrastive(against=tam)
