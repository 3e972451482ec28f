"""The baselines of flowMC-EBM, one algorithm each, and log Z and the diagnostics that all are judged by."""
from tests.traceability.entries import Entry, Section

BASELINES = Section("Baselines", "Each is one training step, a pure function of state, data, noise and learning rates.", (
    Entry(
        "PCD-ULA: untilted; a subset of the buffer, L steps of ULA, written back.",
        source="Grenioux et al. 2023, Algorithm 3; Tieleman 2008",
        at="ebm.pcd.PCD ebm.pcd.PCD.step",
        tests="""
            reference/ebm/test_ebm.py::test_pcd_line_by_line
            reference/ebm/test_ebm.py::test_pcd_is_not_tilted_and_starts_where_it_is_told
            statistics/test_ebm.py::test_pcd
        """,
        vectors="pcd_step",
    ),
    Entry(
        "NT-EBM: `p ~ exp(-E) lambda` with a pre-trained frozen flow; MALA or HMC in latent space on `-E(T(z)) + log "
        "rho(z)`; mapped back.",
        source="Nijkamp et al. 2022",
        at="ebm.neural_transport.NTEBM ebm.neural_transport.NTEBM.step mcmc.latent.pullback mcmc.latent.pulled_back",
        tests="""
            reference/ebm/test_ebm.py::test_the_latent_target_is_the_pullback_of_the_model
            reference/mcmc/test_mcmc.py::test_pullback
            reference/ebm/test_ebm.py::test_nt_samples_as_a_latent_kernel_does
            reference/mcmc/test_mcmc.py::test_latent_is_the_kernel_on_the_pullback
            statistics/test_ebm.py::test_nt
        """,
        vectors="latent_log_prob",
    ),
    Entry(
        "CoopFlow: x0 from the flow, K Langevin steps without noise and without Metropolis; the flow's step on the result, "
        "the energy's on data against the result.",
        source="Xie et al. 2022",
        at="ebm.coopflow.CoopFlow ebm.coopflow.revised",
        tests="""
            reference/ebm/test_ebm.py::test_coopflow_line_by_line
            reference/ebm/test_ebm.py::test_a_revision_goes_downhill_to_the_mode
            statistics/test_ebm.py::test_coopflow
        """,
        vectors="coopflow_revision#noiseless",
    ),
    Entry(
        "Its flow is pre-trained on the data, and frozen for the first 5 % of the training.",
        source="Xie et al. 2022; Grenioux et al. 2023",
        at="work.ebm_training.pretrained work.energy_model.EnergyModel.rates",
        tests="""
            reference/ebm/test_ebm.py::test_pretraining
            reference/work/test_ebm_runs.py::test_coopflows_flow_waits
            reference/ebm/test_ebm.py::test_a_rate_of_zero_freezes_the_network_and_the_moments
        """,
        why="a schedule and a whole training",
    ),
    Entry(
        "Flow contrastive estimation: logistic regression between data and flow samples with `log p = -E - c`, c learned; "
        "the flow is trained against it.",
        source="Gao et al. 2020",
        at="ebm.contrastive.FCE ebm.contrastive.V",
        tests="""
            reference/ebm/test_ebm.py::test_v_and_its_gradients_against_the_definition
            reference/ebm/test_ebm.py::test_v_by_hand
            reference/ebm/test_ebm.py::test_at_the_optimum_neither_player_moves
            reference/ebm/test_ebm.py::test_off_the_optimum_the_players_move_the_right_way
            statistics/test_ebm.py::test_fce
        """,
        vectors="fce_objective",
    ),
    Entry(
        "Jarzynski reweighting: `A' = A - alpha_k+1(X', X) + alpha_k(X, X')`, `alpha_k(x, y) = U_k(x) + (y - x).grad "
        "U_k(x) / 2 + h |grad U_k(x)|^2 / 4`.",
        source="Carbone et al. 2023",
        at="ebm.jarzynski.carried ebm.jarzynski.alpha",
        tests="""
            reference/ebm/test_ebm.py::test_alpha_is_the_energy_and_the_transition
            reference/ebm/test_ebm.py::test_the_weights_are_the_ratio_of_the_paths
            reference/ebm/test_ebm.py::test_where_nothing_changes_the_weights_are_malas_ratios
            reference/ebm/test_ebm.py::test_log_z_along_a_path_of_normals
        """,
        vectors="jarzynski",
    ),
    Entry(
        "Its negatives are weighted by softmax(A); walkers are resampled when the effective size falls; Z is tracked for "
        "free.",
        source="Carbone et al. 2023",
        at="""
            ebm.jarzynski.Jarzynski ebm.jarzynski.softmax ebm.jarzynski.effective_size ebm.jarzynski.resampled
            ebm.jarzynski.log_mean_exp
        """,
        tests="""
            reference/ebm/test_ebm.py::test_jarzynski_line_by_line
            reference/ebm/test_ebm.py::test_systematic_resampling
            reference/ebm/test_ebm.py::test_systematic_resampling_is_right_on_average
            reference/ebm/test_ebm.py::test_resampling_banks_what_it_takes_away
            reference/ebm/test_ebm.py::test_z_is_unbiased_through_resampling
            reference/ebm/test_ebm.py::test_sizes_and_means_of_weights
            reference/ebm/test_energies.py::test_weights_weigh_the_negatives
            statistics/test_ebm.py::test_jarzynski
        """,
        vectors="systematic_resampling effective_size ebm_gradient jarzynski",
    ),
))

NORMALIZER = Section("log Z", "", (
    Entry(
        "`log Z = log mean exp(-E + log rho - log lambda)` over x ~ lambda, with the effective size of those weights.",
        source="standard",
        at="ebm.normalizer.importance ebm.normalizer.of_weights work.energy_model.EnergyModel.log_z",
        tests="""
            reference/ebm/test_normalizer.py::test_importance_is_the_mean_weight_with_its_error
            reference/ebm/test_normalizer.py::test_importance_is_exact_where_p_is_c_times_q
            statistics/test_normalizer.py::test_effective_size_against_its_closed_form
            statistics/test_normalizer.py::test_estimates_are_centred_with_the_errors_they_state
        """,
        vectors="log_z_importance",
    ),
    Entry(
        "A grid in one or two dimensions, exact to rounding for smooth densities.",
        source="standard: the midpoint rule",
        at="ebm.normalizer.grid ebm.normalizer.lattice",
        tests="""
            reference/ebm/test_normalizer.py::test_grid_on_a_gaussian_is_exact_to_rounding
            reference/ebm/test_normalizer.py::test_grid_gives_zone_weights
            statistics/test_normalizer.py::test_bridge_and_grid_and_importance_agree_on_a_mixture
        """,
        vectors="log_z_grid",
    ),
    Entry(
        "Annealed importance sampling along `q^(1-b) p^b`.",
        source="Neal 2001, section 2",
        at="ebm.normalizer.annealed ebm.normalizer.between",
        tests="""
            reference/ebm/test_normalizer.py::test_temperatures_one_by_one
            reference/ebm/test_normalizer.py::test_annealing_is_exact_where_the_path_is_trivial
            statistics/test_normalizer.py::test_a_kernel_one_temperature_early_or_late_is_seen
            statistics/test_normalizer.py::test_annealing_knows_the_weights_of_two_modes
        """,
        vectors="log_z_annealed",
    ),
    Entry(
        "The best bridge between draws of p and of q.",
        source="Meng & Wong 1996; Bennett 1976",
        at="ebm.normalizer.bridge",
        tests="""
            reference/ebm/test_normalizer.py::test_bridge_is_the_root_and_the_fixed_point
            reference/ebm/test_normalizer.py::test_bridge_is_exact_where_p_is_c_times_q
            statistics/test_normalizer.py::test_bridge_beats_importance_where_overlap_is_poor
        """,
        vectors="log_z_bridge",
    ),
))

DIAGNOSTICS = Section("Diagnostics", "Time first, then chains.", (
    Entry(
        "Autocorrelation and integrated autocorrelation time `tau = 1 + 2 sum rho_t`, over the smallest self-consistent "
        "window.",
        source="Sokal 1997; Goodman & Weare 2010",
        at="""
            mcmc.ess.autocorrelation mcmc.ess.autocovariance mcmc.ess.integrated_time
            mcmc.ess.windowed_time
        """,
        tests="""
            reference/mcmc/test_diagnostics.py::test_autocorrelation_is_the_sum_it_stands_for
            reference/mcmc/test_diagnostics.py::test_integrated_time_of_ar1
            reference/mcmc/test_diagnostics.py::test_integrated_time_takes_the_smallest_window
            oracles/test_diagnostics_oracles.py::test_emcee
        """,
        vectors="autocorrelation integrated_time",
    ),
    Entry(
        "Split R-hat; rank-normalised and folded R-hat.",
        source="Gelman et al. 2013; Vehtari et al. 2021, sections 3.1 and 4",
        at="""
            mcmc.rhat.split_rhat mcmc.rhat.plain_rhat mcmc.rhat.split mcmc.rhat.rhat
            mcmc.rhat.ranked_rhat mcmc.rhat.normal_scores mcmc.rhat.average_ranks
        """,
        tests="""
            reference/mcmc/test_diagnostics.py::test_split_rhat_of_shifted_chains
            reference/mcmc/test_diagnostics.py::test_rhat_shows_by_folding_what_the_plain_one_does_not
            reference/mcmc/test_diagnostics.py::test_rhat_shows_by_ranks_what_heavy_tails_hide
            reference/mcmc/test_diagnostics.py::test_normal_scores
            reference/mcmc/test_diagnostics.py::test_average_ranks
            oracles/test_diagnostics_oracles.py::test_arviz
            oracles/test_diagnostics_oracles.py::test_arviz_parts
        """,
        vectors="split_rhat rhat",
    ),
    Entry(
        "Effective sample size of the rank-normalised draws, by the initial monotone sequence.",
        source="Vehtari et al. 2021, section 3.2; Geyer 1992",
        at="mcmc.ess.ess mcmc.ess.geyer_ess",
        tests="""
            reference/mcmc/test_diagnostics.py::test_ess_of_ar1
            reference/mcmc/test_diagnostics.py::test_ess_sees_ranks_only
            reference/mcmc/test_diagnostics.py::test_ess_of_an_alternating_chain_is_its_bound
            oracles/test_diagnostics_oracles.py::test_arviz
        """,
        vectors="ess",
    ),
    Entry(
        "R-hat rises with small steps inside one mode, and does not see a mode that no chain has met: so zone weights, "
        "switch rate and the R-hat of the mode's indicator beside it.",
        source="our addition to Grenioux et al. 2023, Table 2",
        at="mcmc.zones.zone_weights mcmc.zones.switch_rate mcmc.zones.mode_rhat",
        tests="""
            reference/mcmc/test_diagnostics.py::test_what_rhat_alone_does_not_say
            reference/mcmc/test_diagnostics.py::test_zone_weights
            reference/mcmc/test_diagnostics.py::test_switch_rate
            reference/mcmc/test_diagnostics.py::test_mode_rhat_is_the_largest_of_the_indicators
            reference/mcmc/test_diagnostics.py::test_mode_rhat_takes_zones_for_names
        """,
        vectors="zone_weights switch_rate mode_rhat",
    ),
    Entry(
        "Acceptance of the local and of the global moves.",
        source="Grenioux et al. 2023",
        at="mcmc.zones.acceptance ebm.flowmc.FlowMCEBM.adaptation",
        tests="""
            reference/mcmc/test_diagnostics.py::test_acceptance
            reference/ebm/test_ebm.py::test_algorithm_1_line_by_line
        """,
        vectors="mala isir",
    ),
))
