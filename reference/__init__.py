"""What purebp is held against: every op written again from its formula, in plain loops.

NumPy and float64 only (mpmath in `precise`). Nothing here imports purebp or JAX, and nothing
here is shipped with purebp: to go unseen, a mistake has to be made twice, in two styles.

    gates, activations, linalg, layers, norms, sequence, recurrent, losses    the formulas
    backward                              the textbook backward passes: BACKWARD
    numerical                             the numerical gradient by central differences
    precise                               scalar functions and slopes with 50 digits: PRECISE
    worked_examples                       the lecture notes' worked examples with their numbers
    moves                                 where entries come from, for gates that only move them
    scatters                              updates that meet the entries of an array
    remainder                             the remainder
    beta                                  the incomplete beta function
    gamma                                 sums of powers, incomplete gamma functions
    bands                                 tridiagonal systems, products of reflections
    steps                                 signs, rounding, the place of the largest
    eigen_general                         eigenvalues of matrices that are not symmetric
    complex_numbers                       their parts, and Fourier transforms
    windows                               windows and convolutions with every option
    shapes                                small helpers: broadcasting, axes, windows, padding

The loops are written to be read, not to be fast. They follow IEEE arithmetic (infinities and NaN
pass through) and return float64 arrays.
"""
