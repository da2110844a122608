"""The precisions in which models run."""

PRECISIONS = ("float32", "bfloat16", "float16")
"""Names of torch's types for weights and activations."""
