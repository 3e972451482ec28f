"""The energy objective, its form on the line, along directions and with kernels (Si et al. 2023)."""
from tests.traceability.entries import Entry, Section

OBJECTIVE = Section("The energy objective", "Every score is a loss: smaller is better.", (
    Entry(
        "Energy score of a forecast P at y, `0 < beta < 2`: `ES_beta(P, y) = E|X - y|^beta - 1/2 E|X - X'|^beta`.",
        source="Gneiting & Raftery 2007, section 4.3; Si et al. 2023, the training objective",
        at="scores.energy.energy_score",
        tests="""
            reference/scores/test_scores.py::test_scores_are_their_definitions
            reference/scores/test_scores.py::test_energy_score_by_hand
            oracles/test_scores_oracles.py::test_scoringrules
            oracles/test_scores_oracles.py::test_dcor
        """,
        vectors="energy_score",
    ),
    Entry(
        "Strictly proper: only the truth attains the least mean. What a wrong forecast loses is half the energy distance.",
        source="Gneiting & Raftery 2007, section 4.3; Szekely & Rizzo 2013",
        at="scores.energy.energy_score scores.energy.energy_distance",
        tests="""
            statistics/test_scores.py::test_the_truth_scores_best
            statistics/test_scores.py::test_what_a_wrong_forecast_loses_is_half_the_energy_distance
            statistics/test_saef.py::test_half_the_spread_term_would_prefer_narrow_draws
        """,
        vectors="energy_score energy_distance",
    ),
    Entry(
        "At `beta = 2` the score sees the mean alone: refused, as all outside (0, 2).",
        source="Gneiting & Raftery 2007, section 4.3",
        at="scores.energy.check_beta",
        tests="reference/scores/test_scores.py::test_bad_input_is_named",
        why="what is refused has no output",
    ),
    Entry(
        "Fair estimator from m >= 2 draws, `mean_i |x_i - y|^beta - 1/(m(m-1)) sum_i<j |x_i - x_j|^beta` (U), and the "
        "biased one that divides by m^2 (V).",
        source="Gneiting & Raftery 2007; standard",
        at="scores.energy.energy_score scores.pairs.pair_score scores.pairs.within_sum scores.pairs.cross_sums",
        tests="""
            statistics/test_scores.py::test_u_is_unbiased_and_v_is_biased_as_predicted
            reference/scores/test_scores.py::test_scores_are_their_definitions
            reference/scores/test_scores.py::test_blocks_change_nothing
        """,
        vectors="energy_score#estimator",
    ),
    Entry(
        "Energy distance of two samples: `2 E|X - Y|^beta - E|X - X'|^beta - E|Y - Y'|^beta`, as U- and as V-statistic.",
        source="Szekely & Rizzo 2013",
        at="scores.energy.energy_distance scores.pairs.pair_distance",
        tests="""
            reference/scores/test_scores.py::test_distances_are_their_definitions
            oracles/test_scores_oracles.py::test_dcor
            statistics/test_scores.py::test_the_v_statistics_are_never_negative
        """,
        vectors="energy_distance",
    ),
    Entry(
        "Without a context one minibatch of data meets one of samples, an n x m problem; with one each datum has m draws "
        "of its own.",
        source="Si et al. 2023, published code",
        at="flows.flow.Flow.loss saef.objectives.Energy",
        tests="""
            reference/flows/test_flows.py::test_without_context_all_samples_are_one_forecast
            reference/flows/test_flows.py::test_with_context_each_datum_has_draws_of_its_own
            reference/scores/test_scores.py::test_a_shared_forecast_is_the_same_draws_for_each_observation
            reference/scores/test_scores.py::test_memory_is_linear_in_the_batch
        """,
        vectors="energy_score#shared",
    ),
    Entry(
        "Smoothed near zero, `(|u|^2 + eps^2)^(beta/2)`, since the gradient of `|u|^beta` is singular there; 0 with "
        "gradient 0 where points coincide.",
        source="our choice",
        at="scores.energy.smooth_power scores.energy.distance",
        tests="""
            reference/scores/test_scores.py::test_gradients_are_finite_where_points_coincide
            reference/scores/test_scores.py::test_coincident_points_are_at_distance_zero
            reference/scores/test_scores.py::test_gradients_of_scores
        """,
        vectors="energy_score#tie energy_distance#tie",
    ),
))

ONE_DIMENSION = Section("One dimension, slices and kernels", "", (
    Entry(
        "On the line at `beta = 1` it is the CRPS, `integral (F - 1{t >= y})^2 dt`, twice the pinball loss averaged over "
        "alpha.",
        source="Gneiting & Raftery 2007, section 4.2",
        at="scores.crps.crps scores.sorting.sorted_within",
        tests="""
            reference/scores/test_scores.py::test_crps_is_the_energy_score_on_the_line
            statistics/test_scores.py::test_crps_is_the_integral_of_its_definition
        """,
        vectors="crps",
    ),
    Entry(
        "What it loses is the Cramer distance, `integral (F - G)^2`: half the energy distance.",
        source="Szekely & Rizzo 2013",
        at="scores.energy.energy_distance scores.crps.crps",
        tests="""
            statistics/test_scores.py::test_the_energy_distance_on_the_line_is_twice_the_cramer_distance
            oracles/test_scores_oracles.py::test_scipy_energy_distance
        """,
        vectors="energy_distance#line crps",
    ),
    Entry(
        "Of a normal, `w = (y - mu)/s`: `CRPS = s (w (2 Phi(w) - 1) + 2 phi(w) - 1/sqrt(pi))`.",
        source="Gneiting & Raftery 2007, section 4.2",
        at="scores.crps.crps_normal scores.crps.erf_entries",
        tests="""
            statistics/test_scores.py::test_crps_of_a_normal_is_the_integral_of_its_definition
            statistics/test_scores.py::test_crps_of_a_normal_is_the_mean_over_its_samples
            oracles/test_scores_oracles.py::test_scoringrules_closed_forms
        """,
        vectors="crps_normal",
    ),
    Entry(
        "Sliced energy score and distance: the mean over unit directions v of the score on the line. The form is our choice.",
        source="Si et al. 2023, \"efficient estimators based on random projections\"",
        at="""
            scores.sliced.sliced_energy_score scores.sliced.sliced_energy_distance scores.sliced.random_directions
            scores.sliced.sliced_distance scores.sliced.project
        """,
        tests="""
            reference/scores/test_scores.py::test_scores_are_their_definitions
            statistics/test_scores.py::test_sliced_is_the_full_score_in_one_dimension
            reference/scores/test_scores.py::test_random_directions_are_unit_and_along_the_noise
        """,
        vectors="sliced_energy_score sliced_energy_distance random_directions",
    ),
    Entry(
        "`E_v |v.u|^beta = c |u|^beta`, `c = Gamma(d/2) Gamma((beta+1)/2) / (sqrt(pi) Gamma((d+beta)/2))`.",
        source="standard",
        at="scores.sliced.slicing_constant",
        tests="""
            statistics/test_scores.py::test_sliced_over_c_is_the_full_score
            statistics/test_scores.py::test_slicing_constant_is_a_ratio_of_normal_moments
            reference/scores/test_scores.py::test_slicing_constant_known_values
        """,
        vectors="slicing_constant sliced_energy_score",
    ),
    Entry(
        "By sorting, `sum_i<j |x_i - x_j| = sum_k (2k - m - 1) x_(k)`: O(m log m) for each direction at `beta = 1`.",
        source="standard",
        at="scores.sorting.sorted_within scores.sorting.sorted_cross scores.sorting.sorted_sums scores.sorting.ranks",
        tests="""
            reference/scores/test_scores.py::test_sorting_gives_the_sums_over_pairs_exactly
            reference/scores/test_scores.py::test_sliced_sorts_at_beta_1
            reference/scores/test_scores.py::test_gradients_on_the_line
        """,
        vectors="crps#equal_draws sliced_energy_score#equal_draws sliced_energy_distance#equal_draws",
    ),
    Entry(
        "MMD with a sum of Gaussian kernels, bandwidths 2, 5, 10, 20, 40, 80, or the linear kernel; the kernel score is to "
        "it what the energy score is to the energy distance.",
        source="Gneiting & Raftery 2007, section 5; Gretton et al. 2012; Si et al. 2023, published code",
        at="""
            scores.kernels.kernel_score scores.kernels.mmd scores.kernels.rbf_kernel scores.kernels.RBF
            scores.kernels.diagonal scores.kernels.linear_kernel scores.kernels.Linear saef.objectives.MMD
        """,
        tests="""
            reference/scores/test_scores.py::test_kernels_by_hand
            reference/scores/test_scores.py::test_distances_are_their_definitions
            statistics/test_scores.py::test_kernel_scores_have_the_mean_they_should
            statistics/test_scores.py::test_the_v_statistics_are_never_negative
        """,
        vectors="kernel_score mmd",
    ),
    Entry(
        "With the kernel `|x|^beta + |y|^beta - |x - y|^beta` MMD is the energy distance.",
        source="standard; Sejdinovic et al. 2013",
        at="scores.kernels.distance_kernel scores.kernels.DistanceKernel",
        tests="statistics/test_scores.py::test_the_distance_kernel_gives_the_energy_score_and_distance",
        vectors="kernel_score#energy mmd#energy",
    ),
    Entry(
        "The other objective of the comparison: maximum likelihood.",
        source="Si et al. 2023",
        at="saef.objectives.Likelihood",
        tests="""
            reference/flows/test_flows.py::test_likelihood_is_the_mean_in_nats
            reference/flows/test_flows.py::test_gradients_against_finite_differences
        """,
        vectors="realnvp_log_prob saef_log_prob",
    ),
))
