"""Runs the tools of `powerloom_meta`: calls of our own REST API, with the rights of the session's user."""
