"""Drives an MCP server with the official client. Standard input: {"command", "args", "env"}; standard output: the names of the checks that passed."""
import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

job = json.load(sys.stdin)


def field(o, *names):
    """A field under the name that this version of the client gives it."""
    return next(getattr(o, n) for n in names if hasattr(o, n))


async def main():
    passed = []
    server = StdioServerParameters(command=job["command"], args=job["args"], env={**os.environ, **job["env"]})
    async with stdio_client(server) as (read, write), ClientSession(read, write) as client:
        assert field(await client.initialize(), "server_info", "serverInfo").name == "plinth"
        passed.append("initialize")
        tools = (await client.list_tools()).tools
        assert [t.name for t in tools] == ["generate", "embed", "classify"], tools
        assert "prompt" in field(tools[0], "input_schema", "inputSchema")["properties"]
        passed.append("tools")
        r = await client.call_tool("generate", {"prompt": "hi"})
        assert r.content[0].text == "Hello there, my friend. How are you today?", r
        passed.append("generate")
        r = await client.call_tool("embed", {"input": ["aab"]})
        assert field(r, "structured_content", "structuredContent")["data"][0]["embedding"] == [2, 1, 0], r
        passed.append("embed")
        r = await client.call_tool("classify", {"input": ["aab"]})
        assert json.loads(r.content[0].text)["data"][0]["label"] == "a", r
        passed.append("classify")
        r = await client.call_tool("generate", {"prompt": "hi", "temperature": -1})
        assert field(r, "is_error", "isError") and "temperature" in r.content[0].text, r
        passed.append("errors")
    return passed


passed = asyncio.run(main())
json.dump(passed, sys.stdout)
