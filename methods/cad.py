"""Context-aware decoding: what the history in the prompt changes is amplified."""

from lampbench.plugin import (
    Guided,
    Method,
    Plain,
    RetrievalAugmented,
    Side,
    register_method,
)


@register_method("cad")
class ContextAware(Method):
    """RAG's prompt against the plain one (Shi et al., 2023; the context is the quoted history)."""

    title = "CAD"
    prompting = RetrievalAugmented()
    decoding = Guided(away_from=Side(prompting=Plain()), strength=0.5)
