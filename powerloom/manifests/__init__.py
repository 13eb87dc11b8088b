"""Manifests: documents of what should be, planned against what is and applied as one set of commands."""
