#!/usr/bin/env python3
"""`keystile mcp` through the official Python SDK's client: `mcp` 1.x (handshake) or 2.x (stateless), whichever is
installed. Every outcome, refusals too, is validated against its tool's outputSchema."""

import asyncio
import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
import unittest

import jsonschema
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from driver import new_root
from http_test import HttpServer

PROGRAM = os.environ["KEYSTILE"]  # the same as the driver's
MAJOR = int(importlib.metadata.version("mcp").partition(".")[0])
NEVER = {"version": "0", "epoch": "0"}


def stamp(outcome):
    return {"version": outcome["version"], "epoch": outcome["epoch"]}


def member(result, snake, camel):
    return getattr(result, snake) if hasattr(result, snake) else getattr(result, camel)


class Client:
    """What the tests need of either SDK."""

    def __init__(self, connection):
        self.connection = connection
        self.validators = {}

    async def tools(self):
        listed = (await self.connection.list_tools()).tools
        for tool in listed:
            schema = member(tool, "output_schema", "outputSchema")
            jsonschema.Draft202012Validator.check_schema(schema)
            self.validators[tool.name] = jsonschema.Draft202012Validator(schema)
            jsonschema.Draft202012Validator.check_schema(member(tool, "input_schema", "inputSchema"))
        return listed

    async def call(self, tool, **arguments):
        if not self.validators:
            await self.tools()
        result = await self.connection.call_tool(tool, arguments)
        outcome = member(result, "structured_content", "structuredContent")
        self.validators[tool].validate(outcome)
        assert member(result, "is_error", "isError") == (outcome["status"] != "ok"), result
        assert json.loads(result.content[0].text) == outcome
        return outcome


@contextlib.asynccontextmanager
async def stdio(root):
    parameters = StdioServerParameters(command=PROGRAM, args=["mcp", "--root", root])
    if MAJOR >= 2:
        from mcp import Client as SdkClient
        async with SdkClient(stdio_client(parameters)) as connection:
            yield Client(connection)
        return
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield Client(session)


@contextlib.asynccontextmanager
async def over_http(root):
    server = HttpServer(root)
    url = "http://127.0.0.1:%d/mcp" % server.port
    try:
        if MAJOR >= 2:
            from mcp import Client as SdkClient
            async with SdkClient(url) as connection:
                yield Client(connection)
            return
        from mcp.client.streamable_http import streamable_http_client
        async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            yield Client(session)
    finally:
        server.close()


class Sdk(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.root = stack.enter_context(new_root())

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # ten times the work

    async def tour(self, client):
        """Each tool, as it succeeds and as it refuses."""
        called = set()

        async def expect(status, tool, **arguments):
            called.add((tool, status == "ok"))
            outcome = await client.call(tool, **arguments)
            self.assertEqual(outcome["status"], status, (tool, arguments, outcome))
            return outcome

        tools = await client.tools()
        self.assertEqual(len(tools), 13)
        seen = await expect("ok", "read_file", path="plan.md")
        written = await expect("ok", "write_file", path="plan.md", content="# Plan\n", **stamp(seen))
        await expect("conflict", "write_file", path="plan.md", content="x", **stamp(seen))
        edits = [{"old_text": "Plan", "new_text": "The plan"}]
        edited = await expect("ok", "edit_file", path="plan.md", edits=edits, **stamp(written))
        await expect("conflict", "edit_file", path="plan.md", edits=edits, **stamp(written))
        unknown = [{"old_text": "?", "new_text": "!"}]
        await expect("no_match", "edit_file", path="plan.md", edits=unknown, **stamp(edited))
        await expect("invalid_arguments", "read_file", path="../x")
        await expect("ok", "list_directory")
        await expect("invalid_arguments", "list_directory", path="../x")
        await expect("ok", "get_file_info", path="plan.md")
        await expect("invalid_arguments", "get_file_info", path="/x")

        await expect("ok", "read_state", key="count")
        await expect("invalid_arguments", "read_state", key="")
        count = await expect("ok", "commit_state", key="count", value="1", **NEVER)
        refused = await expect("conflict", "commit_state", key="count", value="1", **NEVER)
        self.assertEqual(refused["value"], "1")
        await expect("ok", "list_states")
        await expect("invalid_arguments", "list_states", limit=-1)

        gate = [{"path": "plan.md", **stamp(edited)}, {"key": "count", **stamp(count)}]
        await expect("ok", "gate", expect=gate)
        opened = await expect("ok", "gate", expect=gate, claim=True)
        await expect("held", "gate", expect=gate, claim=True)
        await expect("held", "write_file", path="plan.md", content="x", **stamp(edited))
        for item in opened["checked"]:
            target = {"path": "plan.md"} if "path" in item else {"key": "count"}
            await expect("ok", "renew", claim=item["claim"], **target)
            await expect("ok", "status")
            await expect("ok", "list_directory")
            await expect("ok", "list_states")
            await expect("ok", "release", claim=item["claim"], **target)
            await expect("fenced", "release", claim=item["claim"], **target)
            await expect("fenced", "renew", claim=item["claim"], **target)
        await expect("fenced", "gate", expect=gate)

        claim = await expect("ok", "claim", key="count", lease_seconds=600)
        await expect("held", "claim", key="count")
        await expect("held", "commit_state", key="count", value="2", **stamp(claim))
        await expect("ok", "commit_state", key="count", value="2", claim=claim["claim"], release=True, **stamp(claim))
        await expect("fenced", "commit_state", key="count", value="3", claim=claim["claim"], **stamp(claim))
        with open(os.path.join(self.root, "plan.md"), "w") as file:
            file.write("edited by hand")
        await expect("foreign_edit", "read_file", path="plan.md")
        await expect("ok", "read_file", path="plan.md", adopt=True)
        names = {tool.name for tool in tools}
        self.assertEqual({name for name, is_ok in called if is_ok}, names)
        self.assertEqual({name for name, is_ok in called if not is_ok}, names - {"status"})

    async def test_every_tool_over_standard_input_and_output(self):
        async with stdio(self.root) as client:
            await self.tour(client)

    async def test_every_tool_over_http(self):
        async with over_http(self.root) as client:
            await self.tour(client)

    async def test_what_the_client_gives_up_waiting_for_is_not_kept(self):
        async with stdio(self.root) as client, stdio(self.root) as other:
            token = (await client.call("claim", key="k", lease_seconds=600))["claim"]
            waiting = asyncio.ensure_future(other.call("claim", key="k", wait_seconds=50))
            while not waiting.done() and not other.validators:
                await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            self.assertEqual((await client.call("release", key="k", claim=token))["status"], "ok")
            self.assertEqual((await client.call("claim", key="k", wait_seconds=50))["status"], "ok")

    async def test_four_servers_and_hundreds_of_edits_none_lost(self):
        turns = 75 if MAJOR >= 2 else 30  # 1.x reads the schema anew at each call
        conflicts = 0

        async def work(name):
            nonlocal conflicts
            async with stdio(self.root) as client:
                for turn in range(turns):
                    while True:
                        seen = await client.call("read_file", path="log")
                        line = "%d.%d\n" % (name, turn)
                        outcome = await client.call("write_file", path="log", content=(seen["content"] or "") + line,
                                                    **stamp(seen))
                        if outcome["status"] == "ok":
                            break
                        self.assertEqual((outcome["status"], outcome["recover"]), ("conflict", "read_again"))
                        conflicts += 1

        await asyncio.gather(*(work(name) for name in range(4)))
        with open(os.path.join(self.root, "log")) as file:
            lines = file.read().splitlines()
        print("mcp %s: 4 servers, %d edits, %d conflicts, %d lost"
              % (importlib.metadata.version("mcp"), 4 * turns, conflicts, 4 * turns - len(set(lines))))
        written = ["%d.%d" % (name, turn) for name in range(4) for turn in range(turns)]
        self.assertEqual(sorted(lines), sorted(written))
        self.assertGreater(conflicts, 0)


@unittest.skipUnless(os.environ.get("MCP_INSPECTOR"), "MCP_INSPECTOR is not set")
class Inspector(unittest.TestCase):
    """Its command line; MCP_INSPECTOR is how it is called."""

    def run_inspector(self, root, *arguments):
        inspector = os.environ["MCP_INSPECTOR"].split()
        done = subprocess.run([*inspector, "--cli", PROGRAM, "mcp", "--root", root, *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def test_it_lists_and_calls(self):
        with new_root() as root:
            status, said = self.run_inspector(root, "--method", "tools/list")
            self.assertEqual(status, 0, said)
            self.assertIn("commit_state", said)
            call = ("--method", "tools/call", "--tool-name", "commit_state", "--tool-arg", "key=k", "value=v",
                    "version=0", "epoch=0")
            status, said = self.run_inspector(root, *call)
            self.assertEqual(status, 0, said)
            self.assertRegex(said, r'"status":\s*"ok"')
            _, said = self.run_inspector(root, *call)
            self.assertIn("conflict", said)


if __name__ == "__main__":
    print("mcp", importlib.metadata.version("mcp"), file=sys.stderr)
    unittest.main()
