"""RAG: the user's nearest records in the prompt."""

from lampbench.plugin import Greedy, Method, RetrievalAugmented, register_method


@register_method("rag")
class RAG(Method):
    """Retrieval-augmented generation (Lewis et al., 2020), BM25 over the history as in LaMP."""

    title = "RAG"
    prompting = RetrievalAugmented()
    decoding = Greedy()
