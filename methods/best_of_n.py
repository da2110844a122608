"""Best of n: the user's model samples, and its own implicit reward chooses."""

from lampbench.plugin import (
    ImplicitReward,
    Method,
    Reranked,
    Sampled,
    TaskSFT,
    UserSFT,
    register_method,
)

tam = TaskSFT()
oppu = UserSFT(start=tam)


@register_method("best_of_n")
class BestOfN(Method):
    """OPPU samples; the answer with the highest log p_user - log p_TAM is given.

    The reward is CoPe's (Bu et al., 2025, equation 2), best-of-n that of Stiennon et al. (2020).
    """

    title = "Best of 8"
    adaptation = oppu
    decoding = Reranked(Sampled(n=8), by=ImplicitReward(of=oppu, over=tam))
