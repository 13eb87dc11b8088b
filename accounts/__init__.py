"""Who is who and who may do what: organizations, the OU tree, principals, roles, bindings, tokens, secrets, the law of
access.
"""
