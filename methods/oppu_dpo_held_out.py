"""DPO with preferences from records that OPPU has not been trained on."""

from lampbench.plugin import (
    HeldOutDPO,
    LowestReward,
    MeanOfHalves,
    Method,
    OtherHalf,
    Samples,
    TaskSFT,
    UserSFT,
    register_method,
)

tam = TaskSFT()
oppu = UserSFT(start=tam)


@register_method("oppu_dpo_held_out")
class OPPUHeldOutPreference(Method):
    """OPPU + DPO, cross-fitted: each half of a history is trained on by SFT, the other by DPO.

    There are two LoRAs per user, one for each half; their mean answers greedily.

    OPPU + DPO (Bu et al., EMNLP 2025) trains twice on the same records, so that DPO finds its pairs
    ranked already. Compare with `oppu_halves`, the mean before DPO. Source: defined here.
    """

    title = "OPPU + DPO, held out"
    min_history = 2
    adaptation = MeanOfHalves(
        HeldOutDPO(
            start=oppu,
            negatives=LowestReward(Samples(sampled_from=tam), judged_by=OtherHalf(oppu)),
            continued=OtherHalf(oppu),
        )
    )
