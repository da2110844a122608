"""The built-in methods, one file each; imported as `lampbench.methods`."""

if __name__ == "methods":
    raise ImportError("import lampbench.methods, not methods: two names make two of each class")

VERSIONS = {
    "base": 1,
    "best_of_n": 1,
    "cad": 1,
    "context_steering": 1,
    "cope": 1,
    "cope_init": 1,
    "cope_oppu": 1,
    "copy_lead": 1,
    "copy_nearest": 1,
    "copy_recent": 1,
    "dexperts": 1,
    "draft_refine": 1,
    "oppu": 1,
    "oppu_cd": 1,
    "oppu_dpo": 1,
    "oppu_dpo_held_out": 1,
    "oppu_halves": 1,
    "oppu_head": 1,
    "oppu_mean": 1,
    "oppu_pag": 1,
    "oppu_rag": 1,
    "oppu_shuffled": 1,
    "oppu_swapped": 1,
    "pag": 1,
    "per_pcs": 2,
    "rag": 1,
    "rag_contriever": 1,
    "rag_dense": 1,
    "rag_random": 1,
    "rag_recent": 1,
    "rag_swapped": 1,
    "rag_wordllama": 1,
    "style_vector": 1,
    "tam": 1,
    "tam_head": 1,
    "tam_length": 1,
    "user_prefix": 1,
}
"""The built-in methods. Raise a version when the method's code changes what it produces. Any other
file in this folder is a plugin, identified by its source."""
