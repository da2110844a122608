"""Per-Pcs: a user's adapter assembled layer by layer from other users', without training."""

from lampbench.plugin import (
    AssembledFromUsers,
    Method,
    PieceGates,
    TaskSFT,
    UserSFT,
    register_method,
)


@register_method("per_pcs")
class PersonalizedPieces(Method):
    """Personalized pieces: layers of other users' LoRAs, chosen by gates (Tan et al., EMNLP 2024).

    The sharers are the other test users.
    """

    title = "Per-Pcs"
    adaptation = AssembledFromUsers(PieceGates(lora=UserSFT(start=TaskSFT())))
