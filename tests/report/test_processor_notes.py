"""What tables say of runs that were made on different processors."""

import pytest

SCORES = {"a": [0.1, 0.2], "b": [0.3, 0.4]}
GPU = {"system": "Linux", "cpu": "x", "cores": 1, "memory_gib": 1.0, "accelerator": "H200",
       "threads": 1}  # fmt: skip


def runs_of(dtype):
    return {"model_details": {"dtype": dtype, "fingerprint": "f"}}


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_below_float32_a_table_names_the_runs_on_other_processors(scored, read, dtype):
    for seed in range(2):
        scored("oppu", SCORES, seed=seed, **runs_of(dtype))
    scored("oppu", SCORES, seed=2, hardware=GPU, **runs_of(dtype))
    scored("cope", SCORES, "review_writing", hardware=GPU, **runs_of(dtype))
    note = "Runs on H200: Review Writing; News Headline, seed 2. All others: a CPU."
    assert (note in read("main")) is (dtype == "bfloat16")


def test_runs_on_one_kind_of_processor_need_no_note(scored, read):
    for method in ("oppu", "cope"):
        scored(method, SCORES, hardware=GPU, **runs_of("bfloat16"))
    assert "Runs on" not in read("main")
