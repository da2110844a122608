"""OPPU with a profile: a LoRA per user, trained and asked with profile and nearest records."""

from lampbench.plugin import Method, ProfileAugmented, TaskSFT, UserSFT, register_method


@register_method("oppu_pag")
class OPPUProfile(Method):
    """OPPU on profile-augmented prompts (Tan et al., 2024, "OPPU + PAG")."""

    title = "OPPU + PAG"
    prompting = ProfileAugmented()
    adaptation = UserSFT(start=TaskSFT())
