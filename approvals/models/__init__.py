"""The tables of approvals, by noun."""

from approvals.models.notices import Notice
from approvals.models.policies import ApprovalPolicy
from approvals.models.requests import ApprovalRequest, Decision, Demand, Outcome, Status, Verdict

__all__ = ["ApprovalPolicy", "ApprovalRequest", "Decision", "Demand", "Notice", "Outcome", "Status", "Verdict"]
