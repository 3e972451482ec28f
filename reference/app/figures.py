"""The table of `evenflow evaluate`: a figure a line, its error, its unit, which way is better, what a Gaussian gets."""
import sys
from typing import Any, Literal, NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evenflow.reference.app.console import cell

WIDTH = 80  # where the output is no terminal


class Figure(NamedTuple):
    unit: str = ""
    better: str = ""            # higher, lower
    error: str | None = None    # the name of its standard error
    gaussian: str | None = None


FIGURES = {
    "held_out_log_likelihood": Figure("nats a row", "higher", "held_out_log_likelihood_se", "gaussian_log_likelihood"),
    "held_out_energy_score": Figure("model's units", "lower", "held_out_energy_score_se", "gaussian_energy_score"),
    "d_loss": Figure("nats to 0.69", "higher", "d_loss_se"), "frechet": Figure("squared", "lower"),
    "sampling_ms_per_1000": Figure("ms / 1000", "lower"), "inversion_ms_per_1000": Figure("ms / 1000", "lower"),
    "round_trip_error": Figure("model's units", "lower"),
    "log_z": Figure("nats", error="log_z_standard_error"), "log_z_ess": Figure("draws", "higher"),
    "log_z_draws": Figure("draws"), "log_z_bridge": Figure("nats"), "log_z_grid": Figure("nats"),
    "moment_gap": Figure("sd of the data", "lower", "moment_gap_error"),
    "acceptance_local": Figure("share"), "acceptance_global": Figure("share", "higher"),
    "rhat": Figure("at least 1", "lower"), "rhat_mode": Figure("at least 1", "lower"), "ess": Figure("states", "higher"),
    "autocorrelation_time": Figure("sweeps", "lower"), "switch_rate": Figure("a sweep", "higher"),
    "crps": Figure("units of y", "lower", "crps_se"), "energy_score": Figure("model's units", "lower", "energy_score_se"),
    **dict.fromkeys(("coverage_50", "coverage_90", "coverage_95"), Figure("share")),
    **dict.fromkeys(("width_50", "width_90", "width_95"), Figure("units of y", "lower")),
    "pit": Figure("shares of bins"),
    **dict.fromkeys(("zones_true", "zones_held_out", "zones_sampled", "zones_grid"), Figure("share")),
}
TITLES = {
    "crps": "CRPS", "pit": "PIT", "d_loss": "D-loss", "frechet": "Frechet distance", "rhat": "R-hat", "log_z": "log Z",
    "rhat_mode": "R-hat of modes", "sampling_ms_per_1000": "sampling", "inversion_ms_per_1000": "inversion",
}


def print_figures(title: str, row: dict[str, Any], reasons: dict[str, str]) -> None:
    """Those that are there, a line each; below, why the others are not."""
    title += f"; {row['held_out_rows']} rows judged"
    table = Table(title=escape(title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, show_edge=False)
    for head in ("", "value", "unit", "better", "Gaussian"):
        side: Literal["left", "right"] = "right" if head in ("value", "Gaussian") else "left"
        table.add_column(head, justify=side, overflow="fold", no_wrap=head != "value")
    for name, figure in FIGURES.items():
        if name in row:
            error = row.get(figure.error or "")
            value = cell(row[name]) + (f" ± {cell(error)}" if error is not None else "")
            beside = row.get(figure.gaussian or "")
            gaussian = "" if figure.gaussian is None else cell(beside)
            table.add_row(title_of(name), value, figure.unit, figure.better, gaussian)
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    console.print(table)
    for reason in dict.fromkeys(reasons.values()):
        names = [title_of(name) for name in reasons if reasons[name] == reason]
        console.print(f"- {', '.join(names)}: {reason}", markup=False)


def title_of(name: str) -> str:
    return TITLES.get(name, name.replace("_", " "))
