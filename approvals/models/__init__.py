"""The tables of approvals, by noun."""

from approvals.models.notices import Delivery, Mail, Notice, Webhook
from approvals.models.policies import ApprovalPolicy
from approvals.models.requests import ApprovalRequest, Decision, Demand, Outcome, Status, Verdict

__all__ = [
    "ApprovalPolicy",
    "ApprovalRequest",
    "Decision",
    "Delivery",
    "Demand",
    "Mail",
    "Notice",
    "Outcome",
    "Status",
    "Verdict",
    "Webhook",
]
