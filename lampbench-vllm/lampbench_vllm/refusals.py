"""What a contrastive server refuses when it starts."""

from typing import Any

from lampbench_vllm.told_settings import Telling, contrast_settings


def require_supported(vllm_config: Any) -> None:
    """Refuse what two KV caches in one request cannot do, or what nobody has tested with them.

    Raises:
        ValueError: an option of the server is one of these.
    """
    parallel = vllm_config.parallel_config
    alpha, tau = contrast_settings(vllm_config)
    refused = {
        "--pipeline-parallel-size (only the last stage would have logits of both sides)":
            parallel.pipeline_parallel_size > 1,
        "--tensor-parallel-size (untested)": parallel.tensor_parallel_size > 1,
        "--speculative-config (a draft knows one side only)":
            vllm_config.speculative_config is not None,
        "--enable-batch-sharded-sampling (it splits the rows of the two sides)":
            getattr(parallel, "enable_batch_sharded_sampling", False)
            or getattr(vllm_config.scheduler_config, "enable_batch_sharded_sampling", False),
        "torch.compile and CUDA graphs (untested): add --enforce-eager":
            not vllm_config.model_config.enforce_eager,
        "contrast_alpha without contrast_tau, or the reverse (--hf-overrides)":
            (alpha is None) != (tau is None),
    }  # fmt: skip
    for what, found in refused.items():
        if found:
            raise ValueError(f"lampbench-vllm: contrastive decoding does not work with {what}")
    if alpha is None:
        return
    if not 0 <= float(tau) <= 1:
        raise ValueError(f"lampbench-vllm: contrast_tau must be between 0 and 1, not {tau}")
    if not Telling.ready:
        raise ValueError(
            "lampbench-vllm: contrast_alpha for all requests needs a vLLM whose answers have a "
            "system_fingerprint (0.32 has), so that clients are told"
        )
