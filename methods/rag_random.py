"""Control for RAG: records of the user that are not chosen by what is asked."""

from lampbench.plugin import Greedy, Method, RandomRecords, RetrievalAugmented, register_method


@register_method("rag_random")
class RAGRandom(Method):
    """Random records of the user in the prompt: what retrieval adds is the gain over this.

    Source: defined here.
    """

    title = "RAG, random"
    prompting = RetrievalAugmented(retriever=RandomRecords())
    decoding = Greedy()
