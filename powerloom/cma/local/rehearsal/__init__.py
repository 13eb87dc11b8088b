"""The meta-agent's part of the scripted model: it understands a small language and works through real tools.

    understand(text) → Request → the work (a generator of tool calls, fed with what they answered) → steps

Pure and deterministic: what comes next is a function of the session's events, so a killed server goes on, and a second
turn knows what the first one asked. On the hosted CMA a model does all of this; here a script says that it is one.
"""
