"""Convergence: one table of what should be and what is, and the engine that closes the gap."""
