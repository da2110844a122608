"""The reference code's missing generation prompt, where its script for DPO answers queries.

Used only with `--fidelity reference`. By default every method's prompts end with the template's
generation prompt, because a header that only some methods get changes their scores.
"""

from collections.abc import Sequence
from dataclasses import replace

from lampbench.core.fidelity import Fidelity
from lampbench.engine.protocol import GenerateRequest
from lampbench.plugin.adaptation import UserDPO
from lampbench.plugin.method import Method


def reference_rendering(
    fidelity: Fidelity, method: Method, requests: Sequence[GenerateRequest]
) -> Sequence[GenerateRequest]:
    """The requests of a method's answers as the reference code renders them.

    Its script that answers with DPO-trained weights applies the tokenizer's own template without
    the generation prompt (OPPU_sft+dpo.py:375). Its other scripts leave it out too, but use custom
    templates, which always end with the header (TAM.py:276, OPPU_sft.py:338).
    """
    if not fidelity.no_generation_prompt or not isinstance(method.adaptation, UserDPO):
        return requests
    return [replace(request, generation_prompt=False) for request in requests]
