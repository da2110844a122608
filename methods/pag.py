"""PAG: a written profile of the user in the prompt, and the nearest records."""

from lampbench.plugin import Greedy, Method, ProfileAugmented, register_method


@register_method("pag")
class PAG(Method):
    """Profile-augmented generation (Richardson et al., 2023)."""

    title = "PAG"
    prompting = ProfileAugmented()
    decoding = Greedy()
