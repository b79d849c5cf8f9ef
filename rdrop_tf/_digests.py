"""Files that were downloaded are those that were meant: their SHA-256 tells."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 as `sha256sum` prints it."""
    return _SHA256.fullmatch(text) is not None


def file_sha256(file: Path) -> str:
    """Returns the SHA-256 of a file's bytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def list_sha256(folder: Path, parts: Iterable[str]) -> str:
    """Returns one SHA-256 for the files of a folder that lie in some of its parts.

    It is that of the list of their own, by path, as a shell makes it in the folder:
    `find PARTS -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`.

    Args:
        folder: The folder.
        parts: Names of files and folders in it; those that are missing do not count.
    """
    files = {
        file.relative_to(folder).as_posix(): file
        for part in parts
        for file in [folder / part, *(folder / part).rglob("*")]
        if file.is_file()
    }
    lines = (f"{file_sha256(files[name])}  {name}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_is_sha256(text: str | None) -> None:
    """Raises unless a text is a SHA-256, or none was given.

    Raises:
        ValueError: If it is something else.
    """
    if text is not None and not is_sha256(text.lower()):
        raise ValueError(
            f"A SHA-256 must be 64 hexadecimal digits, as `sha256sum` prints it. Received: {text!r}"
        )


def check_sha256(what: str, found: str, wanted: str) -> None:
    """Raises unless bytes are those that were meant.

    Args:
        what: What they are, for the message.
        found: Their SHA-256.
        wanted: The one they must have.

    Raises:
        ValueError: If they are others, or what they must have is no SHA-256.
    """
    check_is_sha256(wanted)
    if found != wanted.lower():
        raise ValueError(
            f"{what} must have the SHA-256 that was given, or it is not what was meant; got "
            f"{found}, and {wanted} was given: download it again from where it should come from, "
            "and do not use this one before you know why it differs"
        )
