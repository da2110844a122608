"""Control for RAG: the prompt of a random other user."""

from lampbench.plugin import AnotherUsersPrompt, Method, RetrievalAugmented, register_method


@register_method("rag_swapped")
class RAGSwapped(Method):
    """RAG that quotes another user's records: examples of the task, but nothing personal.

    Source: defined here.
    """

    title = "RAG, another user's"
    prompting = AnotherUsersPrompt(RetrievalAugmented())
