"""What is most likely wrong with a backward pass, from the numbers it gives.

W is the hand-written Jacobian and J the right one, argument by argument; each rule looks for one
relation between them. The first that fits, in the order of `rules.RULES`, is named.
"""

from purebp.verification.diagnosis.context import diagnose_each, in_context, of_a_check
from purebp.verification.diagnosis.find import diagnose
from purebp.verification.diagnosis.views import Diagnosis

__all__ = ["Diagnosis", "diagnose", "diagnose_each", "in_context", "of_a_check"]
