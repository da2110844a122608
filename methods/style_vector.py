"""StyleVector: a user's style as a direction in the model's activations."""

from lampbench.plugin import Method, SteeringVector, register_method


@register_method("style_vector")
class StyleVector(Method):
    """The released model, steered by the user's mean difference (Zhang et al., 2025)."""

    title = "StyleVector"
    adaptation = SteeringVector()
