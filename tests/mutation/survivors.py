"""Why each survivor of the sample lives, and the tests that were added for others, of this and of earlier samples."""
SAME_PROGRAM = "equivalent"
UNSEEN = "not seen"

REASONS: dict[tuple[str, str], tuple[str, str]] = {
    ("reference/flows/dense.py", "return z, np.zeros_like(x[:, -1]) - np.sum(log_diagonal)"): (
        SAME_PROGRAM, "Of the column only length and dtype count."),
    ("reference/flows/flow.py",
     "masks = [tuple((i - k) % 2 == 1 for i in range(d)) if d > 1 else (False,) for k in range(layers)]"): (
        SAME_PROGRAM, "A sum and a difference of whole numbers are both even or both odd."),
    ("reference/mcmc/ess.py",
     "size = 1 << ( 3 * steps - 1).bit_length()  # zeros behind the draws, or the end would be correlated with the start"): (
        SAME_PROGRAM, "More zeros behind the draws than are needed."),
    ("reference/mcmc/ess.py", "last = pairs[end, 0] if sums[end] >= 0 else max(pairs[end, 0], 0.0)"): (
        UNSEEN, "Another number only where two neighbouring autocorrelations, the first negative, add up to zero exactly; they "
        "come out of a Fourier transform, rounded."),
    ("reference/mcmc/independence.py",
     "return np.sum((uniform[:, None] * total >= reached) & (reached != total), axis=1)"
     "  # the second: a last slot without weight"): (
        SAME_PROGRAM, "Running sums of positive numbers never exceed the last one."),
    ("reference/mcmc/independence.py", "if np.any(np.isnan(log_lambda) ^ (log_lambda == np.inf)):"): (
        SAME_PROGRAM, "No number is both NaN and infinite."),
}
ADDED = {
    "test_diagnostics.py::test_ess_is_the_sum_it_stands_for": "Geyer's sequence pair by pair, to the last of a short chain",
    "test_diagnostics.py::test_positions_are_their_coordinates": "positions with one coordinate",
    "test_diagnostics.py::test_no_autocorrelation_of_a_chain_that_stands_still": "which chain is named",
    "test_mcmc.py::test_errors_name_the_first_chain_that_is_wrong": "one or two wrong chains among four",
    "test_mcmc.py::test_a_flow_whose_density_is_no_number_is_an_error": "NaN or +inf, at the chains and at the proposals",
    "test_mcmc.py::test_flowmc_refuses_noise_for_other_numbers_of_steps": "too much noise, not only too little",
    "test_mcmc.py::test_the_choices_of_a_kernel_are_frozen": "kernels cannot be changed, and can be keys",
    "test_mcmc.py::test_bad_choices": "acceptances beyond 0 and 1",
    "test_scores.py::test_kernels_are_their_choices": "equal, of one hash, frozen",
    "test_scores.py::test_bad_input_is_named": "points without coordinates",
    "test_bijections.py::test_leaky_by_hand": "its values between 0 and 1: the contract allows a kink anywhere",
    "test_bijections.py::test_a_bijection_is_its_choices": "equal, of one hash, frozen",
    "test_bijections.py::test_what_is_chosen_where_nothing_is_said": "the defaults, which no test had asked for",
    "test_bijections.py::test_bad_choices_are_refused": "slopes at and below zero",
    "test_densities.py::test_a_density_is_its_choices": "equal, of one hash, frozen",
    "test_densities.py::test_bad_choices": "a cube whose low is above its high",
    "test_flows.py::test_what_is_chosen_where_nothing_is_said": "the defaults of the four flows",
    "test_saef.py::test_what_is_chosen_where_nothing_is_said": "the defaults",
    "test_saef.py::test_parameters_of_other_maps_are_refused": "fewer or more maps than the flow has",
    "test_saef.py::test_bad_choices": "an order that is too long",
}
