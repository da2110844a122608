"""Context steering: the influence of the user's profile on each token, scaled."""

from lampbench.plugin import Guided, Method, Plain, ProfileAugmented, Side, register_method


@register_method("context_steering")
class ContextSteering(Method):
    """The profile in the prompt against none (He et al., 2024; lambda 2 as in their example)."""

    title = "CoS"
    prompting = ProfileAugmented(k=0)
    decoding = Guided(away_from=Side(prompting=Plain()), strength=2.0)
