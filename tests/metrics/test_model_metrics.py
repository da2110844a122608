"""BERTScore with a tiny model, and the judge against a server of the test's own."""

import json
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from lampbench.scoring import PredictionRow, Scoring, score_predictions
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import folder_digest

KEY = "sk-very-secret"


def rows(*pairs, user="u"):
    return [PredictionRow(user, str(i), p, r, truncated=False) for i, (p, r) in enumerate(pairs)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A BERT of two layers and twelve words, drawn at random."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("bert")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
        "cat",
        "sat",
        "on",
        "mat",
        "a",
        "dog",
    ]
    tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(words)})
    tokenizer.model_max_length = 32
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def test_bertscore(encoder, monkeypatch):
    monkeypatch.setenv("LAMPBENCH_BERTSCORE_MODEL", str(encoder))
    monkeypatch.setenv("LAMPBENCH_BERTSCORE_LAYER", "2")
    scoring = Scoring(("bertscore", "rouge1"))
    pairs = [("the cat sat", "the cat sat"), ("a dog", "the mat"), ("", "a"), ("a", None)]
    found = score_predictions(rows(*pairs, ("the cat " * 99, "the cat")), None, scoring)
    values = [row["bertscore"] for row in found]
    assert values[0] == pytest.approx(1.0, abs=1e-6)
    assert -1 <= values[1] < 0.99
    assert values[2:4] == [0.0, None]
    assert values[4] < 1
    assert [row["rouge1"] for row in found[:2]] == [1.0, 0.0]
    signature = scoring.describe().signatures["bertscore"]
    assert signature.startswith(f"{encoder.name}@{folder_digest(encoder)}_L2_no-idf")
    assert str(encoder.parent) not in signature


def test_bertscore_says_what_it_lacks(encoder, monkeypatch):
    scoring = Scoring(("bertscore",))
    monkeypatch.setenv("LAMPBENCH_BERTSCORE_MODEL", str(encoder))
    assert "set LAMPBENCH_BERTSCORE_LAYER" in scoring.missing()["bertscore"]
    monkeypatch.setenv("LAMPBENCH_BERTSCORE_LAYER", "last")
    assert "'last'" in scoring.missing()["bertscore"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'lampbench[bertscore]'" in scoring.missing()["bertscore"]
    assert score_predictions(rows(("a", "a")), None, scoring)[0]["bertscore"] is None


class Server(HTTPServer):
    """Answers as `replies` say (status, body), the last one for ever; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = [(200, says("Rating: [[10]]"))]
        self.asked: list[tuple[str, dict[str, str], Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        replies = self.server.replies
        status, text = replies.pop(0) if len(replies) > 1 else replies[0]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def says(content: str) -> str:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]})


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("LAMPBENCH_JUDGE_URL", f"http://127.0.0.1:{server.server_port}/v1/")
    monkeypatch.setenv("LAMPBENCH_JUDGE_MODEL", "some-judge")
    monkeypatch.setenv("LAMPBENCH_JUDGE_KEY", KEY)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


HISTORY = tuple(f"past text {i}" for i in range(5))


def judged(*pairs, history=HISTORY):
    scoring = Scoring(("judge",), histories={"u": history})
    return [row["judge"] for row in score_predictions(rows(*pairs), None, scoring)]


def test_ratings_are_mapped_to_0_and_1(server):
    replies = [
        "Rating: [[1]]",
        "Good. Rating: [[ 10 ]].",
        "[[4]]",
        "ten",
        "[[11]]",
        "[[0]]",
        f"[[{'9' * 5000}]]",
    ]
    server.replies = [(200, says(reply)) for reply in replies]
    pairs = [("answer", "reference")] * 7
    assert judged(*pairs) == [0.0, 1.0, pytest.approx(1 / 3), *[None] * 4]


def test_what_the_judge_is_asked(server):
    assert judged(("the answer", "the reference"), ("other", None)) == [1.0, None]
    ((path, headers, body),) = server.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["temperature"]) == ("some-judge", 0)
    said = body["messages"][1]["content"]
    for text in ("past text 4", "past text 2", "the reference", "the answer"):
        assert text in said
    assert "past text 1" not in said


def test_without_a_key_none_is_sent(server, monkeypatch):
    monkeypatch.delenv("LAMPBENCH_JUDGE_KEY")
    judged(("a", "b"))
    assert "Authorization" not in server.asked[0][1]


def test_without_history_there_is_no_judgement(server):
    scoring = Scoring(("judge",))
    assert score_predictions(rows(("a", "b")), None, scoring)[0]["judge"] is None
    assert server.asked == []


def test_a_busy_endpoint_is_asked_again(server):
    server.replies = [(429, "busy"), (503, "busy"), (200, says("[[10]]"))]
    assert judged(("a", "b")) == [1.0]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "body", "why", "times"),
    [
        (401, f"wrong key {KEY}", "status 401", 1),
        (302, "", "status 302", 1),
        (500, "broken", "status 500", 4),
        (200, "<html>", "no chat completion", 1),
        (200, "[" * 100_000, "no chat completion", 1),
        (200, '{"error": "the answer"}', "no chat completion", 1),
    ],
)
def test_a_refusal_is_one_line_without_key_or_text(server, capsys, status, body, why, times):
    server.replies = [(status, body)]
    with pytest.raises(LampbenchError, match=why) as told:
        judged(("the answer", "the reference"))
    shown = str(told.value) + "".join(capsys.readouterr())
    for secret in (KEY, "the answer", "the reference", "past text"):
        assert secret not in shown
    assert "\n" not in str(told.value)
    assert len(server.asked) == times
    assert {path for path, *_ in server.asked} == {"/v1/chat/completions"}


def test_an_endpoint_that_is_not_there(server, monkeypatch):
    monkeypatch.setenv("LAMPBENCH_JUDGE_URL", "http://127.0.0.1:1/v1")
    with pytest.raises(LampbenchError, match=r"no answer \(URLError\)"):
        judged(("a", "b"))
    monkeypatch.setenv("LAMPBENCH_JUDGE_URL", "file:///etc")
    with pytest.raises(LampbenchError, match="must begin with http"):
        judged(("a", "b"))


def test_what_is_recorded_of_the_judge(server, monkeypatch):
    scoring = Scoring(("judge",))
    recorded = json.dumps(asdict(scoring.describe()))
    assert "model:some-judge|temperature:0|prompt:" in recorded
    assert KEY not in recorded and "127.0.0.1" not in recorded
    monkeypatch.delenv("LAMPBENCH_JUDGE_MODEL")
    assert scoring.missing() == {"judge": "the judge needs an endpoint: set LAMPBENCH_JUDGE_MODEL"}
