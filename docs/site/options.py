"""The options of a training as Markdown: the table of work/options.py, panel by panel."""
from evenflow.reference.work.options import ALL, OPTIONS, Option, belongs_to


def options() -> str:
    panels = dict.fromkeys(option.panel for option in OPTIONS)
    return "\n\n".join(f"## {panel}\n\n{table([option for option in OPTIONS if option.panel == panel])}" for panel in panels)


def table(group: list[Option]) -> str:
    rows = [f"| `{option.name}` | {option.help} | {default(option)} | {whom(option)} |" for option in group]
    return "\n".join(["| name | what it is | default | for |", "| --- | --- | --- | --- |", *rows])


def default(option: Option) -> str:
    """In words where it is worked out or differs, else the value.

    >>> default(next(option for option in OPTIONS if option.name == "block_map"))
    '`coupling`'
    """
    value = next(iter(option.defaults.values()))
    return option.shown or (f"`{','.join(map(str, value)) if isinstance(value, tuple) else value}`")


def whom(option: Option) -> str:
    return "all" if set(option.defaults) == set(ALL) else ", ".join(belongs_to(option))
