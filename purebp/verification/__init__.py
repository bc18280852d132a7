"""Verification of hand-written gradients."""

from purebp.verification.report import CheckReport, Report
from purebp.verification.run import verify

__all__ = ["CheckReport", "Report", "verify"]
