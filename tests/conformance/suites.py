"""Test vectors: what each operation must answer. One file an operation, vectors/<operation>.json, as schema.json says.

Every number that goes in is exactly a float32, so that an implementation in either dtype gets the same numbers. Nothing is
drawn inside an operation: noise, uniform numbers and indices are inputs, and a sampler is checked step by step.
"""
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from evenflow.conformance.arrays import DTYPES, Arrays, decode, encode

FOLDER = Path(str(files("evenflow.conformance"))) / "vectors"
Tolerances = Mapping[str, Mapping[str, Mapping[str, float]]]  # dtype -> "outputs" or "grads" -> name -> absolute error


class MalformedError(ValueError):
    """A file that does not hold what its schema says."""


@dataclass(frozen=True)
class Case:
    id: str
    flags: tuple[str, ...]
    oracle: str
    inputs: Arrays
    outputs: Arrays
    tolerance: Tolerances
    cotangents: Arrays = field(default_factory=dict)
    grads: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    operation: str
    summary: str
    source: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    log_dets: tuple[str, ...]
    notes: Mapping[str, str]
    cases: tuple[Case, ...]


def read(path: Path) -> Suite:
    """The vectors of one file. Raises MalformedError, OSError where it cannot be read."""
    document = load_json(path)
    validate(document, "schema.json", path)
    try:
        suite = Suite(
            document["operation"], document["summary"], document["source"], document["inputs"], document["outputs"],
            tuple(document["log_dets"]), document["notes"], tuple(map(case_of, document["cases"])),
        )
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"{path.name}: {error}") from None
    for case in suite.cases:
        check_case(case, f"{path.name}: case {case.id!r}")
        if unexplained := set(case.flags) - set(suite.notes):
            raise MalformedError(f"{path.name}: case {case.id!r} has flags without a note: {sorted(unexplained)}")
    if path.stem != suite.operation:
        raise MalformedError(f"{path.name}: the operation must have the file's name, got {suite.operation!r}")
    if len({case.id for case in suite.cases}) < len(suite.cases):
        raise MalformedError(f"{path.name}: two cases share an id")
    return suite


def case_of(document: Mapping[str, Any]) -> Case:
    vjp = document.get("vjp", {"cotangents": {}, "grads": {}})
    inputs, outputs, cotangents, grads = (
        {name: decode(array) for name, array in arrays.items()}
        for arrays in (document["inputs"], document["outputs"], vjp["cotangents"], vjp["grads"])
    )
    return Case(
        document["id"], tuple(document["flags"]), document["oracle"], inputs, outputs, document["tolerance"], cotangents, grads
    )


def check_case(case: Case, where: str) -> None:
    """What a schema cannot say: which arrays belong together."""
    for what, arrays, models in (("cotangent", case.cotangents, case.outputs), ("gradient", case.grads, case.inputs)):
        for name, array in arrays.items():
            if name not in models or models[name].shape != array.shape:
                raise MalformedError(f"{where}: the {what} {name!r} fits no array of its shape")
    for dtype in DTYPES:
        for kind, arrays in (("outputs", case.outputs), ("grads", case.grads)):
            if set(case.tolerance[dtype][kind]) != set(arrays):
                raise MalformedError(f"{where}: the tolerances for {dtype} must be for {sorted(arrays)}")


def document(suite: Suite) -> dict[str, Any]:
    """A suite as it stands in JSON."""
    return {
        "schema": "vectors/1", "operation": suite.operation, "summary": suite.summary, "source": suite.source,
        "inputs": dict(suite.inputs), "outputs": dict(suite.outputs), "log_dets": list(suite.log_dets),
        "notes": dict(suite.notes), "cases": [case_document(case) for case in suite.cases],
    }


def case_document(case: Case) -> dict[str, Any]:
    inputs, outputs, cotangents, grads = (
        {name: encode(array) for name, array in arrays.items()}
        for arrays in (case.inputs, case.outputs, case.cotangents, case.grads)
    )
    vjp = {"vjp": {"cotangents": cotangents, "grads": grads}} if grads else {}
    return {
        "id": case.id, "flags": list(case.flags), "oracle": case.oracle, "inputs": inputs, "outputs": outputs, **vjp,
        "tolerance": {dtype: {k: dict(v) for k, v in case.tolerance[dtype].items()} for dtype in DTYPES},
    }


def write(suite: Suite, folder: Path) -> Path:
    """One case a line, so that a change shows which case it is in."""
    whole = document(suite)
    cases = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in whole.pop("cases"))
    head = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)[:-2]
    path = folder / f"{suite.operation}.json"
    path.write_text(f'{head},\n "cases": [\n{cases}\n]}}\n', encoding="utf-8")
    return path


def load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{path.name} is no JSON: {error}") from None


def validate(document: Any, schema: str, path: Path) -> None:
    """Raise MalformedError unless a document is what the schema of that name says."""
    from jsonschema.exceptions import best_match
    error = best_match(validator(schema).iter_errors(document))
    if error is not None:
        raise MalformedError(f"{path.name}: at {error.json_path}: {error.message[:200]}")


@cache
def validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator  # of the extra `conform`
    return Draft202012Validator(cast(Any, json.loads((FOLDER.parent / schema).read_text(encoding="utf-8"))))
