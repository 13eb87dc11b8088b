"""Powerloom: the governance control plane for Claude Managed Agents."""

__version__ = "0.1.0"
