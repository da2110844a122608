"""Recorded runs in a dataset repository of the Hugging Face hub: laid out there as here."""

import contextlib
import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lampbench.record.manifest import MANIFEST
from lampbench.record.recorded_run import Run
from lampbench.record.submission import SUBMISSION
from lampbench.record.write_submission import check_publishable, copy_runs
from lampbench.util.errors import LampbenchError

HUB = "hub:"
"""What begins the name of a repository, where a file or folder may be named too."""

_REPOSITORY = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:@([\w./-]+))?")
_FILES = (f"*/{MANIFEST}", "*.json.gz", SUBMISSION)
_CARD = """---
tags:
- lampbench
---

# Recorded runs of lampbench

Every folder TASK/MODEL/METHOD/KEY is one run: `manifest.json` says how its numbers were made,
`predictions.json.gz` has the answers and `scores.json.gz` the scores of each query. The files
beside the folders of models have the queries and the beginnings of the users' past texts.

Read them with `lampbench import runs hub:{repository}`.
"""


def parse_repository(name: str) -> tuple[str, str | None]:
    """The repository and the revision (None: the newest) of `hub:OWNER/NAME[@REVISION]`.

    Raises:
        LampbenchError: it is no such name.
    """
    found = _REPOSITORY.fullmatch(name.removeprefix(HUB))
    if not name.startswith(HUB) or found is None:
        raise LampbenchError(f"{name}: no hub repository; name it as {HUB}OWNER/NAME[@REVISION]")
    return found[1], found[2]


def upload_runs(
    runs: Sequence[Run], name: str, *, private: bool = False, with_texts: bool = False
) -> str:
    """Add runs to a dataset repository, in one commit; returns the commit's address.

    The repository is made, not open to others, where it is not there yet.

    Args:
        runs: distinct runs of one's own.
        name: `hub:OWNER/NAME[@REVISION]`; a revision is a branch.
        private: leave out every text of users and model.
        with_texts: publish the texts of data that do not come with the package.

    Raises:
        LampbenchError: a run must not be published as it is or is damaged, or the hub cannot be
            reached or refuses.
    """
    from huggingface_hub import HfApi

    repository, revision = parse_repository(name)
    check_publishable(runs, private=private, with_texts=with_texts)
    with tempfile.TemporaryDirectory() as folder, _hub(name):
        root = Path(folder)
        copy_runs(runs, root, private=private)
        api = HfApi(library_name="lampbench")
        api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        if not api.file_exists(repository, "README.md", repo_type="dataset", revision=revision):
            (root / "README.md").write_text(_CARD.format(repository=repository), encoding="utf-8")
        made = api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=root,
            revision=revision,
            ignore_patterns=[".locks/**"],
            commit_message=f"Add {len(runs)} recorded {'run' if len(runs) == 1 else 'runs'}",
        )
    return str(made.commit_url)


def download_runs(name: str, folder: Path) -> None:
    """Copy the recorded runs of a dataset repository into a folder, as they are there.

    Raises:
        LampbenchError: the hub cannot be reached, or has no such repository or revision.
    """
    from huggingface_hub import snapshot_download

    repository, revision = parse_repository(name)
    with _hub(name):
        snapshot_download(
            repository,
            repo_type="dataset",
            revision=revision,
            local_dir=folder,
            allow_patterns=list(_FILES),
            library_name="lampbench",
        )


@contextlib.contextmanager
def _hub(name: str) -> Iterator[None]:
    """Quietly, and with errors of the hub in one line."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    notices = logging.getLogger("huggingface_hub")
    level = notices.level
    notices.setLevel(logging.CRITICAL)
    try:
        yield
    except LampbenchError:
        raise
    except GatedRepoError as error:
        raise LampbenchError(f"{name}: access is restricted; ask its owner for it") from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise LampbenchError(
            f"{name}: the hub has no such dataset repository or revision, or you may not see it; "
            "check the name, and `hf auth login`"
        ) from error
    except HfHubHTTPError as error:
        raise LampbenchError(f"{name}: the hub refused: {_first_line(error)}") from error
    except Exception as error:
        if not _is_of_the_network(error):
            raise
        raise LampbenchError(
            f"{name}: the hub cannot be reached ({_first_line(error)}); check the network, "
            "HF_ENDPOINT and HF_HUB_OFFLINE"
        ) from error
    finally:
        notices.setLevel(level)


def _is_of_the_network(error: Exception) -> bool:
    """Whether an exception is of the hub's client or of what it sends requests with."""
    origin = type(error).__module__.partition(".")[0]
    return origin in ("huggingface_hub", "httpx", "httpx2", "requests", "urllib3", "httpcore")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
