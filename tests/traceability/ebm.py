"""flowMC-EBM: model, training step and kernels, Algorithms 1, 2 and 4-6 (Grenioux, Moulines & Gabrie 2023)."""
from tests.traceability.entries import Entry, Section

MODEL = Section("The model", "", (
    Entry(
        "Flow: `lambda(x) = rho(T^-1 x) |det J_T^-1(x)|`.",
        source="Grenioux et al. 2023, eq. 5",
        at="flows.flow.Flow flows.flow.Flow.log_prob",
        tests="""
            reference/flows/test_flows.py::test_sample_log_prob_and_both_at_once_agree
            reference/flows/test_bijections.py::test_density_integrates_to_one_on_a_line
            reference/flows/test_bijections.py::test_density_integrates_to_one_on_a_plane
        """,
        vectors="realnvp_sample realnvp_log_prob maf_log_prob spline_flow_log_prob",
    ),
    Entry(
        "Energy-based model, tilted by the flow's base density: `p(x) = exp(-E(x)) rho(x) / Z`.",
        source="Grenioux et al. 2023, eq. 6",
        at="ebm.energies.EBM ebm.energies.EBM.log_density",
        tests="""
            reference/ebm/test_energies.py::test_the_model_is_its_tilt_at_the_start_and_tilted_later
            reference/ebm/test_ebm.py::test_a_tilt_is_a_fixed_term_of_the_energy
            reference/ebm/test_energies.py::test_the_mixture_energy_has_the_mass_it_says
        """,
        vectors="tilted_log_prob",
    ),
    Entry(
        "All Langevin and importance steps act on `log p = -E + log rho`, never on -E alone.",
        source="Grenioux et al. 2023, eq. 6",
        at="ebm.flowmc.FlowMCEBM.step ebm.jarzynski.Jarzynski.step ebm.energies.EBM.log_density",
        tests="""
            reference/ebm/test_ebm.py::test_algorithm_1_line_by_line
            reference/ebm/test_ebm.py::test_jarzynski_line_by_line
            reference/mcmc/test_mcmc.py::test_planted_mistakes_are_seen
        """,
        vectors="tilted_log_prob#tilt flowmc_ebm_step",
    ),
    Entry(
        "At the start E = 0 and T is the identity: p = rho = lambda exactly.",
        source="Grenioux et al. 2023",
        at="ebm.energies.MLPEnergy flows.flow.realnvp ebm.flowmc.FlowMCEBM.init",
        tests="""
            reference/ebm/test_ebm.py::test_at_the_start_model_base_and_flow_are_one
            reference/work/test_ebm_runs.py::test_at_the_start_the_model_is_its_base
        """,
        why="a state, not an operation",
    ),
    Entry(
        "Gradient of the likelihood: `-E_data[grad E] + E_p[grad E]`; rho and Z drop out.",
        source="Grenioux et al. 2023, appendix B",
        at="ebm.energies.contrast mcmc.contract.density_and_gradient ebm.updates.energy_step",
        tests="""
            reference/ebm/test_energies.py::test_the_contrast_is_the_gradient_of_the_exact_likelihood
            reference/ebm/test_energies.py::test_a_step_down_the_contrast_lowers_energy_at_the_data
            reference/ebm/test_energies.py::test_what_samplers_see_of_an_energy
        """,
        vectors="ebm_gradient",
    ),
    Entry(
        "The flow ascends `mean log lambda(x-)` over the negatives, unweighted: the forward divergence from p.",
        source="Grenioux et al. 2023, Algorithm 1",
        at="ebm.updates.flow_step",
        tests="""
            reference/ebm/test_ebm.py::test_the_flow_ascends_the_likelihood_of_the_negatives
            reference/ebm/test_ebm.py::test_algorithm_1_line_by_line
        """,
        vectors="realnvp_log_prob flowmc_ebm_step",
    ),
    Entry(
        "Energy network d -> 32 -> 64 -> 64 -> 64 -> 1, leaky rectifiers of slope 0.05: 10,592 numbers at d = 2, for want of a "
        "last bias, which would cancel against Z.",
        source="Grenioux et al. 2023, published code",
        at="ebm.energies.MLPEnergy core.networks.MLP",
        tests="""
            reference/ebm/test_energies.py::test_the_network_of_the_paper
            reference/core/test_networks.py::test_mlp_is_the_formula
        """,
        vectors="energy_mlp",
    ),
    Entry(
        "Convolutional energy of images: 3 x 3, then 4 x 4 with stride 2, leaky rectifiers, zero at the start; 4.3M numbers "
        "for 32 x 32 x 3.",
        source="Grenioux et al. 2023, section 5; the layers are our choice",
        at="ebm.convolutional.ConvEnergy",
        tests="""
            reference/ebm/test_convolutional.py::test_the_energy_is_its_layers
            reference/ebm/test_convolutional.py::test_the_size_of_the_paper
            reference/ebm/test_convolutional.py::test_gradients_against_differences
        """,
        vectors="conv2d",
    ),
    Entry(
        "Images: a penalty on squared energies at data and samples, and a learning rate that falls by a factor every so many "
        "steps (1e-4, 0.99 every 50).",
        source="Grenioux et al. 2023, section 5",
        at="ebm.energies.contrast ebm.energies.penalised core.optim.step_decay ebm.energies.check_penalty",
        tests="""
            reference/ebm/test_convolutional.py::test_the_penalty_is_that_of_both_sides
            reference/ebm/test_convolutional.py::test_algorithms_take_the_penalised_step
            reference/ebm/test_convolutional.py::test_step_decay_by_hand
        """,
        why="the vectors of the gradient are those without a penalty",
    ),
))

TRAINING = Section("One training step", "", (
    Entry(
        "x+ from the data; x- by flowMC from persistent states, the flow held fixed; the states become x-; `theta <- theta "
        "- gamma_E (mean grad E(x+) - mean grad E(x-))`; `alpha <- alpha + gamma_flow mean grad log lambda(x-)`.",
        source="Grenioux et al. 2023, Algorithm 1",
        at="ebm.flowmc.FlowMCEBM ebm.flowmc.FlowMCEBM.step ebm.flowmc.FlowMCEBM.negatives",
        tests="""
            reference/ebm/test_ebm.py::test_algorithm_1_line_by_line
            statistics/test_ebm.py::test_flowmc
        """,
        vectors="flowmc_ebm_step",
    ),
    Entry(
        "The persistent buffer is larger than a batch: a random subset is drawn, moved and written back. Chains start from "
        "the flow.",
        source="Grenioux et al. 2023, Algorithm 1",
        at="ebm.flowmc.FlowMCEBM.noise ebm.flowmc.FlowMCEBM.init",
        tests="""
            reference/ebm/test_ebm.py::test_algorithm_1_line_by_line
            reference/ebm/test_ebm.py::test_at_the_start_model_base_and_flow_are_one
        """,
        vectors="flowmc_ebm_step pcd_step",
    ),
    Entry(
        "A fixed number of steps, two learning rates; the optimiser is not stated: plain steps on the energy, as printed, and "
        "Adam on the flow.",
        source="Grenioux et al. 2023; Kingma & Ba 2015, Algorithm 1",
        at="core.optim.SGD core.optim.Adam ebm.updates.descend work.ebm_training.train_ebm",
        tests="""
            reference/ebm/test_ebm.py::test_energy_and_flow_have_optimisers_of_their_own
            reference/core/test_optim.py::test_adam_by_hand
            reference/core/test_optim.py::test_adam_against_its_sums_written_out
            reference/ebm/test_ebm.py::test_descend
            reference/work/test_ebm_loop.py::test_each_step_gets_its_own_rates_data_and_noise_in_the_datas_dtype
        """,
        vectors="adam",
    ),
))

KERNELS = Section("Kernels", "p is known up to a constant; all noise is an argument.", (
    Entry(
        "ULA: `x' = x + eta grad log p(x) + sqrt(2 eta) xi`, which leaves p invariant only as eta -> 0.",
        source="Grenioux et al. 2023, Algorithm 2",
        at="mcmc.langevin.ula mcmc.langevin.ULA mcmc.langevin.drift",
        tests="""
            reference/mcmc/test_mcmc.py::test_ula_has_the_stationary_law_that_its_step_size_gives_it
            statistics/test_mcmc.py::test_ula_settles_at_its_own_variance
            reference/ebm/test_ebm.py::test_pcd_line_by_line
        """,
        vectors="ula",
    ),
    Entry(
        "MALA: the same x' as a proposal, `q(x'|x) ~ exp(-|x' - x - eta grad log p(x)|^2 / (4 eta))`, accepted with "
        "`min{1, p(x') q(x|x') / p(x) q(x'|x)}`; one evaluation a step.",
        source="Grenioux et al. 2023, Algorithm 4",
        at="mcmc.langevin.mala mcmc.langevin.MALA mcmc.langevin.log_q mcmc.contract.metropolis",
        tests="""
            reference/mcmc/test_mcmc.py::test_mala_ratio
            reference/mcmc/test_mcmc.py::test_invariance
            reference/mcmc/test_mcmc.py::test_invariance_by_quadrature
            reference/mcmc/test_mcmc.py::test_states_are_never_stale
            oracles/test_mcmc_oracles.py::test_mala
        """,
        vectors="mala",
    ),
    Entry(
        "The step size times 1.05 above, divided by 1.05 below a target acceptance of 0.75 +- 0.03.",
        source="Grenioux et al. 2023, published code",
        at="mcmc.adaptation.adapted mcmc.adaptation.warm_up",
        tests="""
            reference/mcmc/test_mcmc.py::test_adapted
            reference/mcmc/test_mcmc.py::test_warm_up_finds_the_step_size
            reference/ebm/test_ebm.py::test_step_sizes_follow_the_acceptance
        """,
        vectors="adapted_step_size",
    ),
    Entry(
        "Independent Metropolis-Hastings with the flow: ratio `p(x') lambda(x) / (p(x) lambda(x'))`.",
        source="Grenioux et al. 2023, Algorithm 5",
        at="mcmc.independence.independent_mh mcmc.independence.IndependentMH mcmc.independence.propose",
        tests="""
            reference/mcmc/test_mcmc.py::test_independent_mh_ratio
            reference/mcmc/test_mcmc.py::test_independent_mh_from_the_target_itself_always_accepts
            reference/mcmc/test_mcmc.py::test_invariance_by_quadrature
            oracles/test_mcmc_oracles.py::test_independent_mh
        """,
        vectors="independent_mh",
    ),
    Entry(
        "i-SIR: slot 1 is the current state, slots 2 .. N come from lambda, one is chosen with weights p/lambda. Accepted: "
        "another slot than the first.",
        source="Grenioux et al. 2023, Algorithm 6; Samsonov et al. 2022",
        at="mcmc.independence.isir mcmc.independence.ISIR mcmc.independence.resample",
        tests="""
            reference/mcmc/test_mcmc.py::test_isir_chain_by_chain
            reference/mcmc/test_mcmc.py::test_isir_of_two_slots_is_barkers_rule
            reference/mcmc/test_mcmc.py::test_isir_from_the_target_itself_moves_with_probability_one_minus_one_over_n
            reference/mcmc/test_mcmc.py::test_invariance
            reference/mcmc/test_mcmc.py::test_resample_at_the_edges
        """,
        vectors="isir",
    ),
    Entry(
        "flowMC: local and global moves in turn.",
        source="Gabrie et al. 2022; Grenioux et al. 2023, Algorithm 1",
        at="mcmc.flowmc.FlowMC",
        tests="""
            reference/mcmc/test_mcmc.py::test_flowmc_is_its_blocks_one_after_the_other
            reference/mcmc/test_mcmc.py::test_invariance
            statistics/test_mcmc.py::test_global_moves_find_the_weights_of_the_modes_from_one_of_them
            statistics/test_mcmc.py::test_local_moves_alone_do_not
        """,
        vectors="flowmc",
    ),
    Entry(
        "Hamiltonian Monte Carlo as a local kernel; one leap of it is MALA with `eta = eps^2 / 2`.",
        source="Duane et al. 1987; Neal 2011, section 5.3",
        at="mcmc.hmc.hmc mcmc.hmc.HMC mcmc.hmc.leapfrog mcmc.hmc.kinetic",
        tests="""
            reference/mcmc/test_mcmc.py::test_hmc_ratio_reversibility_and_volume
            reference/mcmc/test_mcmc.py::test_hmc_of_one_leap_is_mala
            reference/mcmc/test_mcmc.py::test_invariance
            reference/mcmc/test_mcmc.py::test_hmc_approximates_the_energy_to_second_order
            oracles/test_mcmc_oracles.py::test_hmc
        """,
        vectors="hmc",
    ),
    Entry(
        "Random-walk Metropolis, its step a standard deviation: the plainest local kernel.",
        source="Metropolis et al. 1953",
        at="mcmc.metropolis.random_walk mcmc.metropolis.RandomWalk",
        tests="""
            reference/mcmc/test_mcmc.py::test_random_walk_ratio
            reference/mcmc/test_mcmc.py::test_invariance
            oracles/test_mcmc_oracles.py::test_random_walk
        """,
        vectors="random_walk",
    ),
    Entry(
        "Chains are run with time first: `x[t, i]` is chain i at time t.",
        source="our choice",
        at="mcmc.chains.run",
        tests="""
            reference/mcmc/test_mcmc.py::test_run_is_a_loop_over_steps
            reference/mcmc/test_mcmc.py::test_run_keeps_one_state_a_sweep_of_flowmc
        """,
        why="a loop over steps, each of which has vectors",
    ),
    Entry(
        "Step sizes: eta here and in blackjax; where dt counts the noise, `eta = dt^2 / 2`.",
        source="the libraries' documentation",
        at="mcmc.langevin.MALA",
        tests="""
            oracles/test_mcmc_oracles.py::test_mala
            reference/mcmc/test_mcmc.py::test_planted_mistakes_are_seen
        """,
        vectors="mala#step_size",
    ),
))
