"""The shapes that requests must have: one pydantic model a body, strict, unknown fields refused.

Each knows its `wire()` form: what CMA stores and gives back, with every default filled in.
"""
