"""`lampbench show`: values with their sources, for people and for programs."""

import json

import pytest


def test_the_papers_values_come_first(call):
    code, out, _ = call("show", "method", "cope", "--task", "news_headline")
    assert code == 0
    rows = {line.split()[0]: line.split()[1] for line in out.splitlines() if "." in line[:20]}
    assert rows["decoding.alpha"] == "0.3"
    assert rows["decoding.tau"] == "0.1"
    assert rows["user_dpo.beta"] == "3.0"
    assert rows["task_sft.learning_rate"] == "1e-05"
    assert rows["user_dpo.learning_rate"] == "5e-06"
    assert rows["negatives.n"] == "3"


def test_a_method_fits_80_columns_with_every_source(call):
    _, out, _ = call("show", "method", "cope", "--task", "news_headline")
    assert max(map(len, out.splitlines())) <= 80
    text = " ".join(out.split())
    assert "contrast weight of equation 2 [paper 4.1, LaMP]" in text
    assert "q_proj, k_proj, v_proj, o_proj" not in out  # wrapped, no name broken
    assert {"q_proj,", "k_proj,", "v_proj,", "o_proj"} <= set(out.split())
    assert "Runs of bundled use the preset 'small'; --preset paper changes that." in out


def test_a_method_names_its_file(call, tmp_path):
    file = tmp_path / "parts" / "mine.py"
    file.parent.mkdir()
    file.write_text(
        "from lampbench.plugin import Method, register_method\n"
        "@register_method('mine')\nclass Mine(Method):\n    title = 'Mine'\n"
    )
    _, out, _ = call("show", "method", "mine", "--task", "news_headline", "--plugins", str(file))
    assert out.startswith("mine: Mine (parts/mine.py)\n")
    _, out, _ = call("show", "method", "cope", "--task", "news_headline")
    assert "methods/cope.py)" in " ".join(out.split("\n")[:2])


def test_a_method_as_json(call):
    code, out, err = call("show", "method", "cope", "--task", "news_headline", "--format", "json",
                          "--set", "decoding.tau=0.2")  # fmt: skip
    assert (code, err) == (0, "") and out.isascii()
    found = json.loads(out)
    assert (found["method"], found["task"], found["preset"]) == ("cope", "news_headline", "small")
    assert found["decoding"].startswith("Contrastive(")
    alpha = found["hyperparameters"]["decoding.alpha"]["presets"]
    assert alpha["paper"] == {"value": 0.3, "source": "paper 4.1, LaMP"}
    assert alpha["small"]["value"] == 0.1
    tau = found["hyperparameters"]["decoding.tau"]["presets"]["small"]
    assert tau == {"value": 0.2, "source": "--set"}
    assert found["hyperparameters"]["task_sft.targets"]["presets"]["paper"]["value"] == [
        "q_proj", "k_proj", "v_proj", "o_proj",
    ]  # fmt: skip


def test_two_values_of_one_hyperparameter_are_refused(call):
    asked = ("show", "method", "cope", "--task", "news_headline", "--set", "decoding.tau=0.2")
    code, _, err = call(*asked, "--set", "decoding.tau=0.3")
    assert (code, err) == (
        2, "error: --set decoding.tau is given twice, with 0.2 and 0.3; give it once\n",
    )  # fmt: skip
    assert call(*asked, "--set", "decoding.tau=0.20")[0] == 0


@pytest.mark.parametrize("task", ["news_headline", "abstract_generation", "review_writing"])
def test_a_task_as_text_and_json(call, task):
    code, text, _ = call("show", "task", task)
    assert code == 0 and max(map(len, text.splitlines())) <= 80
    code, out, err = call("show", "task", task, "--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["task"] == task
    flat = "".join(text.split())
    for key in ("system", "prompt", "past_record", "target"):
        assert found[key] and "".join(found[key].split()) in flat


def test_a_method_without_a_title_is_shown_by_its_name(call, tmp_path):
    file = tmp_path / "untitled.py"
    file.write_text(
        "from lampbench.plugin import Method, register_method\n\n\n"
        '@register_method("untitled")\nclass Untitled(Method):\n    """No title."""\n'
    )
    _, out, _ = call(
        "show", "method", "untitled", "--task", "news_headline", "--plugins", str(file)
    )
    assert out.startswith("untitled: untitled (")
