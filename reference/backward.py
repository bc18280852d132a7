"""The textbook backward pass of every op: BACKWARD[name](args, y_bar, **options).

`args` is the tuple of the forward function's arguments, `y_bar` the upstream gradient (a tuple of
them for `branch`; that of y alone for `batch_norm`), the options are those of the forward
function. The answer is a tuple with one gradient for each argument, None where there is none
(labels, masks, a missing bias).
"""

from collections.abc import Callable

from reference import (
    backward_activations,
    backward_elementwise,
    backward_factors,
    backward_gates,
    backward_layers,
    backward_linalg,
    backward_lines,
    backward_losses,
    backward_mixture,
    backward_more_losses,
    backward_products,
    backward_recurrent,
    backward_sampled,
    backward_scans,
    backward_spectral,
    bands,
    beta,
    complex_numbers,
    eigen_general,
    gamma,
    moves,
    remainder,
    scatters,
    steps,
    windows,
)

BACKWARD: dict[str, Callable] = {
    **backward_gates.BACKWARD,
    **backward_elementwise.BACKWARD,
    **backward_activations.BACKWARD,
    **backward_linalg.BACKWARD,
    **backward_spectral.BACKWARD,
    **backward_products.BACKWARD,
    **backward_factors.BACKWARD,
    **backward_lines.BACKWARD,
    **backward_layers.BACKWARD,
    **backward_losses.BACKWARD,
    **backward_more_losses.BACKWARD,
    **backward_recurrent.BACKWARD,
    **moves.BACKWARD,
    **scatters.BACKWARD,
    **remainder.BACKWARD,
    **steps.BACKWARD,
    **bands.BACKWARD,
    **gamma.BACKWARD,
    **beta.BACKWARD,
    **windows.BACKWARD,
    **complex_numbers.BACKWARD,
    **eigen_general.BACKWARD,
    **backward_scans.BACKWARD,
    **backward_mixture.BACKWARD,
    **backward_sampled.BACKWARD,
}
