"""Bad input: one line, exit code 2, and nothing half-written."""

import json

import pytest

RUN = ["run", "--method", "base", "--task", "news_headline"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--method", "cop", "--task", "news_headline"], "did you mean cope?"),
        (["run", "--method", "cope", "--task", "news_headlin"], "did you mean news_headline?"),
        ([*RUN, "--model", "bundle"], "did you mean bundled?"),
        ([*RUN, "--model", "."], "config.json is missing"),
        ([*RUN, "--frce"], "'--force'"),
        ([*RUN, "--set", "decoding.max_new_token=1"], "did you mean decoding.max_new_tokens?"),
        ([*RUN, "--set", "decoding.alpha=1"], "is not a hyper-parameter"),
        ([*RUN, "--set", "decoding.max_new_tokens=none"], "give a whole number"),
        ([*RUN, "--set", "decoding.max_new_tokens=0"], "at least 1"),
        ([*RUN, "--set", "nonsense"], "SECTION.NAME=VALUE"),
        ([*RUN, "--config", "missing.toml"], "missing.toml: cannot be read"),
        ([*RUN, "--data", "lamp:nowhere"], "nowhere"),
        ([*RUN, "--data", "nowhere"], "nowhere"),
        ([*RUN, "--users", "0"], "--users"),
        ([*RUN, "--plugins", "missing.py"], "missing.py"),
        ([*RUN, "--chat-template", "nope"], "no chat template is called 'nope'"),
        ([*RUN, "--device", "warp"], "no device is called 'warp'"),
        ([*RUN, "--cache-dir", "/dev/null/x"], "--cache-dir"),
        ([*RUN, "--results", "/dev/null/x"], "--results"),
        (["show", "method", "cope", "--task", "nothing"], "no task is called 'nothing'"),
        (["show", "task", "topic"], "did you mean topic_writing?"),
        (["nonsense"], "nonsense"),
        (["table", "mian"], "did you mean main?"),
        ([*RUN, "--engine", "bached"], "did you mean batched?"),
        (["list", "everything"], "has no command 'everything': there are methods, metrics, mo"),
        (["new", "retriever"], "has no command 'retriever': there are method, metric, task"),
        (["data", "stats", "--task", "topics"], "topic"),
        (["run", "--method", "base", "--task", "news_headline", "--model", "x" * 5000], "too long"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(call, arguments, said, tmp_path):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert err.startswith("error: ")
    assert said in err
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_configuration_file_with_a_mistake_is_named(call, tmp_path):
    (tmp_path / "c.toml").write_text("[decoding]\nmax_new_tokens = \n")
    code, _, err = call(*RUN, "--config", "c.toml")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "c.toml: not a TOML file" in err


def test_a_method_without_training_data_is_refused(call, tmp_path):
    folder = tmp_path / "data" / "news_headline"
    folder.mkdir(parents=True)
    user = {
        "id": "u", "queries": [{"id": "q", "date": None, "fields": {"text": "t"}, "target": "x"}],
        "history": [{"id": "r", "date": None, "fields": {"text": "t"}, "target": "x"}],
    }  # fmt: skip
    (folder / "test.jsonl").write_text(json.dumps(user) + "\n")
    (folder / "train.jsonl").write_text("")
    info = {
        "task": "news_headline", "source": "made up", "licence": "none", "attribution": "nobody",
        "synthetic": True, "description": "one user",
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(info))
    code, _, err = call(
        "run", "--method", "tam", "--task", "news_headline", "--data", f"lampbench:{tmp_path}/data"
    )
    assert code == 2
    assert len(err.splitlines()) == 1


def test_a_plugin_file_that_is_not_there_is_told_of_the_one_beside(call, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").touch()
    for path, near in [("plugins/mime.py", "plugins/mine.py"), ("plugin/mine.py", "plugins")]:
        code, _, err = call(*RUN, "--plugins", path)
        assert code == 2 and err.endswith(f"; did you mean {near}?\n"), err
