"""The templates of managed MCP servers, one pure file a kind: config, policy, tools, and what the policy says."""
