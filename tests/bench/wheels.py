"""Which wheels the parts of `python -m tests.bench device` need, and what is missing here.

Nothing on such a machine can be fetched, so a wheel whose own needs are missing is as good as none: the table says them all.
Without an installed evenflow, the tree itself is made importable: links in a folder, and the metadata that `version` reads.
"""
import tomllib
from importlib.util import find_spec
from pathlib import Path

from tests.bench.tree import ROOT

NEEDS = {  # wheel -> what it needs beyond NumPy, as wheels; tests/bench/test_device.py holds it against the wheels themselves
    "autograd": (),
    "typer": ("annotated-doc", "annotated-types", "markdown-it-py", "mdurl", "pydantic", "pydantic-core", "pygments", "rich",
              "shellingham", "typing-extensions", "typing-inspection"),
    "rich": ("markdown-it-py", "mdurl", "pygments"),
    "threadpoolctl": (),
    "jsonschema": ("attrs", "jsonschema-specifications", "referencing", "rpds-py", "typing-extensions"),
    "pytest": ("iniconfig", "packaging", "pluggy", "pygments"),
    "pytest-xdist": ("execnet",),
    "hypothesis": ("sortedcontainers",),
    "mpmath": (),
    "scipy": (),
    "scikit-learn": ("joblib", "scipy", "threadpoolctl"),
    "matplotlib": ("contourpy", "cycler", "fonttools", "kiwisolver", "packaging", "pillow", "pyparsing", "python-dateutil"),
}
IMPORTED_AS = {
    "pytest-xdist": "xdist", "scikit-learn": "sklearn", "pillow": "PIL", "python-dateutil": "dateutil", "attrs": "attr",
    "rpds-py": "rpds", "markdown-it-py": "markdown_it", "fonttools": "fontTools",
}
LINKS = {  # below the folder `evenflow`: what pyproject.toml says of packages
    "reference": "reference", "accel": "accel", "conformance": "tests/conformance", "experiments": "docs/experiments",
    "__init__.py": "reference/face/__init__.py",
}
TESTS = ("autograd", "pytest", "pytest-xdist", "hypothesis", "mpmath", "typer", "rich", "threadpoolctl")
COMMANDS = ("autograd", "typer", "rich", "threadpoolctl")
CONFORM = (*COMMANDS, "jsonschema", "hypothesis")
PICTURES = (*COMMANDS, "matplotlib")


def there(wheel: str) -> bool:
    return find_spec(IMPORTED_AS.get(wheel, wheel.replace("-", "_"))) is not None


def missing(wheels: tuple[str, ...]) -> list[str]:
    """Of these and of all that they need, in the order of the table."""
    wanted = [name for wheel in wheels for name in (wheel, *NEEDS.get(wheel, ()))]
    return [wheel for wheel in dict.fromkeys(wanted) if not there(wheel)]


def importable(folder: Path) -> Path:
    """Make `import evenflow` find this tree through the folder, which goes on the path."""
    package = folder / "evenflow"
    package.mkdir(parents=True, exist_ok=True)
    for name, place in LINKS.items():
        (package / name).unlink(missing_ok=True)
        (package / name).symlink_to(ROOT / place)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    metadata = folder / f"evenflow-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(exist_ok=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: evenflow\nVersion: {version}\n")
    return folder
