"""RAG with the user's nearest records by Contriever."""

from lampbench.plugin import CONTRIEVER, Greedy, Method, RetrievalAugmented, register_method


@register_method("rag_contriever")
class RAGContriever(Method):
    """Contriever (Izacard et al., 2022) over the history, as in LaMP (Salemi et al., 2024)."""

    title = "RAG, Contriever"
    prompting = RetrievalAugmented(retriever=CONTRIEVER)
    decoding = Greedy()
