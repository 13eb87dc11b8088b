"""The tables of the machinery, for platform operators to read."""

from django.contrib import admin
from django.contrib.auth.models import Group

from powerloom.audit.models import ChainHead, DenialWindow, Entry, Installation
from powerloom.commands.models import IdempotencyRecord
from powerloom.manifests.models import SetMember
from powerloom.reconcile.models import Lane, Orphan, RateBucket, SweepPass, SyncState
from powerloom.web.operators import read_only

admin.site.unregister(Group)  # Django's own groups: nobody uses them, and their page would write
read_only(SyncState, Lane, Orphan, SetMember)
read_only(Entry, ChainHead, tenant="chain_id")
read_only(DenialWindow, IdempotencyRecord, Installation, RateBucket, SweepPass, tenant="")
