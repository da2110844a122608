"""Base: the model as released."""

from lampbench.plugin import Greedy, Method, Plain, register_method


@register_method("base")
class Base(Method):
    """The pretrained model: no fine-tuning, no history in the prompt (paper, appendix B)."""

    title = "Base"
    prompting = Plain()
    decoding = Greedy()
