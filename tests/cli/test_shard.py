"""`lampbench run --shard`: what it says, and what it refuses."""

import json

RUN = ("--method", "oppu")


def test_the_last_shard_records_the_run(small_run):
    code, out, err = small_run(*RUN, "--shard", "1/2")
    assert code == 0 and out == ""
    said = "oppu news_headline: shard 1/2 is done; the run is recorded after 0/2"
    assert said in err
    code, out, err = small_run(*RUN, "--shard", "0/2", "--format", "json")
    assert code == 0, err
    assert [run["users"] for run in json.loads(out)["runs"]] == [2]
    assert small_run(*RUN, "--shard", "0/2")[2].count("already recorded") == 1


def test_a_shard_that_cannot_be_is_one_line(small_run):
    assert small_run(*RUN, "--shard", "2/2")[::2] == (
        2, "error: --shard 2/2: write i/N with i from 0 to N - 1, such as 0/4 for the first of "
        "four\n",
    )  # fmt: skip
    code, _, err = small_run(*RUN, "--shard", "0/2", "--force")
    assert code == 2 and err.startswith("error: --force and --shard 0/2: no shard can know")
