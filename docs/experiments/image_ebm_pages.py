from typing import Any
def page(results: list[Any]) -> str:
    return ""
