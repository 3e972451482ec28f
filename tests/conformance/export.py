"""The vectors for other languages: a folder with all that they need."""
import shutil
from pathlib import Path

from evenflow.conformance.suites import FOLDER

BESIDE = ("schema.json", "results.schema.json", "README.md")


def exported(folder: Path) -> int:
    """Write vectors/, the schemas and the README into a folder; how many operations there are.

    Raises ValueError where the folder holds anything already, OSError where it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"DIR must be empty or not exist yet, got {folder}")
    (folder / "vectors").mkdir(parents=True, exist_ok=True)
    for name in BESIDE:
        shutil.copyfile(FOLDER.parent / name, folder / name)
    found = sorted(FOLDER.glob("*.json"))
    for path in found:
        shutil.copyfile(path, folder / "vectors" / path.name)
    return len(found)
