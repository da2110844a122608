"""Further arguments of a server: those that would change what is recorded are refused."""

import pytest

from lampbench.engine.vllm.server_arguments import server_arguments
from lampbench.engines import vllm
from lampbench.util.errors import LampbenchError


def test_arguments_are_split_as_a_shell_does():
    assert server_arguments("") == []
    assert server_arguments("--block-size 32 -tp 2 --load-format 'a b' --max-model-len=512") == [
        "--block-size", "32", "-tp", "2", "--load-format", "a b", "--max-model-len=512"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("--model org/other", "sets --model itself; use --model"),
        ("--model=org/other", "sets --model itself"),
        ("--mod org/other", "sets --model itself"),
        ("--served_model_name x", "sets --served-model-name itself; leave it out"),
        ("--host 0.0.0.0", "sets --host itself"),
        ("--dtype bfloat16", "use --dtype"),
        ("--logprobs-mode processed_logprobs", "sets --logprobs-mode"),
        ("--no-enable-lora", "sets --enable-lora"),
        ("--hf-overrides.contrast_alpha 0.5", "sets --hf-overrides"),
        ("--block-size 32 --max-num-seqs 4", "use --batch-size"),
        ("--api-key sk", "looks like a secret"),
        ("--hf-token=hf_x", "looks like a secret"),
        ("--load-format 'a b", "no closing quotation; quote each argument"),
    ],
)
def test_what_is_refused_before_anything_runs(setup_of, text, told):
    setup = setup_of(server_args=text)
    for ask in (vllm.Vllm().check, vllm.Vllm().able, vllm.Vllm().identity):
        with pytest.raises(LampbenchError) as raised:
            ask(setup)
        assert told in str(raised.value) and "\n" not in str(raised.value)
