"""Runs of energy-based models: every algorithm trained, kept, found again, resumed bit for bit; in the user's units."""
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.reference.core.trees import leaves, named_leaves
from evenflow.reference.flows import Normal, Uniform
from evenflow.reference.mcmc import HMC, ISIR, MALA, IndependentMH, RandomWalk
from evenflow.reference.work import energy_model, sampling
from evenflow.reference.work.data import Dataset, load
from evenflow.reference.work.energy_model import EnergyModel, build_energy, resting
from evenflow.reference.work.files import CorruptFileError
from evenflow.reference.work.folders import read_log
from evenflow.reference.work.options import ALGORITHMS, OPTIONS, Config
from evenflow.reference.work.runs import load_run, train_on
from evenflow.reference.work.stretches import TrainingStopped
from evenflow.reference.work.training import Progress
from evenflow.reference.work.units import Units

FEW: dict[str, Any] = {
    "buffer": 24, "local_steps": 2, "global_steps": 1, "N": 4, "layers": 1, "hidden": (8,), "pretrain_steps": 3,
}


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few of what only makes samples and estimates better."""
    monkeypatch.setattr(sampling, "WARM_UP", 5)
    monkeypatch.setattr(energy_model, "CHAINS", (4, 1000))
    monkeypatch.setattr(energy_model, "BURN_IN", 2)
    monkeypatch.setattr(energy_model, "DRAWS", 50)


def quick(algorithm: str, **more: Any) -> Config:
    """Six steps, and the little that the algorithm can be given of all else."""
    few = {option.name: FEW[option.name] for option in OPTIONS if option.name in FEW and algorithm in option.defaults}
    return Config("ebm", algorithm=algorithm, **{"steps": 6, "batch": 16, **few, **more})


def table(d: int = 3, levels: int = 0) -> Dataset:
    """80 rows: real numbers around 100 and more, or whole numbers 0 ... levels - 1."""
    rng = np.random.default_rng(0)
    x = 100 + 10 * rng.standard_normal((80, d)) if not levels else rng.integers(levels, size=(80, d)).astype(float)
    units = Units.whole_numbers(x[:60], levels) if levels else Units.standardised(x[:60])
    return Dataset("table", x[:60], x[60:], None, None, units, ("a", "b", "c")[:d])


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(leaves(a._asdict()), leaves(b._asdict()), strict=True))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_trains_is_kept_and_is_found_again(algorithm: str, tmp_path: Path) -> None:
    dataset = table()
    trained = train_on(quick(algorithm), dataset, tmp_path / "run")
    found = load_run(tmp_path / "run")
    assert found.can("log_z")
    assert not found.can("density")
    assert same(found.params, trained.params)
    assert (found.config, found.columns, found.data) == (trained.config, ("a", "b", "c"), "table")
    x = found.sample(5, np.random.default_rng(1))
    assert x.shape == (5, 3)
    assert x.dtype == np.float64
    assert np.array_equal(x, trained.sample(5, np.random.default_rng(1)))
    assert np.array_equal(found.log_density(dataset.held_out), trained.log_density(dataset.held_out))
    assert found.log_z(50, np.random.default_rng(0)) == trained.log_z(50, np.random.default_rng(0))
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["checkpoint.npz", "config.json", "log.jsonl"]
    lines = read_log(tmp_path / "run" / "log.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert ("acceptance_global" in lines[0]) == (algorithm == "flowmc")
    assert set(lines[-1]["held_out"]) >= {"log_z", "log_z_ess"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_all_of_the_runs_dtype(algorithm: str, dtype: str) -> None:
    trained = train_on(quick(algorithm, dtype=dtype, steps=2), table())
    for name, leaf in named_leaves(trained.params._asdict()):
        assert leaf.dtype.kind == "i" or leaf.dtype == dtype, name
    assert trained.model.log_density(trained.params, trained.to_model(table().held_out)).dtype == dtype
    assert trained.walk(4, 1, np.random.default_rng(0)).x.dtype == dtype


class Stop(Exception):
    pass


@pytest.mark.parametrize(("algorithm", "levels"), [*((name, 0) for name in ALGORITHMS), ("flowmc", 5), ("nt", 5)])
def test_a_resumed_run_is_the_run_that_was_never_stopped(algorithm: str, levels: int, tmp_path: Path) -> None:
    dataset, config = table(levels=levels), quick(algorithm)

    def stop_at_four(progress: Progress) -> None:
        if progress.step == 4:
            raise Stop

    whole = train_on(config, dataset, tmp_path / "whole")
    with pytest.raises(Stop):
        train_on(config, dataset, tmp_path / "halves", callback=stop_at_four)
    resumed = train_on(config, dataset, tmp_path / "halves", resume=True)
    assert same(whole.params, resumed.params)
    logs = [read_log(tmp_path / name / "log.jsonl") for name in ("whole", "halves")]
    for log in logs:
        for line in log:
            del line["seconds"]
    assert logs[0] == logs[1]


def test_a_run_stopped_while_its_flow_was_pretrained_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*arguments: Any) -> None:
        raise Stop

    whole = train_on(quick("nt"), table())
    with monkeypatch.context() as patch:
        patch.setattr(energy_model, "pretrained", stopped)
        with pytest.raises(Stop):
            train_on(quick("nt"), table(), tmp_path)
    assert same(train_on(quick("nt"), table(), tmp_path, resume=True).params, whole.params)
    (tmp_path / "checkpoint.npz").unlink()  # lost, not never made: the log says so
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        train_on(quick("nt"), table(), tmp_path, resume=True)


def test_a_run_is_never_written_over_and_another_is_not_resumed(tmp_path: Path) -> None:
    train_on(quick("flowmc"), table(), tmp_path)
    with pytest.raises(FileExistsError, match="holds a run already"):
        train_on(quick("flowmc"), table(), tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint of another model: config/learning_rate is 0\.00\d+ there, 0\.1 here"):
        train_on(quick("flowmc", learning_rate=0.1), table(), tmp_path, resume=True)
    config = tmp_path / "config.json"
    text = config.read_text()
    described = json.loads(text)
    others = [json.dumps({k: v for k, v in described.items() if k != part}) for part in described]
    for bad in (text[:20], text.replace('"flowmc"', '"flowms"'), text.replace('"N": 4', '"N": 1'), *others):
        config.write_text(bad)
        with pytest.raises(CorruptFileError, match=r"config.json is not the description of a run"):
            load_run(tmp_path)


def test_whole_numbers_stay_whole_and_are_dequantised_afresh() -> None:
    dataset = table(2, levels=5)
    trained = train_on(quick("flowmc"), dataset)
    x = trained.sample(30, np.random.default_rng(0))
    assert np.array_equal(x, np.floor(x))
    with pytest.raises(ValueError, match="uniforms must be an array"):
        trained.log_density(dataset.held_out)
    rng = np.random.default_rng(0)
    a, b = (trained.units.dequantised(dataset.train[:24], rng) for _ in range(2))
    assert len(np.intersect1d(a, b)) == 0
    assert len(np.unique(np.round(a, 3))) > 5


@pytest.mark.slow
def test_digits() -> None:
    dataset = load("digits")
    trained = train_on(quick("flowmc", steps=1), dataset)
    assert trained.sample(2, np.random.default_rng(0)).shape == (2, 64)
    assert build_energy(64).hidden == (128, 128, 128, 128)
    assert build_energy(16).hidden == (32, 64, 64, 64)


def test_at_the_start_the_model_is_its_base() -> None:
    """E = 0 and the flow is the identity: log Z = 0, every draw counts in full, and samples have the data's mean and deviation.
    1,000 samples of a normal law: z-score limit 5, error rate 6e-7 a comparison."""
    dataset = table(2)
    trained = train_on(quick("flowmc", steps=1, learning_rate=1e-12, flow_learning_rate=1e-12, dtype="float64"), dataset)
    log_z = trained.log_z(100, np.random.default_rng(0))
    assert abs(log_z.log_z) < 1e-6
    assert log_z.ess > 99.99
    u = trained.to_model(trained.sample(1000, np.random.default_rng(0)))
    assert np.abs(u.mean(axis=0)).max() < 5 / np.sqrt(1000)
    assert np.abs((u**2).mean(axis=0) - 1).max() < 5 * np.sqrt(2 / 1000)
    rho = -np.sum(trained.to_model(dataset.held_out) ** 2, axis=1) / 2 - np.log(2 * np.pi)
    density = rho - np.sum(np.log(dataset.units.scale))
    np.testing.assert_allclose(trained.log_density(dataset.held_out), density, rtol=0, atol=1e-6)


def test_more_samples_than_chains_come_from_one_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_model, "CHAINS", (4, 10))
    trained = train_on(quick("flowmc", steps=1), table())
    x, walked = trained.sample_and_walk(25, np.random.default_rng(0))
    assert x.shape == (25, 3)
    assert len(np.unique(x[:, 0])) == 25
    assert walked.x.shape == (energy_model.BURN_IN + 2 * energy_model.EVERY, 10, 3)
    assert 0 < walked.acceptance_local <= 1
    assert 0 < walked.acceptance_global <= 1
    with pytest.raises(ValueError, match="n must be an integer >= 1, got 0"):
        trained.sample(0, np.random.default_rng(0))


def test_chains_without_a_flow_start_where_the_training_left_them() -> None:
    """Weights 0, 1 and 3 of 4: 4,000 draws, standard error 0.007; z-score limit 5."""
    trained = train_on(quick("jarzynski", buffer=3, steps=1), table())
    with np.errstate(divide="ignore"):
        state = trained.params._replace(walkers=np.arange(9.0).reshape(3, 3), log_weights=np.log([0.0, 1.0, 3.0]))
    x = resting(state, 4000, np.random.default_rng(0))
    assert (x[:, 0] == 0).sum() == 0
    assert abs((x[:, 0] == 6).mean() - 0.75) < 5 * 0.007
    pcd = train_on(quick("pcd", steps=1), table())
    x = resting(pcd.params, 24, np.random.default_rng(0))
    assert np.array_equal(np.sort(x, axis=0), np.sort(pcd.params.chains, axis=0))


def rates_of(config: Config) -> Any:
    return EnergyModel.of(config, 2, 0).rates()


def test_coopflows_flow_waits() -> None:
    rate = rates_of(quick("coopflow", steps=100, schedule="constant", flow_learning_rate=0.5))
    assert [rate(step).flow for step in (0, 4, 5, 99)] == [0.0, 0.0, 0.5, 0.5]
    flowmc = rates_of(quick("flowmc", steps=100, learning_rate=0.4, flow_learning_rate=0.2))
    assert flowmc(50) == (0.2, 0.1)


def test_training_that_blows_up_stops(tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped, match=r"training stopped at step \d+: .* The last good state, step \d+, is in"):
        train_on(quick("flowmc", learning_rate=1e30, steps=30), table(), tmp_path)


@pytest.mark.parametrize(("choices", "said"), [
    ({"algorithm": "flomc"}, "unknown algorithm 'flomc', did you mean 'flowmc'"),
    ({"schedule": "lineer"}, "unknown schedule 'lineer', did you mean 'linear'"),
    ({"dtype": "float16"}, "unknown dtype 'float16'"),
    ({"steps": 0}, "steps must be an integer >= 1, got 0"),
    ({"buffer": 16, "batch": 17}, "buffer must hold at least a batch of chains, got buffer 16 and batch 17"),
    ({"N": 1}, "N must be an integer >= 2, got 1"),
    ({"local_steps": -1}, "local_steps must be an integer >= 1, got -1"),
    ({"step_size": -0.1}, "step_size must be positive and finite, got -0.1"),
    ({"learning_rate": -1.0}, "learning_rate must be positive"),
    ({"hidden": (8, 0)}, "hidden must be an integer >= 1, got 0"),
    ({"seed": -1}, "seed must be an integer >= 0"),
    ({"N": 0}, "N must be an integer >= 2, got 0"),
    ({"flow_learning_rate": 0.0}, "flow_learning_rate must be positive"),
    ({"local_kernel": "mela"}, "unknown local_kernel 'mela', did you mean 'mala'"),
    ({"leapfrog_steps": 3}, "leapfrog_steps means nothing for the local kernel mala, only for hmc"),
    ({"global_kernel": "independent", "N": 8}, "N means nothing for the global kernel independent, only for isir"),
    ({"base_scale": 0.0}, "base_scale must be positive"),
    ({"energy_optimiser": "adm"}, "unknown energy_optimiser 'adm', did you mean 'adam'"),
    ({"tilt": "base"}, "tilt means nothing for the algorithm flowmc, only for pcd, coopflow, fce"),
    ({"objective": "energy"}, "objective means nothing for ebm, only for saef, realnvp"),
    ({"pretrain_steps": 3}, "pretrain_steps means nothing for the algorithm flowmc, only for nt, coopflow"),
    ({"algorithm": "fce", "buffer": 9}, "buffer means nothing for the algorithm fce, only for flowmc, pcd, jarzynski"),
    ({"algorithm": "pcd", "hidden": (8,)}, "hidden means nothing for the algorithm pcd, only for saef, .*, flowmc, nt"),
    ({"algorithm": "jarzynski", "N": 9}, "N means nothing for the algorithm jarzynski, only for flowmc"),
])
def test_bad_choices_are_refused(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        train_on(Config("ebm", **{"steps": 1, **choices}), table())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_not_said_is_the_algorithms_usual(algorithm: str) -> None:
    config = Config("ebm", algorithm=algorithm)
    usual = {option.name: option.defaults[algorithm] for option in OPTIONS if algorithm in option.defaults and not option.needs}
    assert {name: getattr(config, name) for name in usual} == usual
    assert Config(**json.loads(json.dumps(config.as_json()))) == config
    assert hasattr(config, "pretrain_steps") == (algorithm in ("nt", "coopflow"))


@pytest.mark.parametrize(("choices", "local", "far"), [
    ({"local_kernel": "hmc", "leapfrog_steps": 3}, HMC(0.01, 3), ISIR),
    ({"local_kernel": "random-walk"}, RandomWalk(0.01), ISIR),
    ({"global_kernel": "independent"}, MALA(0.01), IndependentMH),
])
def test_kernels_of_ones_choice_move_the_chains(choices: dict[str, Any], local: Any, far: Any) -> None:
    config = quick("flowmc", **{**choices, **({"N": None} if far is IndependentMH else {})})
    trained = train_on(config, table())
    algorithm: Any = trained.model.algorithm  # type: ignore[union-attr]
    kernels = [kernel for kernel, _ in algorithm.kernel(trained.params.flow, algorithm.step_sizes).blocks]
    assert kernels[0] == kernels[2] == local
    assert type(kernels[1]) is far
    assert trained.sample(3, np.random.default_rng(0)).shape == (3, 3)


@pytest.mark.parametrize("algorithm", ["pcd", "coopflow", "fce"])
def test_without_a_tilt(algorithm: str) -> None:
    """log p is -E alone, as in the papers; and PCD's chains may then start anywhere, in a cube say."""
    model = EnergyModel.of(quick(algorithm, tilt="none", dtype="float64"), 3, 0)
    u, state = np.random.default_rng(0).uniform(-1, 1, (5, 3)), model.init(np.random.default_rng(0))
    np.testing.assert_array_equal(model.log_density(state, u), np.zeros(5))
    assert train_on(quick(algorithm, tilt="none"), table()).sample(3, np.random.default_rng(0)).shape == (3, 3)
    if algorithm == "pcd":
        config = quick("pcd", tilt="none", base="uniform", base_scale=2.0, buffer=64)
        chains = EnergyModel.of(config, 3, 0).init(np.random.default_rng(0)).chains
        assert 1.9 < np.abs(chains).max() <= 2.0
        trained = train_on(config, table())
        assert np.isfinite(trained.sample(3, np.random.default_rng(0))).all()
        assert np.isfinite(trained.log_z(50, np.random.default_rng(0)).log_z)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_optimiser_of_the_energy_is_of_ones_choice(algorithm: str) -> None:
    """Adam's first step has the length of its rate wherever there is a gradient, a plain one that of its gradient."""
    steps = {}
    for name in ("adam", "sgd"):
        config = quick(algorithm, energy_optimiser=name, steps=1, learning_rate=0.125, dtype="float64", keep="last")
        steps[name] = np.abs(train_on(config, table()).params.energy[-1]["W"]).ravel()
    np.testing.assert_allclose(steps["adam"], 0.125, rtol=1e-3)
    assert np.ptp(steps["sgd"]) > 0.1 * steps["sgd"].max()


@pytest.mark.parametrize(("choices", "at"), [
    ({"algorithm": "flowmc"}, 1e-5), ({"algorithm": "flowmc", "local_kernel": "hmc"}, 0.01), ({"algorithm": "nt"}, 0.01),
    ({"algorithm": "pcd"}, 0.01),
])
def test_a_walk_begins_with_the_step_size_that_the_training_adapted(choices: dict[str, Any], at: float) -> None:
    """Which a warm-up of 5 steps changes by at most 1.05^5, and the six steps of the training by as much again; that of a
    latent space, of another kernel, or one that was not adapted, means nothing to it."""
    trained = train_on(quick(**choices, step_size=1e-5), table())
    assert 1.05**-12 < trained.walk(4, 1, np.random.default_rng(0)).step_size / at < 1.05**12


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("base", "scale", "rho"), [("normal", 2.5, Normal(3, 2.5)), ("uniform", None, Uniform(3, -6.0, 6.0))])
def test_rho_is_of_ones_choice(algorithm: str, base: str, scale: float | None, rho: Any) -> None:
    """E = 0 at the start, so that the model is rho itself (NT: its flow's density, whose base is rho)."""
    config = quick(algorithm, base=base, base_scale=scale, dtype="float64")
    if base == "uniform" and algorithm in ("pcd", "coopflow", "jarzynski"):
        with pytest.raises(ValueError, match=r"base must not end anywhere, got Uniform\(.*: the chains' steps are not"):
            EnergyModel.of(config, 3, 0)
        return
    model = EnergyModel.of(config, 3, 0)
    u = np.random.default_rng(0).uniform(-1, 1, (5, 3))
    assert model.flow.base == rho
    state = model.init(np.random.default_rng(0))
    np.testing.assert_allclose(model.log_density(state, u), rho.log_prob(u), rtol=0, atol=1e-9)
    x = train_on(config, table()).sample(3, np.random.default_rng(0))
    assert base == "normal" or np.abs(table().units.to_model(x)).max() <= 6.0
