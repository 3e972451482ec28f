"""What a refused command looks like."""
from typer.testing import Result


def refused(result: Result, said: str) -> None:
    """Status 1, nothing on standard output, and, but for a training's own lines, one line on standard error."""
    lines = [line for line in result.stderr.splitlines() if line.strip() and ": step " not in line]
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert said in lines[0]
