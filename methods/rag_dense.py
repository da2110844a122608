"""RAG with the user's nearest records by sentence embeddings."""

from lampbench.plugin import Dense, Greedy, Method, RetrievalAugmented, register_method


@register_method("rag_dense")
class RAGDense(Method):
    """Dense retrieval (Karpukhin et al., 2020) over the history, by a sentence encoder."""

    title = "RAG, dense"
    prompting = RetrievalAugmented(retriever=Dense())
    decoding = Greedy()
