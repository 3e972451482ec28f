"""trees.py: maps over trees."""
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from hypothesis import given, settings

from evenflow.reference.core import trees
from tests.trees import TREES, example


def test_tree_map_visits_every_leaf_once_and_keeps_the_nesting() -> None:
    tree: Any = {"a": [np.array(1.0), {"b": np.array([2.0, 3.0])}], "c": {}, "d": []}
    doubled = trees.tree_map(lambda leaf: 2 * leaf, tree)
    assert list(doubled) == ["a", "c", "d"]
    assert doubled["c"] == {}
    assert doubled["d"] == []
    assert doubled["a"][0] == 2
    assert doubled["a"][1]["b"].tolist() == [4, 6]
    assert tree["a"][1]["b"].tolist() == [2, 3]


def test_tree_map_pairs_leaves_by_key_not_by_order() -> None:
    joined = trees.tree_map(lambda a, b, c: a + 10 * b + 100 * c, {"x": 1, "y": 2}, {"y": 4, "x": 3}, {"x": 5, "y": 6})
    assert joined == {"x": 531, "y": 642}


@pytest.mark.parametrize(("a", "b", "said"), [
    ({"a": 1}, {"b": 1}, "keys"), ({"a": 1}, {"a": 1, "b": 2}, "keys"), ({"a": 1}, [1], "a list of 1"),
    ([1, 2], [1], "a list of 2"), ([1], {"a": 1}, "keys"), (1, [1], "a leaf against"), (1, {}, "a leaf against"),
    ([1], 1, "a leaf"), ({"a": [1, {"b": 2}]}, {"a": [1, {"c": 2}]}, "'b'"), ({1: 0, "a": 0}, {}, "keys"),
])
def test_tree_map_refuses_different_shapes_in_either_order(a: Any, b: Any, said: str) -> None:
    with pytest.raises(ValueError, match="trees differ") as error:
        trees.tree_map(lambda x, y: x, a, b)
    assert said in str(error.value)
    with pytest.raises(ValueError, match="trees differ"):
        trees.tree_map(lambda x, y: x, b, a)
    with pytest.raises(ValueError, match="trees differ"):
        trees.tree_map(lambda x, y, z: x, a, a, b)


@given(TREES)
@settings(max_examples=25)
def test_leaves_come_in_the_order_of_tree_map_with_their_paths(tree: Any) -> None:
    visited: list[Any] = []
    trees.tree_map(visited.append, tree)
    found = list(trees.leaves(tree))
    assert len(found) == len(visited)
    assert all(a is b for a, b in zip(found, visited, strict=True))
    assert [leaf is found[i] for i, (_, leaf) in enumerate(trees.named_leaves(tree))] == [True] * len(found)
    assert trees.size(tree) == sum(leaf.size for leaf in visited)


def test_paths_of_leaves() -> None:
    assert [path for path, _ in trees.named_leaves(example())] == ["layers/0/W", "n/s"]
    assert [path for path, _ in trees.named_leaves(np.zeros(3))] == [""]
    assert [path for path, _ in trees.named_leaves({"": [np.zeros(3)]})] == ["0"]


def test_tree_map_is_differentiable() -> None:
    def f(tree: Any) -> Any:
        return sum(anp.sum(leaf**2) for leaf in trees.leaves(trees.tree_map(lambda leaf: 3 * leaf, tree)))

    gradient = grad(f)({"a": [np.array([1.0, 2.0])], "b": np.array(3.0)})
    assert gradient["a"][0].tolist() == [18, 36]
    assert gradient["b"] == 54
