"""A bare MCP server on the SDK, with the echo tool and nothing around it: `python -m tests.bare_mcp PORT`."""

import sys

import uvicorn
from mcp.server.mcpserver import MCPServer


def main(port: int) -> None:
    server = MCPServer("bare")

    @server.tool()
    async def echo(text: str) -> str:
        return text

    app = server.streamable_http_app(stateless_http=True, json_response=True)
    uvicorn.run(app, port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
