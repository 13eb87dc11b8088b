"""Console URLs of approvals."""

from django.urls import path

from approvals.views import inbox, policies

app_name = "approvals"
urlpatterns = [
    path("approvals", inbox.inbox, name="list"),
    path("approvals/count", inbox.count, name="count"),
    path("approvals/decide", inbox.decide_several, name="decide_several"),
    path("approvals/<uuid:request_id>", inbox.request_detail, name="detail"),
    path("approvals/<uuid:request_id>/state", inbox.request_state, name="state"),
    path("approvals/<uuid:request_id>/inline", inbox.inline, name="inline"),
    path("approvals/<uuid:request_id>/decide", inbox.decide, name="decide"),
    path("approvals/<uuid:request_id>/cancel", inbox.cancel, name="cancel"),
    path("approvals/policies", policies.policy_list, name="policies"),
    path("approvals/policies/new", policies.policy_new, name="policy_new"),
    path("approvals/policies/try", policies.policy_try, name="policy_try"),
    path("approvals/policies/<uuid:policy_id>", policies.policy_detail, name="policy"),
    path("approvals/policies/<uuid:policy_id>/edit", policies.policy_edit, name="policy_edit"),
    path("approvals/policies/<uuid:policy_id>/switch-on", policies.policy_switch_on, name="policy_switch_on"),
    path("approvals/policies/<uuid:policy_id>/switch-off", policies.policy_switch_off, name="policy_switch_off"),
    path("approvals/policies/<uuid:policy_id>/delete", policies.policy_archive, name="policy_archive"),
]
