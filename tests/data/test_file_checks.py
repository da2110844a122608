"""What is refused before any parser reads it."""

from pathlib import Path

import pytest

from lampbench.data.file_checks import check_file, first_json_byte
from lampbench.util.errors import LampbenchError


def test_a_folder_a_missing_and_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(LampbenchError, match="is a folder; give a file"):
        check_file(tmp_path)
    with pytest.raises(LampbenchError, match="none: no such file; correct the path"):
        check_file(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(LampbenchError, match="empty: is empty; download or write"):
        check_file(tmp_path / "empty")


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("[]")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read every file
    with pytest.raises(LampbenchError, match=r"cannot be read \(Permission denied\); make it"):
        check_file(tmp_path / "file")


@pytest.mark.parametrize(
    ("content", "first"),
    [(b" \n[1]", b"["), (b"\xef\xbb\xbf{}", b"{"), ('["\N{SNOWMAN}"]'.encode(), b"[")],
)
def test_the_first_byte_of_json(tmp_path: Path, content: bytes, first: bytes) -> None:
    (tmp_path / "file.json").write_bytes(content)
    assert first_json_byte(tmp_path / "file.json") == first
