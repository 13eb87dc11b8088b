"""The server of the managed MCP servers: one ASGI application that serves every deployment at its own address."""
