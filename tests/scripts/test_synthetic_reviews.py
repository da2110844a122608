"""The SYNTHETIC reviews: reproducible, of the promised length, in steady voices."""

from pathlib import Path

from lampbench.bundled import DATA
from scripts import synthetic_reviews
from scripts.user_rows import read_users, records

USERS = [
    user
    for name in ("test", "dev")
    for user in read_users(DATA / "review_writing" / f"{name}.jsonl")
]


def test_makes_the_committed_files_byte_for_byte(tmp_path: Path) -> None:
    synthetic_reviews.main(["--output", str(tmp_path)])
    for name in ("test.jsonl", "dev.jsonl", "train.jsonl", "dataset.json"):
        made = tmp_path / "review_writing" / name
        assert made.read_bytes() == (DATA / "review_writing" / name).read_bytes()


def test_texts_have_the_promised_length() -> None:
    texts = [record["target"] for user in USERS for record in records(user)]
    assert all(50 <= len(text.split()) <= 120 for text in texts)
    assert len(set(texts)) == len(texts)


def test_a_reviewer_opens_and_signs_off_alike() -> None:
    for user in USERS:
        openings = {" ".join(record["target"].split()[:2]) for record in records(user)}
        assert len(openings) <= 6
        endings = {record["target"].split()[-1] for record in records(user)}
        assert len(endings) <= 2


def test_ratings_are_strings_of_the_published_form() -> None:
    ratings = {record["fields"]["rating"] for user in USERS for record in records(user)}
    assert ratings == {"1.0", "2.0", "3.0", "4.0", "5.0"}
