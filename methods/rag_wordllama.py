"""RAG with the user's nearest records by WordLlama's token vectors."""

from lampbench.plugin import WORDLLAMA, Greedy, Method, RetrievalAugmented, register_method


@register_method("rag_wordllama")
class RAGWordLlama(Method):
    """Dense retrieval by an embedding model that comes in a package (Miller, 2024)."""

    title = "RAG, WordLlama"
    prompting = RetrievalAugmented(retriever=WORDLLAMA)
    decoding = Greedy()
