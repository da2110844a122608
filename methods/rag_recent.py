"""RAG with the user's latest records, whatever is asked."""

from lampbench.plugin import Greedy, Method, Recent, RetrievalAugmented, register_method


@register_method("rag_recent")
class RAGRecent(Method):
    """The latest records in the prompt: LaMP's recency retrieval (Salemi et al., 2024)."""

    title = "RAG, recent"
    prompting = RetrievalAugmented(retriever=Recent())
    decoding = Greedy()
