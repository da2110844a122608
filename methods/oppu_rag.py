"""OPPU with retrieval: a LoRA per user, trained and asked with the nearest records quoted."""

from lampbench.plugin import Method, RetrievalAugmented, TaskSFT, UserSFT, register_method


@register_method("oppu_rag")
class OPPURetrieval(Method):
    """OPPU on retrieval-augmented prompts (Tan et al., 2024, "OPPU + RAG")."""

    title = "OPPU + RAG"
    prompting = RetrievalAugmented()
    adaptation = UserSFT(start=TaskSFT())
