"""Energy flows, SAEF (Si, Chen, Sahoo, Schiff & Kuleshov 2023), its ancestor AQF (Si et al. 2022), and their metrics."""
from tests.traceability.entries import Entry, Section

ENERGY_FLOWS = Section("Energy flows", "Training needs samples alone: no inverse, no determinant.", (
    Entry(
        "A stack of dense layers and invertible activations, trained by the energy score; inverse by linear solves, "
        "log_det at evaluation.",
        source="Si et al. 2023; the layers are our choice",
        at="flows.flow.dense_flow flows.flow.Flow.loss",
        tests="""
            reference/flows/test_flows.py::test_sample_log_prob_and_both_at_once_agree
            reference/flows/test_flows.py::test_gradients_against_finite_differences
            reference/flows/test_flows.py::test_constructors
        """,
        vectors="dense_flow_sample dense_flow_log_prob",
    ),
    Entry(
        "The map stays invertible, for posterior inference x -> z.",
        source="Si et al. 2023",
        at="flows.flow.Flow.inverse saef.semiautoregressive.SAEF.inverse",
        tests="""
            reference/flows/test_bijections.py::test_round_trip_both_ways
            reference/saef/test_saef.py::test_inverse_gives_the_noise_back
            reference/work/test_runs.py::test_encode_and_decode_are_each_others_inverse
        """,
        vectors="dense_inverse saef_inverse",
    ),
    Entry(
        "The usual coupling, autoregressive and spline flows under the same objective.",
        source="Si et al. 2023",
        at="""
            saef.objectives.Energy saef.objectives.Sliced saef.objectives.objective_for
            flows.flow.realnvp flows.flow.maf flows.flow.spline_flow
        """,
        tests="""
            reference/flows/test_flows.py::test_objectives_are_the_scores_they_name
            reference/flows/test_flows.py::test_gradients_against_finite_differences
        """,
        vectors="energy_score realnvp_sample maf_sample spline_flow_sample",
    ),
))

MODEL = Section("SAEF", "B blocks: B = d is fully autoregressive, B = 1 a plain energy flow.", (
    Entry(
        "Images: a grid of b x b blocks, one block map for all, contexts by masked convolutions over the grid; block b sees "
        "earlier blocks and its own noise. Sampling runs the network at one place a step.",
        source="Si et al. 2023, published code (MNIST, CIFAR-10)",
        at="""
            saef.image.image_saef saef.image.OnGrid saef.image.OnGrid.generate saef.image.ImageSAEF.inverse
            saef.image.ImageFreeForm
        """,
        tests="""
            reference/saef/test_image_saef.py::test_in_sampling_a_block_sees_no_later_noise
            reference/saef/test_image_saef.py::test_contexts_see_earlier_blocks_and_all_of_them_in_reach
            reference/saef/test_image_saef.py::test_place_by_place_is_the_naive_way
            reference/saef/test_image_saef.py::test_the_loss_is_the_sum_over_the_general_models_blocks
        """,
        vectors="image_saef_inverse image_saef_loss",
    ),
    Entry(
        "`x_b = T_b(z_b; h_b)`, `h_b = c_b(x_<b)`; all contexts by one masked network; T_b an affine, dense, coupling or "
        "spline map.",
        source="Si et al. 2023",
        at="""
            saef.semiautoregressive.SemiAutoregressive saef.semiautoregressive.SemiAutoregressive.contexts
            saef.semiautoregressive.SAEF.forward saef.semiautoregressive.saef saef.semiautoregressive.split
            saef.maps.block_map_of
        """,
        tests="""
            reference/saef/test_saef.py::test_in_training_a_block_sees_earlier_data_and_its_own_noise
            reference/saef/test_saef.py::test_blocks_do_see_what_they_may
            reference/saef/test_saef.py::test_a_linear_gaussian_saef_is_a_cholesky_factor
        """,
        vectors="saef",
    ),
    Entry(
        "B = 1 is the plain energy flow.",
        source="Si et al. 2023",
        at="saef.semiautoregressive.SAEF",
        tests="reference/saef/test_saef.py::test_one_block_is_the_plain_energy_flow",
        vectors="saef#one_block saef_loss#one_block",
    ),
    Entry(
        "B = d is fully autoregressive.",
        source="Si et al. 2023",
        at="saef.semiautoregressive.SAEF flows.autoregressive.MaskedAutoregressive",
        tests="reference/saef/test_saef.py::test_as_many_blocks_as_coordinates_is_the_autoregressive_flow",
        vectors="saef#autoregressive saef_loss#autoregressive",
    ),
    Entry(
        "Teacher forcing: all h_b in one pass from the true x_<b, m draws, `loss = sum_b ES_beta(T_b(.; h_b), x_b)`.",
        source="Si et al. 2023, published code",
        at="""
            saef.semiautoregressive.SemiAutoregressive.forecasts saef.semiautoregressive.draws_of
            saef.semiautoregressive.FreeForm.loss flows.flow.Flow.loss
        """,
        tests="""
            reference/saef/test_saef.py::test_loss_is_a_plain_loop_over_blocks_data_and_draws
            reference/saef/test_saef.py::test_rows_are_independent
            reference/saef/test_saef.py::test_one_call_trains_on_every_objective
        """,
        vectors="saef_loss#teacher",
    ),
    Entry(
        "A sum of strictly proper conditional scores is strictly proper for the joint law.",
        source="chain rule; Gneiting & Raftery 2007",
        at="saef.semiautoregressive.SemiAutoregressive.forecasts flows.flow.Flow.loss",
        tests="""
            statistics/test_saef.py::test_the_true_conditionals_have_the_least_loss
            statistics/test_saef.py::test_training_recovers_a_gaussian
        """,
        vectors="saef_loss",
    ),
    Entry(
        "Sampling: B steps, each of which waits for the blocks before it.",
        source="Si et al. 2023",
        at="""
            saef.semiautoregressive.SemiAutoregressive.generate saef.semiautoregressive.SAEF.forward
            saef.semiautoregressive.FreeForm.sample
        """,
        tests="""
            reference/saef/test_saef.py::test_in_sampling_a_block_sees_no_later_noise
            reference/saef/test_saef.py::test_inverse_gives_the_noise_back
        """,
        vectors="saef",
    ),
    Entry(
        "Inversion: one pass, `z_b = T_b^-1(x_b; h_b)`; `log p` is that of z plus the sum of the blocks' log_dets.",
        source="Si et al. 2023; standard",
        at="saef.semiautoregressive.SAEF.inverse flows.flow.Flow.log_prob",
        tests="""
            reference/saef/test_saef.py::test_inverse_gives_the_noise_back
            reference/saef/test_saef.py::test_log_prob_integrates_to_one
            reference/saef/test_saef.py::test_a_linear_gaussian_saef_is_a_cholesky_factor
        """,
        vectors="saef_inverse saef_log_prob",
    ),
    Entry(
        "Class-conditional models: the label reaches every block.",
        source="Si et al. 2023, published code",
        at="saef.semiautoregressive.SemiAutoregressive work.given.one_hot",
        tests="""
            reference/saef/test_saef.py::test_a_class_changes_every_block
            reference/work/test_runs.py::test_each_label_gets_its_own_samples
            reference/work/test_evaluation.py::test_labels_reach_the_model
        """,
        vectors="saef#context saef_loss#context",
    ),
    Entry(
        "The interpolation: quality, sampling time, inversion time and likelihood as B grows. Digits: 1,500 for training, "
        "297 held out; B = 1, 4, 16 in docs/digits.md, 1 to 64 with one block map in docs/experiments/block-sweep.md.",
        source="Si et al. 2023, digits of scikit-learn",
        at="""
            experiments.digits.run experiments.digits.table experiments.block_sweep.run experiments.block_sweep.times
            experiments.judged.measure work.evaluation.evaluate work.data.digits work.shapes.patch_order
        """,
        tests="""
            experiments/test_block_sweep.py::test_the_sweep_writes_what_it_promises_and_resumes
            experiments/test_block_sweep.py::test_a_permutation_of_the_pixels_is_all_that_z_order_changes
            experiments/test_block_sweep.py::test_in_z_order_blocks_are_rectangles_and_those_of_2B_their_halves
            reference/work/test_evaluation.py::test_the_demo_writes_what_it_promises
            reference/work/test_data.py::test_the_digits
            reference/work/test_data.py::test_patches_are_squares_and_every_pixel_comes_once
            reference/work/test_runs.py::test_digits_are_cut_into_patches
        """,
        why="a whole experiment, not an operation",
    ),
    Entry(
        "One model under every objective: energy at beta 0.5, 1 and 1.5, sliced, MMD, pinball, likelihood; two toys and "
        "digits; docs/experiments/objectives.md.",
        source="Si et al. 2023, section 3; Si et al. 2022",
        at="experiments.objectives.run experiments.objectives.learn experiments.judged.learn",
        tests="""
            experiments/test_block_sweep.py::test_the_objectives_write_what_they_promise_and_resume
            experiments/test_experiments.py::test_a_page_is_that_of_the_committed_results
        """,
        why="a whole experiment, not an operation",
    ),
    Entry(
        "At equal parameters and steps, samples of energy-trained flows no worse than those of likelihood-trained ones; "
        "docs/experiments/sixteen-blocks.md.",
        source="Si et al. 2023",
        at="experiments.sixteen_blocks.run experiments.sixteen_blocks.findings",
        tests="""
            experiments/test_sixteen_blocks.py::test_it_writes_what_it_promises_and_resumes
            experiments/test_sixteen_blocks.py::test_what_is_said_by_hand
        """,
        why="a whole experiment, not an operation",
    ),
    Entry(
        "Likelihoods that are poor and uncorrelated with the quality of samples: rank correlations over many models; "
        "docs/experiments/likelihood-vs-quality.md.",
        source="Si et al. 2023",
        at="""
            experiments.likelihood_vs_quality.run experiments.ranks.spearman experiments.ranks.kendall
            experiments.ranks.resampled
        """,
        tests="""
            experiments/test_likelihood_vs_quality.py::test_ranks_are_those_of_scipy
            experiments/test_likelihood_vs_quality.py::test_whole_groups_are_resampled
            experiments/test_likelihood_vs_quality.py::test_what_is_said_of_simpsons_paradox
        """,
        why="a whole experiment, not an operation",
    ),
    Entry(
        "Posterior inference: inversion, completion of images, interpolation; docs/experiments/posterior.md.",
        source="Si et al. 2023",
        at="""
            experiments.posterior.run experiments.posterior_measures.latents experiments.posterior_measures.completions
            experiments.posterior_measures.between
        """,
        tests="""
            experiments/test_posterior.py::test_latents_of_normals_and_of_others
            experiments/test_posterior.py::test_completions_keep_whole_blocks_and_draw_the_others
            experiments/test_posterior.py::test_midpoints_by_hand
        """,
        why="a whole experiment, not an operation",
    ),
    Entry(
        "m = 2 draws on MNIST, 10 on CIFAR: noise and bias of the gradient by draws, directions and estimator, almost fair "
        "blends; docs/experiments/draws.md.",
        source="Si et al. 2023, published code",
        at="experiments.draws.run experiments.draws_measures.Pairs experiments.draws_measures.blend",
        tests="""
            experiments/test_draws.py::test_the_noise_is_taken_apart_as_it_was_put_together
            experiments/test_draws.py::test_a_normal_forecast_has_the_variances_of_the_closed_form
            experiments/test_draws.py::test_the_blend_is_the_score_with_less_weight_on_the_spread
        """,
        why="a whole experiment, not an operation",
    ),
    Entry(
        "Heads that cannot be inverted, with any number of noise numbers: conditional generators; "
        "docs/experiments/generators.md.",
        source="Si et al. 2023, published code",
        at="experiments.generators.run experiments.generators_model.Generator experiments.generators_model.generator",
        tests="""
            experiments/test_generators.py::test_with_as_much_noise_as_numbers_it_is_the_head_of_the_reference
            experiments/test_generators.py::test_each_block_sees_its_own_noise_and_what_came_before
        """,
        why="a whole experiment, not an operation",
    ),
))

QUANTILES = Section("Autoregressive quantile flows", "The ancestor of SAEF.", (
    Entry(
        "Pinball loss `rho_alpha(u) = max(alpha u, (alpha - 1) u)`, least at the alpha-quantile.",
        source="Koenker & Bassett 1978; Si et al. 2022",
        at="scores.quantile.quantile_score scores.quantile.pinball",
        tests="""
            reference/scores/test_scores.py::test_quantile_score_by_hand
            statistics/test_scores.py::test_the_quantile_score_is_least_at_the_quantile
        """,
        vectors="quantile_score",
    ),
    Entry(
        "`x_j = Q_j(alpha_j | x_<j)`, Q_j increasing in alpha_j; here `Q_j(alpha) = tau(Phi^-1(alpha))`, so that inverse "
        "and density are there, too.",
        source="Si et al. 2022",
        at="saef.aqf.AQF saef.aqf.AQF.quantiles saef.aqf.aqf core.special.normal_quantile",
        tests="""
            reference/saef/test_aqf.py::test_quantiles_increase_in_alpha
            reference/saef/test_aqf.py::test_quantiles_depend_on_earlier_coordinates_alone
            reference/saef/test_aqf.py::test_samples_are_quantiles_of_themselves
            reference/saef/test_aqf.py::test_density_is_the_slope_of_the_levels
            reference/flows/test_densities.py::test_normal_quantile_against_scipy
        """,
        vectors="aqf_quantiles normal_quantile",
    ),
    Entry(
        "Loss `sum_j E_alpha rho_alpha(x_j - Q_j(alpha))`: half the sum of the CRPS of the conditionals.",
        source="Si et al. 2022",
        at="saef.aqf.AQF.quantile_loss saef.objectives.Quantile",
        tests="""
            reference/saef/test_aqf.py::test_loss_is_half_the_crps_of_normal_conditionals
            reference/saef/test_aqf.py::test_loss_is_half_the_crps_of_spline_conditionals
            reference/saef/test_aqf.py::test_loss_is_a_plain_loop
        """,
        vectors="aqf_loss",
    ),
))

METRICS = Section("Metrics", "", (
    Entry(
        "Energy score of held-out data, in one dimension the CRPS; negative log-likelihood; time to generate and to infer.",
        source="Si et al. 2023",
        at="""
            work.evaluation.evaluate work.evaluation.held_out_energy_score work.evaluation.likelihood_and_round_trip
            work.evaluation.speed
        """,
        tests="reference/work/test_evaluation.py::test_a_right_model_gets_the_numbers_theory_says",
        vectors="energy_score crps saef_log_prob",
    ),
    Entry(
        "D-loss: held-out cross-entropy of a classifier of real against generated, log 2 where nothing tells them apart. "
        "The paper does not say which classifier; ours is stated.",
        source="Si et al. 2023",
        at="work.metrics.d_loss work.metrics.discriminator",
        tests="""
            statistics/test_metrics.py::test_d_loss_of_real_against_real_digits
            statistics/test_metrics.py::test_d_loss_catches_broken_digits
            statistics/test_metrics.py::test_d_loss_against_the_smallest_possible
        """,
        why="it trains a classifier of scikit-learn: not a function of its inputs alone",
    ),
    Entry(
        "Frechet distance on named features: `|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2`.",
        source="Heusel et al. 2017; Si et al. 2023",
        at="work.metrics.frechet_distance work.metrics.digit_features",
        tests="""
            reference/work/test_metrics.py::test_frechet_distance_is_the_formula
            reference/work/test_metrics.py::test_frechet_distance_in_closed_form
            statistics/test_metrics.py::test_frechet_distance_catches_broken_digits
            reference/work/test_metrics.py::test_the_classifier_knows_the_digits_and_the_features_are_its_last_hidden_layer
        """,
        vectors="frechet_distance",
    ),
    Entry(
        "MMD and energy distance of data and samples.",
        source="Si et al. 2023",
        at="scores.kernels.mmd scores.energy.energy_distance",
        tests="reference/scores/test_scores.py::test_distances_are_their_definitions",
        vectors="mmd energy_distance",
    ),
))
