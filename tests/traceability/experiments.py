"""The figures and tables of Grenioux et al. 2023: what of them stands here, and what of both papers does not."""
from tests.traceability.entries import Absent, Entry, Section

EXPERIMENTS = Section("Figures and tables", "Targets, algorithms and measures; runs with the page that has their numbers.", (
    Entry(
        "Two modes: `1/3 N(-1.5 (1, 1), 0.05 I) + 2/3 N(1.5 (1, 1), 0.1 I)`.",
        source="Grenioux et al. 2023, Fig. 1",
        at="targets.mixtures.two_modes targets.mixtures.GaussianMixture targets.mixtures.mixture_log_prob",
        tests="""
            reference/targets/test_mixtures.py::test_the_mixtures_of_the_paper
            reference/targets/test_mixtures.py::test_density_against_scipy
            reference/targets/test_mixtures.py::test_far_out_the_gradient_is_finite_and_points_home
        """,
        vectors="gaussian_mixture_log_prob#named",
    ),
    Entry(
        "The weight of the upper-right mode, by a grid, along the training of ULA (10 steps) and flowMC (4 local, 2 "
        "global, 4 local), and of the other algorithms; docs/experiments/two-modes.md has the numbers beside the paper's.",
        source="Grenioux et al. 2023, Fig. 1",
        at="experiments.two_modes.run experiments.two_modes.weight experiments.two_modes_measures.measure",
        tests="""
            experiments/test_two_modes.py::test_the_weight_is_that_of_the_upper_right_mode
            experiments/test_two_modes.py::test_the_presets_are_those_of_the_page
            experiments/test_two_modes.py::test_it_writes_what_it_promises_and_resumes
            experiments/test_two_modes.py::test_the_table_by_hand
        """,
        why="a whole experiment; its parts have vectors",
    ),
    Entry(
        "Eight Gaussians, radius 1, standard deviation 0.15, and rings, radius 1 .. 4, whose density is `p_r(|x|) / (2 pi "
        "|x|)`.",
        source="Grenioux et al. 2023, Fig. 2 and Table 1",
        at="targets.mixtures.eight_gaussians targets.toys.Rings",
        tests="""
            reference/targets/test_targets.py::test_density_integrates_to_one
            reference/targets/test_targets.py::test_eight_gaussians_begin_at_angle_0_and_their_zones_are_sectors
            reference/targets/test_targets.py::test_rings_are_finite_at_the_origin
            statistics/test_targets.py::test_sampler_and_density_agree
        """,
        vectors="gaussian_mixture_log_prob#named rings_log_prob",
    ),
    Entry(
        "What Table 1 measures needs Z by a grid in two dimensions.",
        source="Grenioux et al. 2023, Table 1",
        at="ebm.normalizer.grid ebm.normalizer.lattice work.energy_evaluation.on_grid",
        tests="""
            reference/ebm/test_normalizer.py::test_grid_on_a_gaussian_is_exact_to_rounding
            reference/work/test_ebm_evaluation.py::test_a_model_that_is_its_base_gets_the_numbers_theory_says
        """,
        vectors="log_z_grid",
    ),
    Entry(
        "Training on eight Gaussians, rings and four modes by all six algorithms: the median squared error of the log density, "
        "the mean squared errors of the zones' weights; docs/experiments/ has a page for each, beside the paper's numbers.",
        source="Grenioux et al. 2023, Fig. 2 and 3, Tables 1 and 3",
        at="""
            experiments.planar.Study.run experiments.planar.Study.model experiments.planar_measures.judged
            experiments.planar_measures.zone_errors experiments.planar_measures.chains
        """,
        tests="""
            experiments/test_planar.py::test_it_writes_what_it_promises_and_resumes
            experiments/test_planar.py::test_the_presets_and_chains_are_those_of_the_paper
            experiments/test_planar.py::test_of_the_truth_all_errors_are_0_and_of_a_mistake_they_are_not
            experiments/test_planar.py::test_zone_errors_by_hand
            experiments/test_experiments.py::test_a_page_is_that_of_the_committed_results
        """,
        why="a whole experiment; its parts have vectors",
    ),
    Entry(
        "Four modes on a line, x = -3, -1, 1, 3, covariance 0.05 I, weights 0.1 to 0.4.",
        source="Grenioux et al. 2023, Fig. 3-5 and Table 3",
        at="targets.mixtures.four_modes",
        tests="""
            reference/targets/test_mixtures.py::test_the_mixtures_of_the_paper
            statistics/test_targets.py::test_sampler_and_density_agree
        """,
        vectors="gaussian_mixture_log_prob#named",
    ),
    Entry(
        "Weights of zones, one a mode: of the data, of the chains, of the model by its mass on a grid.",
        source="Grenioux et al. 2023, Table 3",
        at="""
            targets.mixtures.GaussianMixture.zones targets.mixtures.GaussianMixture.zone_weights
            targets.mixtures.interval_weights
            mcmc.zones.zone_weights work.energy_evaluation.in_zones
        """,
        tests="""
            reference/targets/test_mixtures.py::test_zones_by_brute_force
            reference/targets/test_mixtures.py::test_known_zone_weights
            reference/targets/test_mixtures.py::test_zone_weights_by_quadrature_in_the_plane
            reference/ebm/test_normalizer.py::test_grid_gives_zone_weights
            statistics/test_targets.py::test_zones_of_samples_weigh_what_the_formula_says
        """,
        vectors="zone_weights log_z_grid",
    ),
    Entry(
        "States used as negatives: the last of a chain, all, or some evenly spaced; chains that start from a uniform "
        "density (ULA) or from the flow.",
        source="Grenioux et al. 2023, section 4",
        at="ebm.flowmc.FlowMCEBM.negatives ebm.pcd.PCD.init flows.densities.Uniform",
        tests="""
            reference/ebm/test_ebm.py::test_algorithm_1_line_by_line
            reference/ebm/test_ebm.py::test_pcd_is_not_tilted_and_starts_where_it_is_told
        """,
        vectors="uniform_log_prob flowmc_ebm_step",
    ),
    Entry(
        "What the samplers of the four modes do, chain by chain, and what keeps them from mixing: the density pulled back to "
        "latent space, barriers between modes; docs/experiments/latent-chains.md.",
        source="Grenioux et al. 2023, Fig. 4-5",
        at="""
            experiments.latent_chains.run experiments.latent_chains_samplers.samplers
            experiments.latent_chains_measures.barriers experiments.latent_chains_measures.pulled_back
            experiments.latent_chains_measures.of_chains
        """,
        tests="""
            experiments/test_latent_chains.py::test_each_sampler_walks_on_the_density_that_it_names
            experiments/test_latent_chains.py::test_barriers_of_p_are_those_on_the_line_through_the_centres
            experiments/test_latent_chains.py::test_the_pulled_back_density_is_that_of_the_latent_space
            experiments/test_latent_chains.py::test_chains_that_mix_and_chains_that_do_not
            experiments/test_experiments.py::test_a_page_is_that_of_the_committed_results
        """,
        why="a whole experiment; its parts have vectors",
    ),
    Entry(
        "Four equal `N(mu_i, I)` in d = 16, 32, 64: `mu_1 = a (1, ..., 1)`, `mu_2 = a (-1, ... | 1, ...)`, and their "
        "negatives.",
        source="Grenioux et al. 2023, Table 2 and Fig. 6",
        at="targets.mixtures.high_dimensional",
        tests="""
            reference/targets/test_mixtures.py::test_centres_of_the_high_dimensional_mixture
            statistics/test_targets.py::test_half_sums_of_the_high_dimensional_mixture
            statistics/test_targets.py::test_moments_of_mixtures
        """,
        vectors="gaussian_mixture_log_prob#named misassignment",
    ),
    Entry(
        "The largest R-hat over the dimensions, of 128 chains; base N(0, s^2 I) with the largest marginal variance.",
        source="Grenioux et al. 2023, Table 2",
        at="mcmc.rhat.rhat mcmc.rhat.split_rhat flows.densities.Normal work.energy_evaluation.evaluate_energy",
        tests="""
            reference/mcmc/test_diagnostics.py::test_rhat_of_independent_chains
            reference/mcmc/test_diagnostics.py::test_positions_are_their_coordinates
            reference/work/test_ebm_evaluation.py::test_a_model_that_is_its_base_gets_the_numbers_theory_says
        """,
        vectors="rhat split_rhat",
    ),
    Entry(
        "Training on the mixture in d = 16, 32, 64 by all six algorithms, both readings of a: R-hat, and what it cannot show; "
        "docs/experiments/mixture.md.",
        source="Grenioux et al. 2023, Table 2, Fig. 6",
        at="experiments.mixtures.learn experiments.mixture_measures.measure experiments.mixture_measures.plane_spread",
        tests="""
            experiments/test_mixtures.py::test_the_presets_and_chains_are_those_of_the_paper
            experiments/test_mixtures.py::test_what_the_truth_shows_and_a_mistake_does_not
            experiments/test_mixtures.py::test_a_model_at_its_start_is_its_base
            experiments/test_experiments.py::test_a_page_is_that_of_the_committed_results
        """,
        why="a whole experiment; its parts have vectors",
    ),
    Entry(
        "Images are dequantised: whole numbers get uniform noise, and a density of the continuous ones.",
        source="Grenioux et al. 2023, Fig. 7-8; Si et al. 2023",
        at="work.units.Units",
        tests="""
            reference/work/test_data.py::test_whole_numbers_there_and_back
            reference/work/test_data.py::test_log_det_is_that_of_the_map
            reference/work/test_runs.py::test_whole_numbers_stay_whole_and_need_their_uniforms
        """,
        why="units of a data set, not of a model",
    ),
))

ABSENT = (
    Absent(
        "CIFAR-10: the energy and the flow for images, the penalty on squared energies, the stepwise learning rate",
        source="Grenioux et al. 2023, Fig. 7-8",
        because="there are no convolutions here, and neither that penalty nor that schedule",
    ),
    Absent(
        "MNIST with 49 blocks and CIFAR-10 with blocks of side 1, 2, 4: masked convolutions, PixelCNN++ contexts, their "
        "times",
        source="Si et al. 2023, published code",
        because=(
            "there are no convolutions here; the blocks, the objective and the free-form head are, on vectors and "
            "8 x 8 digits"
        ),
    ),
    Absent(
        "Glow trained with MMD",
        source="Si et al. 2023, published code",
        because="there is no Glow here; MMD is, as an objective of every model, with any bandwidths",
    ),
)
