"""The template `postgres`: read with PostgreSQL's own grammar, decided by walking the whole tree.

`tables` what a policy lists, `grammar` the parser and its thread, `functions` what may be called, `nodes` which parts
of the grammar exist for us, `statements` the walk, `template` config, policy and tools.
"""
