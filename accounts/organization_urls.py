"""Console URLs of the organization's room."""

from django.urls import path

from accounts.views import access, bindings, groups, roles, tree, users

app_name = "organization"
urlpatterns = [
    path("organization", tree.tree, name="tree"),
    path("organization/ous/new", tree.ou_new, name="ou_new"),
    path("organization/ous/<uuid:ou_id>", tree.ou_detail, name="ou"),
    path("organization/ous/<uuid:ou_id>/access", tree.access, name="access"),
    path("organization/ous/<uuid:ou_id>/edit", tree.ou_edit, name="ou_edit"),
    path("organization/ous/<uuid:ou_id>/archive", tree.ou_archive, name="ou_archive"),
    path("organization/users", users.user_list, name="users"),
    path("organization/users/new", users.user_new, name="user_new"),
    path("organization/users/<uuid:user_id>", users.user_detail, name="user"),
    path("organization/users/<uuid:user_id>/rename", users.user_rename, name="user_rename"),
    path("organization/users/<uuid:user_id>/move", users.user_move, name="user_move"),
    path("organization/users/<uuid:user_id>/disable", users.user_disable, name="user_disable"),
    path("organization/users/<uuid:user_id>/enable", users.user_enable, name="user_enable"),
    path("organization/users/<uuid:user_id>/password", users.user_password, name="user_password"),
    path("organization/groups", groups.group_list, name="groups"),
    path("organization/groups/new", groups.group_new, name="group_new"),
    path("organization/groups/<uuid:group_id>", groups.group_detail, name="group"),
    path("organization/groups/<uuid:group_id>/edit", groups.group_edit, name="group_edit"),
    path("organization/groups/<uuid:group_id>/archive", groups.group_archive, name="group_archive"),
    path("organization/groups/<uuid:group_id>/members", groups.member_add, name="member_add"),
    path(
        "organization/groups/<uuid:group_id>/members/<uuid:member_id>/remove",
        groups.member_remove,
        name="member_remove",
    ),
    path("organization/roles", roles.role_list, name="roles"),
    path("organization/roles/new", roles.role_new, name="role_new"),
    path("organization/roles/<uuid:role_id>", roles.role_detail, name="role"),
    path("organization/roles/<uuid:role_id>/edit", roles.role_edit, name="role_edit"),
    path("organization/roles/<uuid:role_id>/archive", roles.role_archive, name="role_archive"),
    path("organization/bindings", bindings.binding_list, name="bindings"),
    path("organization/bindings/new", bindings.binding_new, name="binding_new"),
    path("organization/bindings/<uuid:binding_id>", bindings.binding_detail, name="binding"),
    path("organization/bindings/<uuid:binding_id>/end", bindings.binding_end, name="binding_end"),
    path("organization/explain", access.explained, name="explain"),
    path("organization/why", access.why, name="why"),
]
