"""Mistakes of published flow libraries: what each was, and what would notice it here."""
from tests.traceability.entries import Entry, Section

LIBRARIES = Section("Mistakes in published flow libraries", "Cases of the vectors are named after them.", (
    Entry(
        "The conditioner's output has the wrong width and is broadcast: log_det is a fraction of the right one (normflows "
        "#29).",
        source="public issue",
        at="flows.affine.AffineTransformer flows.coupling.Coupling",
        tests="""
            reference/flows/test_bijections.py::test_cores_never_broadcast
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
        """,
        vectors="coupling_affine#wide coupling_spline#wide",
    ),
    Entry(
        "The first output of a conditional MADE does not depend on the context (nflows PR 85).",
        source="public issue",
        at="core.networks.MaskedMLP flows.autoregressive.MaskedAutoregressive",
        tests="""
            reference/core/test_networks.py::test_every_masked_output_depends_on_the_context_in_every_layer
            reference/flows/test_bijections.py::test_every_learned_layer_answers_to_its_context
        """,
        vectors="masked_mlp#context autoregressive_affine#context",
    ),
    Entry(
        "Splines beyond their ends: NaN gradients from the branch not taken (flowjax #239, bayesflow #721), an error where "
        "all inputs are in the tails (nflows #23).",
        source="public issues",
        at="flows.spline.rational_quadratic_spline flows.spline.clamp",
        tests="""
            reference/flows/test_bijections.py::test_values_and_gradients_are_finite_at_and_beyond_every_boundary
            reference/flows/test_bijections.py::test_huge_values_come_back
        """,
        vectors="rational_quadratic_spline#tail rational_quadratic_spline#all_tails spline_transformer#tail",
    ),
    Entry(
        "The spline's inverse: a negative discriminant (nflows #87), digits lost in it and in the root (new), the wrong knot "
        "(FrEIA #140).",
        source="public issues",
        at="flows.spline.rational_quadratic_spline_inverse",
        tests="""
            agreement/test_bijections.py::test_splines_keep_their_digits_both_ways
            reference/flows/test_bijections.py::test_round_trip_both_ways
            oracles/test_spline.py::test_spline_and_inverse_agree_with_tfp
        """,
        vectors="""
            rational_quadratic_spline_inverse#discriminant rational_quadratic_spline_inverse#root
            rational_quadratic_spline_inverse#last_digits rational_quadratic_spline_inverse#asymmetric
        """,
    ),
    Entry(
        "An identity start with linear tails that is not the identity (nflows); least slopes and widths that are declared "
        "and never used (bijx).",
        source="found by trying",
        at="flows.spline.SplineTransformer flows.spline.knots",
        tests="""
            reference/flows/test_bijections.py::test_splines_are_the_identity_at_their_start
            reference/flows/test_bijections.py::test_no_raw_number_of_a_network_gets_past_the_bounds_of_the_scales
        """,
        vectors="spline_transformer#identity spline_transformer#floor",
    ),
    Entry(
        "The sign of the inverse's log_det (flowjax #208), a density that does not integrate to 1 (flowjax #102): `log_det "
        "+ inverse log_det = 0` as the only test lets a consistently wrong log_det pass.",
        source="public issues",
        at="flows.flow.Flow.log_prob flows.compose.Chain flows.compose.Invert",
        tests="""
            reference/flows/test_bijections.py::test_log_det_is_that_of_the_full_jacobian_both_ways
            reference/flows/test_bijections.py::test_forward_jacobian_agrees_with_finite_differences
            reference/flows/test_bijections.py::test_density_integrates_to_one_on_a_plane
        """,
        vectors="affine_inverse dense_inverse plu_inverse",
    ),
    Entry(
        "float32 log_dets of a float64 model; a layer that changes its input (normflows). The runner of the vectors looks at "
        "the dtype of every answer, and at the inputs after every call.",
        source="found by trying",
        at="flows.compose.Chain flows.flow.Flow",
        tests="""
            reference/flows/test_bijections.py::test_dtype_kept_inputs_untouched_and_rows_independent
            reference/flows/test_flows.py::test_dtype_is_kept_and_inputs_untouched
        """,
        vectors="coupling_affine plu_inverse",
    ),
    Entry(
        "A NaN in log_prob that is turned into -inf (flowjax).",
        source="found by trying",
        at="flows.densities.Uniform flows.flow.Flow.log_prob",
        tests="""
            reference/flows/test_densities.py::test_nan_stays_nan
            reference/flows/test_flows.py::test_nan_and_wrong_shapes_are_refused
        """,
        why="no vector has a NaN among its inputs",
    ),
))
