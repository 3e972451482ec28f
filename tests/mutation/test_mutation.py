"""The mutants are those that are meant, and a planted one is what the tests meet."""
from pathlib import Path
from types import FunctionType

import pytest

pytest.importorskip("cosmic_ray", reason="cosmic-ray is not installed")
pytest.importorskip("coverage", reason="coverage is not installed")

from tests.mutation.mutants import candidates, mutated, sample
from tests.mutation.scope import meeting, runs_in_a_function, stages
from tests.mutation.swap import swap

SOURCE = '''
EPS = 1e-6


def scaled(x: float | None, by: int = 2) -> float | None:
    """x times by."""
    if x is None:
        return None
    return x * by
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "reference" / "saef").mkdir(parents=True)
    (tmp_path / "reference" / "saef" / "semiautoregressive.py").write_text(SOURCE)
    return tmp_path


def test_a_sample_is_seeded_and_a_larger_one_holds_it(tree: Path) -> None:
    assert sample(tree, 5, 0) == sample(tree, 9, 0)[:5] != sample(tree, 5, 1)
    everything = sample(tree, 1000, 0)
    assert len({(mutant.line, mutant.after) for mutant in everything}) == len(everything)


def test_annotations_are_no_mutants_and_no_operator_becomes_a_bit_operator(tree: Path) -> None:
    assert {candidate.line for candidate in candidates(tree)} == {2, 5, 7, 9}
    after = {mutant.after for mutant in sample(tree, 1000, 0)}
    assert {"return x + by", "if x is not None:", "EPS = 1.000001"} <= after
    assert all(line.count("float | None") == 2 for line in after if line.startswith("def"))
    assert not any(sign in line for line in after for sign in ("x << by", "x | by", "x ^ by"))


def test_a_swapped_function_is_the_mutant_and_what_ran_at_import_cannot_be_swapped() -> None:
    names: dict[str, FunctionType] = {}
    exec(compile(SOURCE, "saef.py", "exec"), names)
    scaled = names["scaled"]
    assert swap([scaled], SOURCE, mutated(SOURCE, "core/ReplaceBinaryOperator_Mul_Add", 0))
    assert scaled(3.0) == 5.0
    assert not swap([scaled], SOURCE, SOURCE.replace("1e-6", "1e-5"))


def test_a_mutant_meets_the_tests_of_its_line_and_at_import_those_of_its_module() -> None:
    touched = {test: {"seconds": seconds, "lines": {"saef.py": lines}}
               for test, seconds, lines in (("none", 0.1, [7, 8]), ("slow", 3.0, [7, 9]), ("quick", 0.2, [7, 9]))}
    assert [runs_in_a_function(SOURCE, line) for line in (2, 5, 9)] == [False, False, True]
    assert list(meeting("saef.py", SOURCE, 9, touched)) == ["quick", "slow"]
    assert list(meeting("saef.py", SOURCE, 2, touched)) == ["none", "quick", "slow"]
    assert meeting("aqf.py", SOURCE, 9, touched) == {}
    tests = {"tests/reference/a": 1.0, "tests/reference/b": 9.0, "tests/agreement/c": 1.0}
    assert stages(tests, ["tests/reference/b"], 8.0) == [{}, {"tests/reference/a": 1.0}, {"tests/agreement/c": 1.0}]
