"""The batched engine: many users in every forward pass.

Words used in this folder: a *row* is one sequence of a forward pass. A *slot* is the position that
an answer or a training job keeps in the engine's tensors from its start to its end; an answer's
slot has one row, or two in contrastive decoding. To *stack* adapters is to put those of many users
into one tensor.
"""
