"""Images and series as a user of the command meets them: read, trained on, drawn, sampled and judged in their own shape."""
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner, Result

from evenflow.reference.app import commands, pictures, shaped_pictures
from evenflow.reference.core import Array
from evenflow.reference.work import evaluation
from evenflow.reference.work.shapes import Shape
from tests.command_line import refused

SMALL = ["--steps", "4", "--batch", "16", "--hidden", "8", "--context-hidden", "8", "--context-width", "4"]
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(256, size=(60, 4, 6, 3)).astype(np.uint8)
SERIES = RNG.standard_normal((60, 8, 2)).cumsum(axis=1)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are written, and written they are."""
    figures, write = [], pictures.write

    def keep(figure: Any, path: pictures.PathLike) -> None:
        figures.append(figure)
        write(figure, path)

    monkeypatch.setattr(pictures, "write", keep)
    monkeypatch.setattr(shaped_pictures, "write", keep)
    return figures


def evenflow(*arguments: str) -> Result:
    return CliRunner().invoke(commands.app, list(arguments))


def strips(figure: Any) -> list[Array]:
    return [np.ma.filled(axes.images[0].get_array(), np.nan) for axes in figure.axes]


def test_images_all_the_way(drawn: list[Any]) -> None:
    np.savez("a.npz", x=COLOURS, y=np.arange(60) % 3)
    train = ("train", "saef", "--data", "a.npz", "--levels", "256", "--patch", "2", "--class-conditional", "--out", "a", *SMALL)
    done = evenflow(*train)
    assert done.exit_code == 0, done.output
    assert "a.npz: 60 images of 4 x 6, 3 channels, with labels\n" in done.stderr
    assert "column" not in done.stderr
    assert {"blocks": 6, "patch": 2}.items() <= json.loads(Path("a/config.json").read_text())["config"].items()
    data, samples = strips(drawn[-1])  # drawn last: samples.png
    assert data.shape == (5 * 5, 10 * 7, 3)  # 48 to train on, five lines of ten
    assert samples.shape == (6 * 5, 10 * 7, 3)
    images = {(image / 255).tobytes() for image in COLOURS}
    assert data[5:9, 7:13].tobytes() in images  # the second of the second line, the right way up
    assert (data[4] == 1).all()
    assert evenflow("sample", "a", "--n", "7", "--label", "2", "--out", "x.npy").exit_code == 0
    x = np.load("x.npy")
    assert x.shape == (7, 4, 6, 3)
    assert ((x == np.floor(x)) & (x >= 0) & (x <= 255)).all()
    assert evenflow("sample", "a", "--n", "3", "--out", "x.npz").exit_code == 0
    assert np.load("x.npz")["x"].shape == (3, 4, 6, 3)
    assert evenflow("sample", "a", "--n", "12", "--out", "x.png").exit_code == 0
    assert imread("x.png").ndim == 3
    refused(evenflow("sample", "a", "--n", "1001", "--out", "y.png"), "a picture shows 1,000 samples at most, got --n 1001")
    again = evenflow(*train[:4], "--out", "a", "--resume")
    assert again.exit_code == 0, again.output
    np.savez("b.npz", x=COLOURS[:30], y=np.arange(30) % 3)
    judged = evenflow("evaluate", "a", "--data", "b.npz", "--json")
    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.stdout)["held_out_rows"] == 30
    scored = evenflow("score", "a", "--data", "b.npz")
    assert len(scored.stdout.splitlines()) == 31


def test_series_all_the_way(drawn: list[Any]) -> None:
    np.save("a.npy", SERIES)
    done = evenflow("train", "saef", "--data", "a.npy", "--series", "--patch", "4", "--out", "a", *SMALL)
    assert done.exit_code == 0, done.output
    assert "a.npy: 60 series of 8 times, 2 channels\n" in done.stderr
    first, second = drawn[-1].axes
    assert (first.get_ylabel(), second.get_ylabel(), second.get_xlabel()) == ("channel 0", "channel 1", "time")
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["data", "samples"]
    lines = np.array([line.get_ydata() for line in second.lines])
    assert lines.shape == (60, 8)  # thirty real ones, thirty samples
    assert {line.tobytes() for line in lines[:30]} <= {series.tobytes() for series in SERIES[:, :, 1].copy()}
    assert evenflow("sample", "a", "--n", "5", "--out", "x.npy").exit_code == 0
    assert np.load("x.npy").shape == (5, 8, 2)
    assert evenflow("sample", "a", "--n", "5", "--out", "x.png").exit_code == 0


@pytest.mark.parametrize(("more", "said"), [
    ([], "of 24 numbers are the same in all 48 images of 4 x 6: real numbers must vary; pixels, whole numbers 0 ... 255, need"),
    (["--levels", "256", "--patch", "3"], "patch must divide h and w = 4 x 6, got 3"),
    (["--levels", "256", "--patch", "2", "--blocks", "4"], "blocks and patch must agree: patch 2 makes 6, got 4"),
    (["--levels", "256", "--drop", "1"], "drop mean nothing for a.npy: it holds images of 4 x 6, and no columns"),
    (["--levels", "256", "--series"], "patch must divide"),
])
def test_what_does_not_fit_is_one_line(more: list[str], said: str) -> None:
    np.save("a.npy", COLOURS[..., 0] * (np.arange(6) > 0))
    if "--series" in more:
        more = [*more, "--patch", "3"]
    refused(evenflow("train", "saef", "--data", "a.npy", "--out", "a", *SMALL, *more), said)


def test_an_unknown_folder_is_one_line() -> None:
    Path("empty").mkdir()
    refused(evenflow("train", "saef", "--data", "empty"), "empty is a folder, and must hold MNIST's idx files")


@pytest.mark.parametrize("axes", [(4, 6), (4, 6, 1), (4, 6, 2), (4, 6, 4)])
def test_grey_colours_and_other_channels(axes: tuple[int, ...], drawn: list[Any], tmp_path: Path) -> None:
    shape = Shape(axes)
    x = np.random.default_rng(0).standard_normal((12, shape.d))
    shaped_pictures.image_grid(tmp_path / "a.png", {"data": x, "samples": 9 * x[:3]}, shape)
    data, samples = strips(drawn[0])
    assert data.shape == (2 * 5, 10 * 7, 4)[: 3 if axes == (4, 6, 4) else 2]
    assert (data.min(), data.max(), samples.min(), samples.max()) == (0, 1, 0, 1)
    shown = x.reshape(12, 4, 6, -1)[..., : 4 if axes == (4, 6, 4) else 1].squeeze()
    np.testing.assert_allclose(data[5:9, 7:13], ((shown - shown.min()) / np.ptp(shown))[11])
    assert drawn[0].axes[0].images[0].get_cmap().name == "gray"  # 0 is black


def test_no_more_than_four_channels_are_drawn(drawn: list[Any], tmp_path: Path) -> None:
    shaped_pictures.series_picture(tmp_path / "a.png", {"samples": RNG.standard_normal((40, 30))}, Shape((5, 6), series=True))
    assert len(drawn[0].axes) == 4
    assert len(drawn[0].axes[0].lines) == 30
    with pytest.raises(ValueError, match=r"samples must have shape \(n, 30\)"):
        shaped_pictures.series_picture(tmp_path / "a.png", {"samples": np.ones((4, 29))}, Shape((5, 6), series=True))
    with pytest.raises(ValueError, match=r"rows\['data'\] must have shape \(k, 30\)"):
        shaped_pictures.image_grid(tmp_path / "a.png", {"data": np.ones((4, 29))}, Shape((5, 6)))


# -- convolutions ---------------------------------------------------------------------------------------------------------

GLOW = ["glow", "--layers", "1", "--scales", "1", *SMALL[:6]]
CONV = ["saef", "--contexts", "conv", "--patch", "2", *SMALL]


@pytest.mark.parametrize("which", [GLOW, CONV], ids=["glow", "saef"])
def test_convolutions_all_the_way(which: list[str], drawn: list[Any]) -> None:
    np.save("a.npy", COLOURS)
    train = ("train", *which, "--data", "a.npy", "--levels", "256", "--out", "a")
    done = evenflow(*train)
    assert done.exit_code == 0, done.output
    assert "a.npy: 60 images of 4 x 6, 3 channels\n" in done.stderr
    data, samples = strips(drawn[-1])
    assert data.shape == (5 * 5, 10 * 7, 3)
    assert samples.shape == (6 * 5, 10 * 7, 3)
    assert evenflow("sample", "a", "--n", "7", "--out", "x.npy").exit_code == 0
    x = np.load("x.npy")
    assert x.shape == (7, 4, 6, 3)
    assert ((x == np.floor(x)) & (x >= 0) & (x <= 255)).all()
    assert evenflow("sample", "a", "--n", "12", "--out", "x.png").exit_code == 0
    again = evenflow(*train, "--resume")
    assert again.exit_code == 0, again.output
    judged = evenflow("evaluate", "a", "--json")
    assert judged.exit_code == 0, judged.output
    assert np.isfinite(json.loads(judged.stdout)["held_out_log_likelihood"])
    assert len(evenflow("score", "a", "--data", "a.npy").stdout.splitlines()) == 61


@pytest.mark.parametrize("which", [[*GLOW, "--class-conditional"], CONV], ids=["glow", "saef"])
def test_digits_go_through_convolutions(which: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """8 x 8 grey images, which the package has itself."""
    monkeypatch.setattr(evaluation, "DRAWS", 3)
    monkeypatch.setattr(evaluation, "SHARED", 50)
    done = evenflow("train", *which, "--data", "digits", "--out", "d")
    assert done.exit_code == 0, done.output
    assert evenflow("sample", "d", "--n", "3", "--out", "x.npy").exit_code == 0
    assert np.load("x.npy").shape == (3, 8, 8)
    assert evenflow("evaluate", "d", "--json").exit_code == 0


@pytest.mark.parametrize(("which", "more", "said"), [
    (GLOW, ["--data", "rings"], "glow is for images, (n, h, w) or (n, h, w, c), got a table"),
    (CONV[:3], ["--data", "rings"], "contexts conv is for images, (n, h, w) or (n, h, w, c), got a table"),
    (GLOW, ["--data", "t.csv", "--target", "b"], "glow is for images, (n, h, w) or (n, h, w, c), got a table"),
    (GLOW, ["--data", "a.npy", "--scales", "2"], "scales must be few enough to halve h and w of (4, 6, 3) so often, got 2"),
    (GLOW, ["--data", "a.npy", "--hidden", "8,9"], "hidden must be one width, once for each residual block, got (8, 9)"),
    (CONV, ["--data", "a.npy", "--context-hidden", "8,9"], "context_hidden must be one width, once for each residual block"),
    (GLOW, ["--data", "a.npy", "--contexts", "conv"], "contexts means nothing for glow, only for saef"),
])
def test_what_convolutions_are_not_for_is_one_line(which: list[str], more: list[str], said: str) -> None:
    np.save("a.npy", COLOURS)
    rows = RNG.standard_normal((40, 2)).tolist()
    Path("t.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in rows))
    refused(evenflow("train", *which, "--out", "a", *(["--levels", "256"] if "a.npy" in more else []), *more), said)


def test_help_says_what_glow_and_conv_are() -> None:
    said = " ".join(evenflow("train", "--help").stdout.replace("│", " ").split())
    for part in (
        "Of a block's context: dense, or conv, masked convolutions over an image's squares.",
        "How often glow halves the edges of an image. Only glow.", "256,256; conv: 64,64",
    ):
        assert part in said
