"""After Per-Pcs: a user's adapter assembled from other users', without training."""

from lampbench.plugin import AssembledFromUsers, Method, TaskSFT, UserSFT, register_method


@register_method("per_pcs")
class PersonalizedPieces(Method):
    """Other users' LoRAs, added up by how likely they make the user's history (Tan et al., 2024).

    The pieces are whole adapters; Per-Pcs itself chooses layer by layer with trained gates.
    """

    title = "Per-Pcs, whole adapters"
    adaptation = AssembledFromUsers(UserSFT(start=TaskSFT()))
