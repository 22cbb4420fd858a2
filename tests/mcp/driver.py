"""`keystile mcp` as a client starts it: its own process, lines in, lines out. No package is needed."""

import contextlib
import json
import os
import select
import subprocess
import tempfile
import unittest

PROGRAM = os.environ.get("KEYSTILE", "keystile")
NEWEST = "2026-07-28"
WITH_HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
META = {
    "io.modelcontextprotocol/protocolVersion": NEWEST,
    "io.modelcontextprotocol/clientCapabilities": {},
}
WATCHDOG_S = 120  # against a hang, never a measure


class Server:
    """One server process on a root."""

    def __init__(self, root, revision=NEWEST):
        self.process = subprocess.Popen([PROGRAM, "mcp", "--root", root], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.revision = revision
        self.last_id = 0
        self.buffer = b""
        if revision != NEWEST:
            self.greeting = self.request("initialize", protocolVersion=revision, capabilities={},
                                         clientInfo={"name": "driver", "version": "1"})["result"]
            self.notify("notifications/initialized")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass

    def send_bytes(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message):
        self.send_bytes(json.dumps(message).encode() + b"\n")

    def receive(self):
        """The next message; None at the end of the output."""
        pieces, more = [], self.buffer
        while b"\n" not in more:
            pieces.append(more)
            ready, _, _ = select.select([self.process.stdout], [], [], WATCHDOG_S)
            assert ready, "no answer"
            more = os.read(self.process.stdout.fileno(), 1 << 20)
            if not more:
                assert not b"".join(pieces), "half a line: %r" % pieces
                return None
        self.buffer = b"".join([*pieces, more])
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line.decode())

    def has_more(self):
        return bool(self.buffer) or bool(select.select([self.process.stdout], [], [], 0)[0])

    def notify(self, method, **params):
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def ask(self, method, **params):
        """Sends a request and returns its id; the answer is not waited for."""
        self.last_id += 1
        if self.revision == NEWEST:
            params.setdefault("_meta", META)
        self.send({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params})
        return self.last_id

    def request(self, method, **params):
        number = self.ask(method, **params)
        answer = self.receive()
        assert answer["jsonrpc"] == "2.0" and answer["id"] == number, answer
        return answer

    def call(self, tool, **arguments):
        """The outcome of a tool: its structured content, which is also what its text says."""
        answer = self.request("tools/call", name=tool, arguments=arguments)
        assert "result" in answer, answer
        result = answer["result"]
        outcome = json.loads(result["content"][0]["text"])
        if self.revision >= "2025-06-18":
            assert result["structuredContent"] == outcome
        assert result["isError"] == (outcome["status"] != "ok"), result
        return outcome

    def end(self):
        """Closes its input and returns its exit status; whatever it still says is in `rest`."""
        self.process.stdin.close()
        self.rest = self.buffer + self.process.stdout.read()
        return self.process.wait(WATCHDOG_S)


def stamp(outcome):
    return {"version": outcome["version"], "epoch": outcome["epoch"]}


@contextlib.contextmanager
def new_root():
    """A folder; at the end its store goes, memory too."""
    with tempfile.TemporaryDirectory(prefix="keystile-mcp-") as root:
        try:
            yield root
        finally:
            subprocess.run([PROGRAM, "destroy", "--force", "--store", "file:%s/.keystile" % root],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class RootTest(unittest.TestCase):
    """A folder of its own for each test."""

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.root = stack.enter_context(new_root())

    def serve(self, revision=NEWEST):
        server = Server(self.root, revision)
        self.addCleanup(server.__exit__)
        return server

    def path(self, name):
        return os.path.join(self.root, name)
