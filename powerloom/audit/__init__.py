"""The tamper-evident trail of every control-plane change: one hash chain an organization, one for the installation."""
