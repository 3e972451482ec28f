"""Why each survivor of the sample lives, and the tests that were added for others of the first run."""
SAME_PROGRAM = "equivalent"
UNSEEN = "not seen"

REASONS: dict[tuple[str, str], tuple[str, str]] = {
    ("reference/flows/autoregressive.py", "degrees = tuple(int(i) ** 1 for i in onp.argsort(self.order))"): (
        SAME_PROGRAM, "All degrees of the network are one less; its masks compare degrees with each other only."),
    ("reference/flows/spline.py", "square, least = b**2 - 4 * a * c, (float(np.finfo(x.dtype).eps) * b) ** 3"): (
        UNSEEN, "A smaller floor under a discriminant that is lost to rounding; xi moves by less than a rounding, and what is "
        "left of its gradient there has no true value to be compared with."),
    ("reference/mcmc/adaptation.py", ""): (
        SAME_PROGRAM, "The property of a Protocol: for the type checker alone, nothing runs it."),
    ("reference/mcmc/ess.py",
     "size = 1 << (2 * steps * 1).bit_length()  # zeros behind the draws, or the end would be correlated with the start"): (
        SAME_PROGRAM, "More zeros behind the draws than are needed."),
    ("reference/mcmc/rhat.py",
     "x = x - x[0, -1]  # equal draws become exact zeros; their mean would be off by a rounding"): (
        SAME_PROGRAM, "Another draw is subtracted from all; equal draws become exact zeros all the same."),
    ("reference/mcmc/independence.py",
     "return np.sum((uniform[:, None] * total >= reached) * (reached < total), axis=1)"
     "  # the second: a last slot without weight"): (
        SAME_PROGRAM, "The product of booleans is their conjunction."),
    ("reference/mcmc/independence.py", "if np.any(np.isnan(log_lambda) | (log_lambda >= np.inf)):"): (
        SAME_PROGRAM, "Nothing is greater than infinity."),
    ("reference/saef/semiautoregressive.py", "if any(T.context_dim is not self.context_width for T in self.maps):"): (
        UNSEEN, "Python keeps one object for each integer up to 256; a width above would have to be made twice."),
    ("reference/scores/kernels.py", "if len(bandwidths) <= 0:"): (
        SAME_PROGRAM, "A length is never negative."),
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
    "test_saef.py::test_what_is_chosen_where_nothing_is_said": "the defaults",
    "test_saef.py::test_parameters_of_other_maps_are_refused": "fewer or more maps than the flow has",
    "test_saef.py::test_bad_choices": "an order that is too long",
}
