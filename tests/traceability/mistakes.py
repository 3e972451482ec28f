"""Mistakes of the papers and of published code: what each was, and what would notice it here."""
from tests.traceability.entries import Entry, Section

PUBLISHED = Section("What the published code of SAEF does otherwise", "What it does, and what stands here in its place.", (
    Entry(
        "Image models end in batch norm, sigmoid or tanh: not invertible, generators rather than flows. Here T_b is a "
        "bijection; a free-form head is offered as a type without `inverse` and `log_prob`.",
        source="Si et al. 2023, published code",
        at="saef.semiautoregressive.FreeForm saef.semiautoregressive.SAEF saef.maps.FreeFormHead",
        tests="""
            reference/saef/test_saef.py::test_the_free_form_type_promises_no_inverse
            reference/work/test_runs.py::test_a_free_form_head_has_samples_only
            reference/flows/test_bijections.py::test_round_trip_both_ways
        """,
        vectors="free_form_sample saef_loss#free_form saef_inverse",
    ),
    Entry(
        "The noise passes through a masked 3 x 3 convolution, so that block b sees z_<b too and training disagrees with "
        "sampling. Here T_b sees z_b alone.",
        source="Si et al. 2023, published code (MNIST)",
        at="saef.semiautoregressive.SemiAutoregressive.forecasts saef.semiautoregressive.SemiAutoregressive.generate",
        tests="""
            reference/saef/test_saef.py::test_in_training_a_block_sees_earlier_data_and_its_own_noise
            reference/saef/test_saef.py::test_in_sampling_a_block_sees_no_later_noise
        """,
        vectors="saef#noise saef_inverse#noise",
    ),
    Entry(
        "The fidelity term uses one of the two draws. Here all m count.",
        source="Si et al. 2023, published code",
        at="scores.energy.energy_score saef.semiautoregressive.SemiAutoregressive.forecasts",
        tests="""
            reference/saef/test_saef.py::test_loss_is_a_plain_loop_over_blocks_data_and_draws
            reference/scores/test_scores.py::test_scores_are_their_definitions
        """,
        vectors="saef_loss#teacher energy_score",
    ),
    Entry(
        "The one-hot loop starts at 1, so that item 0 has no label.",
        source="Si et al. 2023, published code",
        at="work.given.one_hot",
        tests="reference/work/test_data.py::test_one_hot_from_item_0_to_the_last_class",
        why="labels reach an operation as a context, one-hot already",
    ),
    Entry(
        "The kernel-energy loss has its sign reversed.",
        source="Si et al. 2023, published code",
        at="scores.kernels.kernel_score",
        tests="""
            statistics/test_scores.py::test_kernel_scores_have_the_mean_they_should
            statistics/test_scores.py::test_the_distance_kernel_gives_the_energy_score_and_distance
        """,
        vectors="kernel_score#sign",
    ),
))

MISPRINTS = Section("Misprints of the third version of Grenioux et al. 2023", "Checked by hand.", (
    Entry(
        "Eq. 2 has the opposite sign.",
        source="Grenioux et al. 2023, eq. 2",
        at="ebm.energies.contrast",
        tests="reference/ebm/test_energies.py::test_the_contrast_is_the_gradient_of_the_exact_likelihood",
        vectors="ebm_gradient#sign",
    ),
    Entry(
        "Eq. 4 prints grad log E where it means grad E.",
        source="Grenioux et al. 2023, eq. 4",
        at="ebm.energies.contrast mcmc.contract.density_and_gradient",
        tests="""
            reference/ebm/test_energies.py::test_the_contrast_is_the_gradient_of_the_exact_likelihood
            reference/ebm/test_energies.py::test_what_samplers_see_of_an_energy
            reference/ebm/test_ebm.py::test_pcd_line_by_line
        """,
        vectors="ebm_gradient ula",
    ),
    Entry(
        "The high-dimensional mixture: a = 0.5919 gives misassignment 4.7e-2, 9.0e-3, 4.1e-4 at d = 16, 32, 64 per "
        "neighbour, not 1e-10; the sampler code has `a = 0.591 sqrt(2 ln d)`. Both are here by name.",
        source="Grenioux et al. 2023, Table 2, and published code",
        at="targets.mixtures.high_dimensional targets.mixtures.misassignment targets.mixtures.separation",
        tests="""
            reference/targets/test_mixtures.py::test_misassignment
            reference/targets/test_mixtures.py::test_centres_of_the_high_dimensional_mixture
            statistics/test_targets.py::test_misassignment_of_samples
            statistics/test_targets.py::test_half_sums_of_the_high_dimensional_mixture
        """,
        vectors="misassignment#paper misassignment#code gaussian_mixture_log_prob#named",
    ),
    Entry(
        "The density of the rings leaves out the radii below zero, which lie on the other side.",
        source="Grenioux et al. 2023, Fig. 2",
        at="targets.toys.Rings",
        tests="""
            reference/targets/test_targets.py::test_rings_fold_negative_radii_exactly
            statistics/test_targets.py::test_the_test_sees_a_missing_radius
        """,
        vectors="rings_log_prob#centre",
    ),
))

SAMPLERS = Section("Mistakes in published samplers and energy-based models", "What the mistake was; what stands here.", (
    Entry(
        "Independent Metropolis-Hastings goes on with the log densities from before a local block. Here each block begins "
        "with a fresh evaluation.",
        source="published code",
        at="mcmc.flowmc.FlowMC.step mcmc.independence.start",
        tests="""
            reference/mcmc/test_mcmc.py::test_planted_mistakes_are_seen
            reference/mcmc/test_mcmc.py::test_flowmc_is_its_blocks_one_after_the_other
            reference/mcmc/test_mcmc.py::test_states_are_never_stale
        """,
        vectors="flowmc#stale_density",
    ),
    Entry(
        "MALA after i-SIR goes on with the gradient of the old point.",
        source="published code",
        at="mcmc.flowmc.FlowMC.step mcmc.langevin.start mcmc.langevin.evaluate",
        tests="""
            reference/mcmc/test_mcmc.py::test_planted_mistakes_are_seen
            reference/mcmc/test_mcmc.py::test_flowmc_is_its_blocks_one_after_the_other
            reference/mcmc/test_mcmc.py::test_states_are_never_stale
        """,
        vectors="flowmc#stale_gradient",
    ),
    Entry(
        "R-hat with the axes of chains and samples exchanged.",
        source="published code",
        at="mcmc.rhat.rhat mcmc.rhat.split_rhat",
        tests="""
            reference/mcmc/test_diagnostics.py::test_time_comes_first
            reference/mcmc/test_diagnostics.py::test_split_rhat_of_shifted_chains
        """,
        vectors="rhat#axes split_rhat#axes mode_rhat#axes",
    ),
    Entry(
        "A temperature applied twice in a latent target. Here the target is used as it comes.",
        source="published code",
        at="mcmc.latent.pullback mcmc.latent.pulled_back",
        tests="""
            reference/mcmc/test_mcmc.py::test_planted_mistakes_are_seen
            reference/mcmc/test_mcmc.py::test_pullback
            reference/ebm/test_ebm.py::test_the_latent_target_is_the_pullback_of_the_model
        """,
        vectors="latent_log_prob#temperature",
    ),
    Entry(
        "Jarzynski weights where the old point aliases the new one, so that nothing seems to have moved.",
        source="published code",
        at="ebm.jarzynski.carried",
        tests="""
            reference/ebm/test_ebm.py::test_the_weights_are_the_ratio_of_the_paths
            reference/ebm/test_ebm.py::test_a_step_changes_none_of_its_arguments
        """,
        vectors="jarzynski#order",
    ),
    Entry(
        "\"hidden_depth = 3\" that means one hidden layer. Here `hidden` lists the widths, one a layer.",
        source="published code",
        at="core.networks.MLP ebm.energies.MLPEnergy",
        tests="""
            reference/core/test_networks.py::test_mlp_is_the_formula
            reference/ebm/test_energies.py::test_the_network_of_the_paper
        """,
        vectors="energy_mlp#deep",
    ),
))
