"""The tables of approvals, for platform operators to read."""

from approvals import models
from powerloom.web.operators import read_only

read_only(models.ApprovalPolicy, models.ApprovalRequest)
read_only(models.Decision, models.Demand, models.Notice, tenant="request.organization_id")
