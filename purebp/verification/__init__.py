"""Verification of hand-written gradients."""

from purebp.verification.agreement import Comparison, Parting, compare
from purebp.verification.report import CheckReport, Report
from purebp.verification.run import verify

__all__ = ["CheckReport", "Comparison", "Parting", "Report", "compare", "verify"]
