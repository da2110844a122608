"""A recorded file that cannot be read: one message, whichever file it is."""

import errno

import pytest

from lampbench.record import recorded_file
from lampbench.record.dataset_files import check_content, read_queries
from lampbench.record.run_files import check_run_file, checked_content


@pytest.mark.parametrize("read", [check_content, check_run_file, checked_content, read_queries])
def test_a_file_that_cannot_be_read_is_named_with_the_systems_words(tmp_path, monkeypatch, read):
    def broken(path):
        raise OSError(errno.EIO, "Input/output error", str(path))

    file = tmp_path / "x.json.gz"
    with pytest.raises(ValueError, match=r"^x\.json\.gz is missing$"):
        list(read(file, "0") or ())
    file.write_bytes(b"")
    monkeypatch.setattr(recorded_file, "open_regular", broken)
    with pytest.raises(ValueError, match=r"^x\.json\.gz cannot be read \(Input/output error\)$"):
        list(read(file, "0") or ())
