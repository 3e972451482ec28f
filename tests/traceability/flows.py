"""What both systems stand on: invertible maps, the networks in them, base densities."""
from tests.traceability.entries import Entry, Section

MAPS = Section("Invertible maps", "Forward is noise to data, everywhere. `log_det` is that of the direction taken.", (
    Entry(
        "Affine: `x = z e^s + t`, `log dx/dz = s`, the raw log scale kept within a limit by `s = L tanh(raw / L)`.",
        source="Dinh et al. 2017, section 3; Papamakarios et al. 2017",
        at="flows.affine.affine flows.affine.affine_inverse flows.affine.AffineTransformer core.special.bounded",
        tests="""
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
            reference/flows/test_bijections.py::test_no_raw_number_of_a_network_gets_past_the_bounds_of_the_scales
            reference/flows/test_densities.py::test_bounded
        """,
        vectors="affine affine_inverse",
    ),
    Entry(
        "Monotone rational-quadratic spline: `x = y_k + (y_k+1 - y_k) (s xi^2 + d_k u) / D`, `u = xi (1 - xi)`, `D = s (1 "
        "- 2u) + (d_k + d_k+1) u`; straight lines outside the knots. The inverse without cancellation: a sum of squares.",
        source="Durkan et al. 2019, section 3.1",
        at="""
            flows.spline.rational_quadratic_spline flows.spline.rational_quadratic_spline_inverse
            flows.spline.log_derivative flows.spline.line
        """,
        tests="""
            oracles/test_spline.py::test_spline_and_inverse_agree_with_tfp
            reference/flows/test_bijections.py::test_spline_is_continuous_and_smooth_across_knots_and_into_the_tails
            agreement/test_bijections.py::test_splines_keep_their_digits_both_ways
        """,
        vectors="rational_quadratic_spline rational_quadratic_spline_inverse",
    ),
    Entry(
        "From raw numbers to legal knots: a softmax with a floor for widths and heights, bounded log slopes inside, slopes "
        "of exactly 1 at the ends, so that the tails are the identity.",
        source="Durkan et al. 2019, section 3.1",
        at="flows.spline.knots flows.spline.SplineTransformer",
        tests="""
            reference/flows/test_bijections.py::test_splines_are_the_identity_at_their_start
            reference/flows/test_bijections.py::test_spline_is_continuous_and_smooth_across_knots_and_into_the_tails
        """,
        vectors="spline_transformer spline_transformer_inverse",
    ),
    Entry(
        "Invertible activations: leaky, and the hyperbola `x = p z + q (sqrt(z^2 + 1) - 1)` with its closed-form inverse.",
        source="our choice; Si et al. 2023 ask for an invertible stack of dense layers",
        at="""
            flows.activation.leaky flows.activation.smooth_leaky flows.activation.smooth_leaky_inverse
            flows.activation.LeakyReLU flows.activation.SmoothLeakyReLU
        """,
        tests="""
            reference/flows/test_bijections.py::test_smooth_leaky_has_the_slopes_it_says
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
            reference/flows/test_bijections.py::test_huge_values_come_back
        """,
        vectors="leaky leaky_inverse smooth_leaky smooth_leaky_inverse",
    ),
    Entry(
        "Dense layer: `x = W z + b + C c`, inverse by a linear solve, `log_det = log |det W|` by slogdet.",
        source="Si et al. 2023; our form",
        at="flows.dense.dense flows.dense.dense_inverse flows.dense.Dense flows.dense.shift",
        tests="""
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
            reference/flows/test_bijections.py::test_round_trip_both_ways
            reference/flows/test_bijections.py::test_every_learned_layer_answers_to_its_context
        """,
        vectors="dense dense_inverse",
    ),
    Entry(
        "The same with `W = P L U`: `log |det W| = sum_i log U_ii`.",
        source="Kingma & Dhariwal 2018, eq. 10-11",
        at="flows.dense.PLU flows.dense.factors",
        tests="""
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
            reference/flows/test_bijections.py::test_no_raw_number_of_a_network_gets_past_the_bounds_of_the_scales
        """,
        vectors="plu plu_inverse",
    ),
    Entry(
        "Permutation: `x_i = z_order[i]`, `log_det = 0`.",
        source="Papamakarios et al. 2017",
        at="flows.permutation.Permutation flows.permutation.reversal",
        tests="""
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
            reference/flows/test_bijections.py::test_round_trip_both_ways
        """,
        vectors="permutation permutation_inverse",
    ),
    Entry(
        "Coupling: the coordinates A pass and condition the map of the others, `x_B = tau(z_B; net(z_A, c))`, `log_det = "
        "sum_B log tau'`. With an empty A: the elementwise layer.",
        source="Dinh et al. 2017, section 3.2; Durkan et al. 2019",
        at="flows.coupling.Coupling flows.coupling.elementwise",
        tests="""
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
            reference/flows/test_bijections.py::test_density_integrates_to_one_on_a_plane
            reference/flows/test_bijections.py::test_every_learned_layer_answers_to_its_context
        """,
        vectors="coupling_affine coupling_affine_inverse coupling_spline coupling_spline_inverse",
    ),
    Entry(
        "Masked autoregressive layer: `x_i = tau(z_i; net_i(x_<i, c))` in any order; the inverse takes one pass, forward "
        "d. The other way round it is the inverse autoregressive flow.",
        source="Papamakarios et al. 2017, eq. 3-5; Kingma et al. 2016",
        at="flows.autoregressive.MaskedAutoregressive flows.compose.Invert",
        tests="""
            reference/flows/test_bijections.py::test_autoregressive_zeros_are_exact_in_any_order
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
            reference/flows/test_bijections.py::test_iaf_is_maf_the_other_way_round
        """,
        vectors="autoregressive_affine autoregressive_affine_inverse autoregressive_spline autoregressive_spline_inverse",
    ),
    Entry(
        "MADE: a weight is kept only where information may pass, so that output k sees the inputs of degree < k and no "
        "other; the context enters every layer.",
        source="Germain et al. 2015",
        at="core.networks.MaskedMLP core.networks.made_masks core.networks.MLP core.networks.perceptron",
        tests="""
            reference/core/test_networks.py::test_masked_outputs_see_only_inputs_of_lower_degree
            reference/core/test_networks.py::test_every_input_of_lower_degree_reaches_the_output_where_the_width_allows
            reference/core/test_networks.py::test_masks_by_hand
            reference/core/test_networks.py::test_mlp_is_the_formula
        """,
        vectors="masked_mlp",
    ),
))

STACKS = Section("Flows and base densities", "A flow is a base density pushed through a chain of such maps.", (
    Entry(
        "The usual stacks: alternating couplings, masked autoregressive layers with the order reversed after each, "
        "splines, dense layers and activations in turn; log_dets add up.",
        source="Dinh et al. 2017; Papamakarios et al. 2017; Durkan et al. 2019; Si et al. 2023",
        at="""
            flows.flow.Flow flows.flow.realnvp flows.flow.couplings flows.flow.maf flows.flow.spline_flow flows.flow.dense_flow
            flows.compose.Chain
        """,
        tests="""
            reference/flows/test_flows.py::test_sample_log_prob_and_both_at_once_agree
            reference/flows/test_flows.py::test_constructors
            reference/flows/test_flows.py::test_every_coordinate_meets_every_other
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
        """,
        vectors="""
            realnvp_sample realnvp_log_prob maf_sample maf_log_prob spline_flow_sample spline_flow_log_prob dense_flow_sample
            dense_flow_log_prob
        """,
    ),
    Entry(
        "Base densities: normal, uniform on a half-open cube, and every target; none is learned.",
        source="our choice; Grenioux et al. 2023 use N(0, s^2 I)",
        at="flows.densities.Normal flows.densities.Uniform",
        tests="""
            reference/flows/test_densities.py::test_mass_is_one
            reference/flows/test_densities.py::test_closed_forms
            reference/flows/test_densities.py::test_samples_follow_the_density_on_a_plane
            reference/flows/test_densities.py::test_uniform_outside_its_cube
            reference/flows/test_flows.py::test_a_base_of_one_s_own
        """,
        vectors="diagonal_normal_log_prob uniform_log_prob",
    ),
))

IMAGES = Section("Images", "A row of h w c numbers is an image, line by line, channels last.", (
    Entry(
        "Convolution with a stride and zeros around the image, as one product of matrices; its adjoint adds up what overlaps.",
        source="by definition",
        at="core.convolution.conv2d",
        tests="""
            reference/core/test_convolution.py::test_conv2d_is_a_loop_over_the_formula
            reference/core/test_convolution.py::test_first_and_second_derivatives_against_differences
            reference/core/test_convolution.py::test_patches_and_unpatched_are_each_others_adjoints
        """,
        vectors="conv2d",
    ),
    Entry(
        "Masked convolution: an output sees what is read before it; of its own place earlier groups of channels (A), or its "
        "own as well (B). Place by place, all places together cost one pass.",
        source="van den Oord et al. 2016, section 3.4; van den Oord et al. 2016b, eq. 2",
        at="core.convolution.causal_mask core.convolution.ConvNet core.convolution.ConvNet.walker core.convolution.gated",
        tests="""
            reference/core/test_convolution.py::test_a_masked_network_sees_what_comes_before_and_nothing_else
            reference/core/test_convolution.py::test_one_place_after_the_other_is_the_whole_network
            reference/core/test_convolution.py::test_the_network_is_its_formula
        """,
        vectors="masked_conv2d",
    ),
    Entry(
        "Squeeze: each 2 x 2 square is one place with four times the channels.",
        source="Dinh et al. 2017, section 3.6",
        at="flows.image.squeeze",
        tests="reference/flows/test_image_flows.py::test_squeeze_puts_each_square_into_the_channels_of_its_place",
        vectors="squeeze squeeze_inverse",
    ),
    Entry(
        "Affine coupling by a convolutional network, by checkerboard or by channels: `x = m z + (1 - m)(z e^s + t)`, `(s, t) = "
        "net(m z, c)`, `log_det = sum (1 - m) s`.",
        source="Dinh et al. 2017, section 3.4",
        at="flows.convolutional.ConvCoupling flows.image.checkerboard flows.image.channel_half",
        tests="""
            reference/flows/test_image_flows.py::test_the_coupling_is_its_formula
            reference/flows/test_image_flows.py::test_masks_by_hand
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
        """,
        vectors="conv_coupling conv_coupling_inverse",
    ),
    Entry(
        "Actnorm `x = z e^s + t` of each channel, started so that the noise behind it has mean 0 and variance 1 on data.",
        source="Kingma & Dhariwal 2018, section 3.1",
        at="flows.convolutional.ActNorm flows.convolutional.EachPlace flows.image.started",
        tests="""
            reference/flows/test_image_flows.py::test_actnorm_is_its_formula_and_starts_standardised
            reference/flows/test_image_flows.py::test_a_whole_glow_starts_with_standardised_noise_behind_every_actnorm
            reference/work/test_images.py::test_glow_starts_at_its_data
        """,
        vectors="actnorm actnorm_inverse",
    ),
    Entry(
        "Invertible 1 x 1 convolution `x = W z` at each place, `log_det = h w log |det W|`, W free or `P L U`.",
        source="Kingma & Dhariwal 2018, eq. 9-11",
        at="flows.convolutional.EachPlace flows.dense.Dense flows.dense.PLU",
        tests="""
            reference/flows/test_image_flows.py::test_the_one_by_one_convolution_is_a_convolution
            reference/flows/test_image_flows.py::test_each_place_is_the_same_map_of_the_channels_everywhere
        """,
        vectors="conv_1x1 conv_1x1_inverse",
    ),
    Entry(
        "The multi-scale architecture: half of the channels go on to the smaller scale, the other half is noise that enters "
        "there.",
        source="Dinh et al. 2017, section 3.6; Kingma & Dhariwal 2018",
        at="flows.image.glow flows.image.image_realnvp flows.image.scale flows.convolutional.Inside",
        tests="""
            reference/flows/test_image_flows.py::test_the_scales_are_where_they_should_be
            reference/flows/test_image_flows.py::test_what_a_flow_is_made_of
            reference/flows/test_image_flows.py::test_log_det_is_that_of_the_full_jacobian_both_ways
        """,
        why="a composition of layers that have vectors",
    ),
))
