"""evenflow.sample: what comes back is what was asked for, in the user's units; restarts; files; what is refused, warned of."""
import json
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest

import evenflow
from evenflow.reference.core import Array
from evenflow.reference.targets import eight_gaussians
from evenflow.reference.work import adaptive
from evenflow.reference.work.files import CorruptFileError
from evenflow.reference.work.samples import Samples, UnmixedWarning, written
from tests.agreement.backends import COMPILED, backend

LOG_2PI = float(np.log(2 * np.pi))


@pytest.fixture(autouse=True)
def _short(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no statistics are meant, the flow is trained for a moment."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(adaptive, "FLOW_STEPS", 10)


def starts(chains: int = 20, d: int = 2, seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal((chains, d))


def normal(x: Array) -> Array:
    """N(1, diag(1, 4)), not normalised."""
    return -((x[:, 0] - 1) ** 2) / 2 - (x[:, 1] - 1) ** 2 / 8


def quick(log_density: Callable[[Array], Array] = normal, x0: Any = None, n: int = 400, **more: Any) -> Samples:
    """A few rounds; that they are few may be warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmixedWarning)
        return evenflow.sample(log_density, starts() if x0 is None else x0, n, **{"rounds": 2, **more})


once = cache(quick)


def same(a: Samples, b: Samples) -> bool:
    return np.array_equal(a.chains, b.chains) and np.array_equal(a.log_p, b.log_p) and a.evidence == b.evidence


def test_what_comes_back() -> None:
    samples = quick(n=390)
    assert (samples.x.shape, samples.log_density.shape, samples.chains.shape) == ((390, 2), (390,), (20, 20, 2))
    assert (samples.ess.shape, samples.rhat.shape) == ((2,), (2,))
    assert samples.x.dtype == np.float64
    assert np.array_equal(samples.x, samples.chains.reshape(-1, 2)[-390:])
    np.testing.assert_allclose(samples.log_density, normal(samples.x), rtol=0, atol=1e-9)
    assert 0 < samples.acceptance_local < 1
    assert 0 < samples.acceptance_global < 1


def test_equal_seeds_give_equal_draws_and_others_others() -> None:
    assert same(once(), quick())
    assert not same(once(), quick(seed=1))


@pytest.mark.parametrize("gradient", [None, "autograd", "given"])
def test_the_calls_are_counted(gradient: Any) -> None:
    asked, of_gradient = [], []

    def density(x: Array) -> Array:
        asked.append(len(x))
        return normal(x)

    def score(x: Array) -> Array:
        of_gradient.append(len(x))
        return -(x - 1) / np.array([1.0, 4.0])

    samples = quick(density, gradient=score if gradient == "given" else gradient)
    assert samples.calls == sum(asked)
    if gradient == "given":
        assert samples.gradient_calls == sum(of_gradient)
    assert (samples.gradient_calls > 0) == (gradient is not None)


def test_a_gradient_of_the_users_is_that_of_autograd() -> None:
    given = quick(gradient=lambda x: -(x - 1) / np.array([1.0, 4.0]))
    traced = quick(gradient="autograd")
    np.testing.assert_allclose(given.chains, traced.chains, rtol=0, atol=1e-6)
    assert given.local == "MALA"


LOW, HIGH = np.array([0.0, -1.0, -np.inf]), np.array([np.inf, 2.0, np.inf])
MASS = 1 / 3.0 * 3 * (2 * np.pi) ** 0.5  # of bounded()


def bounded(x: Array) -> Array:
    """Exponential of rate 3, uniform on (-1, 2), normal."""
    return -3 * x[:, 0] - x[:, 2] ** 2 / 2


@pytest.mark.parametrize("gradient", [None, "autograd"])
def test_bounds(gradient: Any) -> None:
    """The density is never asked outside; draws and log Z are in the user's units."""
    def density(x: Array) -> Array:
        plain = np.asarray(getattr(x, "_value", x))
        assert ((plain > LOW) & (plain < HIGH)).all()
        return bounded(x)

    x0 = np.array([1.0, 0.5, 0.0]) + 0.3 * starts(d=3, chains=40) * np.array([0.3, 1, 1])
    samples = quick(density, x0, n=2000, bounds=list(zip(LOW, HIGH, strict=True)), rounds=6, gradient=gradient)
    np.testing.assert_allclose(samples.log_density, bounded(samples.x), rtol=0, atol=1e-9)
    assert samples.log_z == pytest.approx(np.log(MASS), abs=0.06)                # errors here of 0.01: six of them
    error = np.array([1 / 3, 0.75**0.5, 1.0]) / np.sqrt(samples.ess)
    assert (np.abs(samples.x.mean(axis=0) - [1 / 3, 0.5, 0.0]) < 5 * error).all()  # 2e-6 for three of them


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_any_scale(scale: float) -> None:
    sd = np.array([scale, 1.0])
    samples = quick(lambda x: -np.sum((x / sd) ** 2, axis=1) / 2, starts(40), n=2000, rounds=6)
    assert samples.log_z == pytest.approx(LOG_2PI + np.log(scale), abs=0.06)
    assert samples.x.std(axis=0) / sd == pytest.approx([1.0, 1.0], abs=0.15)
    assert samples.rhat.max() < 1.1


def test_it_goes_on_from_samples_and_from_a_file_alike(tmp_path: Path) -> None:
    first = once()
    first.save(tmp_path / "a.npz")
    on = quick(x0=first, rounds=None, seed=3)
    assert same(on, quick(x0=tmp_path / "a.npz", rounds=None, seed=3))
    assert same(on, quick(x0=str(tmp_path / "a.npz"), rounds=None, seed=3))
    assert (on.step_size, on.flow) == (first.step_size, first.flow)                 # frozen
    assert all(np.array_equal(first.white[name], on.white[name]) for name in "Wb")
    assert np.abs(on.chains[0] - first.chains[-1]).max(axis=1).min() < 3            # the same chains: some have moved little
    more = quick(x0=first, rounds=1, seed=3)
    assert more.step_size != first.step_size
    assert same(more, quick(x0=tmp_path / "a.npz", rounds=1, seed=3))


def test_the_first_state_after_a_restart_is_one_sweep_from_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    first, seen, walk = once(), [], adaptive.swept

    def watched(density: Any, machine: Any, t: Array, *rest: Any) -> Any:
        seen.append(t)
        return walk(density, machine, t, *rest)

    monkeypatch.setattr(adaptive, "swept", watched)
    quick(x0=first, rounds=None)
    assert np.array_equal(seen[0], first.chains[-1])


def test_frozen_nothing_follows_the_acceptance(monkeypatch: pytest.MonkeyPatch) -> None:
    first = once()

    def refused(*args: Any) -> None:
        raise AssertionError("the step was adapted")

    monkeypatch.setattr(adaptive, "retuned", refused)
    quick(x0=first, rounds=None)


def test_a_file_gives_all_of_it_back(tmp_path: Path) -> None:
    samples = quick(bounds=[(-50.0, 60.0), (-50.0, np.inf)])
    samples.save(tmp_path / "a.npz")
    again = Samples.load(tmp_path / "a.npz")
    assert same(samples, again)
    assert again.flow == samples.flow
    assert repr(again) == repr(samples)
    assert [bound.tolist() for bound in again.bounds] == [[-50.0, -50.0], [60.0, np.inf]]
    u = np.zeros((3, 2))
    assert np.array_equal(again.flow.log_prob(again.params, u), samples.flow.log_prob(samples.params, u))


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    once().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptFileError, match=r"a\.npz"):
        quick(x0=path, rounds=None)
    from evenflow.reference.work.files import save
    save(path, {"chains": np.zeros(3)})
    with pytest.raises(CorruptFileError, match="does not hold samples"):
        Samples.load(path)
    with pytest.raises(FileNotFoundError):
        quick(x0=tmp_path / "b.npz", rounds=None)


def test_a_flow_of_ones_own(tmp_path: Path) -> None:
    flow = evenflow.spline_flow(2, layers=2, hidden=(8,))
    samples = quick(flow=flow)
    assert samples.flow == flow
    samples.save(tmp_path / "a.npz")
    assert Samples.load(tmp_path / "a.npz").flow == flow
    json.dumps(written(evenflow.Flow(eight_gaussians(), flow.bijection)))

    class Mine(evenflow.Normal):
        pass

    with pytest.raises(ValueError, match="made of evenflow's own parts, got a Mine"):
        written(evenflow.Flow(Mine(2), flow.bijection))


def picky(x: Array) -> Array:
    return np.where(np.abs(x[:, 0]) < 3, normal(x), np.nan)


SAMPLES = object()


@pytest.mark.parametrize(("arguments", "said"), [
    ({"x0": np.zeros(2)}, r"x0 must hold the starts of many chains.*got one point \(2,\): spread some around it"),
    ({"x0": np.zeros((2, 2))}, "x0 must hold 4 chains or more"),
    ({"x0": np.full((5, 2), np.nan)}, "x0 must be finite"),
    ({"n": 0}, "n must be an integer >= 1, got 0"),
    ({"rounds": -1}, "rounds must be an integer >= 0, got -1"),
    ({"gradient": "numpy"}, "gradient must be None"),
    ({"bounds": [(0.0, 1.0)]}, r"bounds must have shape \(2, 2\), got \(1, 2\)"),
    ({"bounds": [(-9.0, None), (-9.0, 9.0)]}, "bounds must hold numbers, -inf or inf where there is none, got None in"),
    ({"bounds": [(-9.0, 9.0), (0.0, 1.0)]}, "x0 must lie strictly between low and high"),
    ({"bounds": [(-9.0, 9.0), (1.0, 0.0)]}, "low must be below high"),
    ({"flow": evenflow.realnvp(3)}, "flow must have the dimension 2 of x0, got 3"),
    ({"log_density": lambda x: -np.sum(x**2)}, r"must take x \(n, d\) and return \(n,\), got \(\) for 20 points"),
    ({"log_density": lambda x: -np.sum(x**2, axis=0)}, r"got \(2,\) for 20 points.*np.array\(\[f\(row\) for row in x\]\)"),
    ({"log_density": lambda x: normal(x - x.mean(axis=0))}, "must look at each point alone"),
    ({"log_density": lambda x: np.where(x[:, 0] < 0, normal(x), -np.inf)}, "x0 must start every chain where log_dens"),
    ({"x0": SAMPLES, "bounds": [(0, 1), (0, 1)]}, "bounds and flow are those of the samples"),
    ({"x0": SAMPLES, "gradient": "autograd"}, "gradient must be given if it was for x0"),
])
def test_what_is_refused(arguments: dict[str, Any], said: str) -> None:
    given: Any = {name: once(rounds=0) if value is SAMPLES else value for name, value in arguments.items()}
    with pytest.raises(ValueError, match=said):
        quick(**given)


def test_nan_is_an_error_that_names_the_users_point() -> None:
    with pytest.raises(FloatingPointError, match=r"got nan at \[-?[3-9]"):
        quick(picky)
    with pytest.raises(FloatingPointError, match="gradient must be finite where log_density is"):
        quick(gradient=lambda x: np.full(x.shape, np.nan))
    with pytest.raises(ValueError, match=r"gradient\(x\) must have shape \(20, 2\)"):
        quick(gradient=lambda x: x[:, 0])


def test_chains_that_cannot_move_are_an_error() -> None:
    """A density that is a single point."""
    with pytest.raises(FloatingPointError, match="no chain has moved"):
        quick(lambda x: np.where(np.all(x == 1.0, axis=1), 0.0, -np.inf), np.ones((5, 2)))


def test_plain_numpy_in_autograds_hands_is_said_to_be() -> None:
    with pytest.raises(TypeError, match=r"must be written with autograd\.numpy"):
        quick(lambda x: np.array([-float(row @ row) for row in x]), gradient="autograd")


def far(x: Array) -> Array:
    """Two normals, 200 deviations apart."""
    return np.logaddexp(-np.sum((x - 100) ** 2, axis=1) / 2, -np.sum((x + 100) ** 2, axis=1) / 2)


def test_chains_that_do_not_mix_are_warned_of_with_a_remedy() -> None:
    """A flow that is one normal, untrained, between two modes far apart."""
    x0 = starts() + np.where(np.arange(20) % 2, 100.0, -100.0)[:, None]
    with pytest.warns(UnmixedWarning) as found:
        evenflow.sample(far, x0, 400, rounds=0, flow=evenflow.realnvp(2, final_scale=0.0))
    said = " ".join(str(one.message) for one in found)
    assert "the chains do not agree, R-hat" in said
    assert "of the global moves were taken" in said
    assert "log Z rests on" in said
    assert "rounds=40" in said
    assert Path(found[0].filename).name == Path(__file__).name


def test_no_warning_where_all_is_well() -> None:
    evenflow.sample(normal, starts(40), 2000, rounds=6)  # warnings are errors


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    quick()
    assert capsys.readouterr() == ("", "")
    quick(progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("round 1 of 2: ")
    assert "the flow's loss" in lines[1]
    assert lines[-1] == "sweep 20 of 20"


@pytest.mark.parametrize("where", ["numpy", COMPILED])
def test_backends_agree(where: str) -> None:
    here = once()
    with backend(where):
        there = quick()
    np.testing.assert_allclose(there.chains, here.chains, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_on_a_device_the_density_is_asked_numpy_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in (("FLOW_STEPS", 2), ("SWEEPS", 2), ("WARM_UP", 20), ("LEAST", 10)):
        monkeypatch.setattr(adaptive, name, few)

    def density(x: Array) -> Array:
        assert type(x) is np.ndarray
        return normal(x)

    here = quick(n=100)
    with backend("standin"):
        there = quick(density, n=100)
        traced = quick(lambda x: -anp.sum((x - 1) ** 2, axis=1) / 2, n=100, gradient="autograd")
    assert type(traced.chains) is type(there.chains) is np.ndarray
    np.testing.assert_allclose(there.chains, here.chains, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_all_frozen_the_density_stays_as_it_is() -> None:
    """Chains that start as draws of p stay draws of p, with a flow three times as wide: 4,000 chains, 20 sweeps, moments
    within 5 errors (five statistics, 3e-6)."""
    wide = evenflow.realnvp(2, final_scale=0.0, base=evenflow.Normal(2, 3.0))
    first = quick(x0=starts(4000) * np.array([1.0, 2.0]) + 1, n=1, rounds=0, flow=wide)
    x = first.chains[-1]
    z = (x - 1) / np.array([1.0, 2.0])
    assert (np.abs(z.mean(axis=0)) < 5 / 4000**0.5).all()
    assert (np.abs((z**2).mean(axis=0) - 1) < 5 * (2 / 4000) ** 0.5).all()
    assert abs((z[:, 0] * z[:, 1]).mean()) < 5 / 4000**0.5


@pytest.mark.slow
@pytest.mark.parametrize("gradient", [None, "autograd"])
def test_weights_and_log_z_of_two_modes(gradient: Any) -> None:
    """1/3 and 2/3 in five dimensions. By the stated errors, 4.5 of them: 7e-6 a statistic, were they normal and all known."""
    def density(x: Array) -> Array:
        low = np.log(1 / 3) - anp.sum((x + 3) ** 2, axis=1) / (2 * 0.7**2) - 5 * np.log(0.7)
        return anp.logaddexp(low, np.log(2 / 3) - anp.sum((x - 3) ** 2, axis=1) / 2)

    samples = evenflow.sample(density, 4 * starts(64, 5), 10_000, gradient=gradient)
    error = (2 / 9 / samples.ess.min()) ** 0.5
    assert abs(np.mean(samples.x[:, 0] < 0) - 1 / 3) < 4.5 * error < 0.04
    assert abs(samples.log_z - 2.5 * LOG_2PI) < 4.5 * samples.log_z_error < 0.03


@pytest.mark.slow
def test_log_z_of_a_bounded_support() -> None:
    """A gamma and a beta density, of no gradient: moments and log Z within 4.5 of their errors."""
    def density(x: Array) -> Array:
        return 2 * np.log(x[:, 0]) - x[:, 0] + np.log(x[:, 1]) + 2 * np.log(1 - x[:, 1])

    rng = np.random.default_rng(5)
    x0 = np.column_stack([rng.gamma(3, 1, 64), rng.beta(2, 3, 64)])
    samples = evenflow.sample(density, x0, 10_000, bounds=[(0, np.inf), (0, 1)])
    error = np.array([3**0.5, 0.2]) / samples.ess**0.5
    assert (np.abs(samples.x.mean(axis=0) - [3.0, 0.4]) < 4.5 * error).all()
    assert abs(samples.log_z - np.log(2 / 12)) < 4.5 * samples.log_z_error < 0.03
