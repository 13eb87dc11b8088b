"""The tables of approvals, for platform operators to read."""

from approvals import models
from powerloom.web.operators import read_only

read_only(models.ApprovalPolicy, models.ApprovalRequest, models.Webhook)
read_only(models.Decision, models.Demand, models.Notice, tenant="request.organization_id")
read_only(models.Delivery, models.Mail, tenant="notice.request.organization_id")
