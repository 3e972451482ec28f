"""What a result was made from: the commit where git knows it, and always a fingerprint of the files that count."""
import hashlib
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
COUNT = ("reference", "accel", "tests", "docs/experiments")  # folders
SUFFIXES = {".py", ".cu", ".cuh", ".hpp", ".json"}


def made_from() -> dict[str, str]:
    """{"commit", "tree"}: a copy without git has the same tree, a changed file another."""
    return {"commit": commit(), "tree": fingerprint(ROOT)}


def commit() -> str:
    """The short hash, with "-dirty" behind it where files differ; "unknown" in a copy without git."""
    try:
        found = subprocess.run(["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=7"], cwd=ROOT, text=True,
                               capture_output=True)
    except OSError:
        return "unknown"
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def fingerprint(root: Path) -> str:
    """SHA-256 over names and contents, 16 digits of it."""
    total = hashlib.sha256()
    for folder in COUNT:
        for path in sorted(files(root / folder)):
            total.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def files(folder: Path) -> list[Path]:
    """Followed by os.walk, which does not enter links to folders."""
    return [
        Path(where, name) for where, _, names in os.walk(folder) for name in names
        if Path(name).suffix in SUFFIXES and "__pycache__" not in where
    ]
