#!/usr/bin/env python3
"""`keystile mcp --http`: what a POST is answered, and who may ask."""

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from driver import META, NEWEST, PROGRAM, RootTest, new_root

TOKEN = "a token of a good length"


class HttpServer:
    def __init__(self, root, *options, address="127.0.0.1:0"):
        self.process = subprocess.Popen([PROGRAM, "mcp", "--root", root, "--http", address, *options],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.said = self.process.stderr.readline().decode()
        found = re.search(r"http://(.*):(\d+)/mcp$", self.said.strip())
        self.port = int(found[2]) if found else None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def send(self, method="POST", path="/mcp", body=b"", headers=None):
        """Status, headers and the JSON of the answer, if there is one."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            connection.putrequest(method, path, skip_host=True)
            defaults = {"Host": "127.0.0.1:%d" % self.port, "Content-Type": "application/json",
                        "Accept": "application/json, text/event-stream", "Content-Length": str(len(body))}
            for name, value in {**defaults, **(headers or {})}.items():
                for one in value if isinstance(value, list) else [value]:
                    if one is not None:
                        connection.putheader(name, one)
            connection.endheaders(body)
            response = connection.getresponse()
            answer = response.read()
            return response.status, response.headers, json.loads(answer) if answer else None

    def request(self, method, headers=None, number=1, **params):
        """A request of the newest revision, with the headers it should have unless others are given."""
        params.setdefault("_meta", META)
        proper = {"MCP-Protocol-Version": NEWEST, "Mcp-Method": method}
        if "name" in params:
            proper["Mcp-Name"] = params["name"]
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        return self.send(body=json.dumps(body).encode(), headers={**proper, **(headers or {})})

    def call(self, tool, **arguments):
        status, _, answer = self.request("tools/call", name=tool, arguments=arguments)
        assert status == 200, answer
        return answer["result"]["structuredContent"]

    def wait_for_claim(self, key):
        """A connection on which a claim was asked for that waits."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "_meta": META, "name": "claim", "arguments": {"key": key, "wait_seconds": 50}}}).encode()
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        connection.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"MCP-Protocol-Version: %s\r\nMcp-Method: tools/call\r\nMcp-Name: claim\r\n"
                           b"Content-Length: %d\r\n\r\n" % (NEWEST.encode(), len(body)) + body)
        return connection

    def legacy(self, message, revision=None, **headers):
        named = {"MCP-Protocol-Version": revision} if revision else {}
        return self.send(body=json.dumps(message).encode(), headers={**named, **headers})


class HttpTest(RootTest):
    def serve_http(self, *options, **address):
        server = HttpServer(self.root, *options, **address)
        self.addCleanup(server.close)
        self.assertIsNotNone(server.port, server.said)
        return server


class Stateless(HttpTest):
    def test_requests(self):
        server = self.serve_http()
        status, headers, answer = server.request("server/discover")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        self.assertIn(NEWEST, answer["result"]["supportedVersions"])
        self.assertEqual(server.call("read_state", key="k")["exists"], False)
        self.assertEqual(server.request("nope")[0], 404)
        self.assertEqual(server.request("nope")[2]["error"]["code"], -32601)
        self.assertEqual(server.request("tools/call", name="nope")[0], 400)
        self.assertEqual(server.send(body=b"{bad")[2]["error"]["code"], -32700)

    def test_headers_must_say_what_the_body_says(self):
        server = self.serve_http()
        wrong = {"MCP-Protocol-Version": (None, "2025-11-25", "x", [NEWEST, NEWEST]),
                 "Mcp-Method": (None, "tools/list", "Tools/Call"),
                 "Mcp-Name": (None, "read_state", "", "=?base64?c3RhdHU=?=", "=?base64?!?=", ["status", "status"])}
        for header, values in wrong.items():
            for value in values:
                status, _, answer = server.request("tools/call", name="status", headers={header: value})
                self.assertEqual((status, answer["error"]["code"], answer["id"]), (400, -32020, 1), (header, value))
        encoded = "=?base64?%s?=" % base64.b64encode(b"status").decode()
        self.assertEqual(server.request("tools/call", name="status", headers={"Mcp-Name": encoded})[0], 200)
        lower_case = {"Mcp-Name": None, "mcp-name": "status"}
        self.assertEqual(server.request("tools/call", name="status", headers=lower_case)[0], 200)

    def test_revisions_that_are_not_spoken(self):
        server = self.serve_http()
        meta = {**META, "io.modelcontextprotocol/protocolVersion": "2031-01-01"}
        status, _, answer = server.request("tools/list", headers={"MCP-Protocol-Version": "2031-01-01"}, _meta=meta)
        self.assertEqual((status, answer["error"]["code"]), (400, -32022))
        status, _, answer = server.request("tools/list", headers={"MCP-Protocol-Version": "2031-01-01"}, _meta={})
        self.assertEqual((status, answer["error"]["code"]), (400, -32022))
        self.assertIn(NEWEST, answer["error"]["data"]["supported"])
        status, _, answer = server.request("tools/list", _meta={})  # the header alone says it
        self.assertEqual((status, answer["error"]["code"]), (400, -32602))

    def test_calls_that_wait_leave_threads_for_who_ends_the_wait(self):
        server = self.serve_http()
        token = server.call("claim", key="k", lease_seconds=600)["claim"]
        waiting = [server.wait_for_claim("k") for _ in range(40)]
        for connection in waiting:
            self.addCleanup(connection.close)
        told = b""
        while not told.endswith(b"}"):
            more = waiting[-1].recv(1 << 16)
            self.assertTrue(more)
            told += more
        self.assertIn(b'"status":"held"', told)  # not waited for
        self.assertNotIn(b"status", waiting[0].recv(1 << 16))
        self.assertEqual(server.call("release", key="k", claim=token)["status"], "ok")

    def test_a_waiting_call_is_answered_and_one_whose_client_hangs_up_is_cancelled(self):
        server = self.serve_http()
        token = server.call("claim", key="k", lease_seconds=600)["claim"]
        connection = server.wait_for_claim("k")
        self.assertIn(b"200", connection.recv(20))  # it waits
        connection.close()
        # Given up before the next: a claim for nobody would be in its way.
        self.assertEqual(server.call("release", key="k", claim=token)["status"], "ok")
        taken = server.call("claim", key="k", lease_seconds=1, wait_seconds=50)
        self.assertEqual(taken["status"], "ok")
        again = server.call("claim", key="k", lease_seconds=1, wait_seconds=50)
        self.assertEqual(again["status"], "ok")


class WithHandshake(HttpTest):
    def test_it_keeps_no_session(self):
        server = self.serve_http()
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}}
        status, headers, answer = server.legacy(hello)
        self.assertEqual((status, answer["result"]["protocolVersion"]), (200, "2025-06-18"))
        self.assertNotIn("Mcp-Session-Id", headers)
        status, _, answer = server.legacy({"jsonrpc": "2.0", "method": "notifications/initialized"}, "2025-06-18")
        self.assertEqual((status, answer), (202, None))
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        self.assertNotIn("resultType", server.legacy(listing, "2025-06-18")[2]["result"])
        self.assertEqual(server.legacy(listing, "1999-01-01")[0], 400)
        # Without the header it is 2025-03-26, which has batches.
        self.assertNotIn("outputSchema", server.legacy(listing)[2]["result"]["tools"][0])
        self.assertEqual([answer["id"] for answer in server.legacy([listing, listing])[2]], [2, 2])
        self.assertEqual(server.legacy([listing], "2025-11-25")[2]["error"]["code"], -32600)
        self.assertEqual(server.legacy({"jsonrpc": "2.0", "id": 3, "method": "nope"}, "2025-06-18")[0], 200)

    def test_other_methods_and_types(self):
        server = self.serve_http()
        for method in ("GET", "DELETE", "PUT", "OPTIONS"):
            status, headers, _ = server.send(method)
            self.assertEqual((status, headers["Allow"]), (405, "POST"))
        self.assertEqual(server.send(path="/")[0], 404)
        self.assertEqual(server.send(body=b"{}", headers={"Content-Type": "text/plain"})[0], 415)
        ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
        for content in ("Application/JSON", "application/json; charset=utf-8"):
            self.assertEqual(server.send(body=ping, headers={"Content-Type": content})[0], 200, content)
        self.assertEqual(server.send(body=ping, headers={"Content-Type": "application/jsonp"})[0], 415)
        for accept in ("application/*", "text/html, APPLICATION/JSON;q=0.9", "*/*;q=0.1", None, ["text/html", "*/*"]):
            self.assertEqual(server.send(body=ping, headers={"Accept": accept})[0], 200, accept)
        for accept in ("text/html", "application/jsonp", "text/*"):
            self.assertEqual(server.send(body=ping, headers={"Accept": accept})[0], 406, accept)

    def test_a_call_without_an_id_is_not_carried_out(self):
        server = self.serve_http()
        for arguments in ({"key": "k"}, {"key": "k", "wait_seconds": 50}):
            call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "claim", "arguments": arguments}}
            self.assertEqual(server.legacy(call)[0::2], (202, None), arguments)
        self.assertEqual(server.call("status")["claims"], [])


class Guards(HttpTest):
    def status_of(self, server, **headers):
        return server.request("tools/list", headers=headers)[0]

    def test_only_our_names_in_host_and_origin(self):
        server = self.serve_http("--allow-host", "team.example")
        for host in ("127.0.0.1", "localhost:%d" % server.port, "LOCALHOST", "[::1]:80", "team.example:8443"):
            self.assertEqual(self.status_of(server, Host=host), 200, host)
        for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:%d" % server.port, "", "localhost.", None,
                     "0.0.0.0", "[::1"):
            self.assertEqual(self.status_of(server, Host=host), 403, host)
        for origin in ("http://localhost", "https://127.0.0.1:3000", "http://[::1]:5", "https://team.example"):
            self.assertEqual(self.status_of(server, Origin=origin), 200, origin)
        for origin in ("http://evil.example", "null", "file://", "http://localhost.evil.example", "localhost",
                       "http://evil.example:80@localhost", "ftp://localhost"):
            self.assertEqual(self.status_of(server, Origin=origin), 403, origin)
        self.assertEqual(server.send("GET", headers={"Host": "evil.example"})[0], 403)

    def test_the_body_of_a_refused_request_is_no_request(self):
        server = self.serve_http()
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "_meta": META, "name": "write_file",
            "arguments": {"path": "pwned", "content": "x", "version": "0", "epoch": "0"}}}).encode()
        inner = (b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 b"MCP-Protocol-Version: %s\r\nMcp-Method: tools/call\r\nMcp-Name: write_file\r\n"
                 b"Content-Length: %d\r\n\r\n" % (NEWEST.encode(), len(call)) + call)
        for method, path, header in ((b"POST", b"/mcp", b"Origin: http://evil.example"), (b"GET", b"/mcp", b"X: y"),
                                     (b"HEAD", b"/mcp", b"X: y"), (b"BREW", b"/mcp", b"X: y")):
            with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
                connection.sendall(b"%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\nContent-Length: %d\r\n\r\n" %
                                   (method, path, header, len(inner)))
                with contextlib.suppress(ConnectionError):  # it may hang up on us at once
                    connection.recv(1)  # refused: what comes now was not read with its head
                    connection.sendall(inner)
                    while connection.recv(1 << 16):
                        pass
            self.assertEqual(os.listdir(self.root), [".keystile"], (method, path, header))

    def test_a_token(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(TOKEN + "\r\n")
            file.flush()
            server = self.serve_http("--token-file", file.name)
            everywhere = self.serve_http("--token-file", file.name, address="0.0.0.0:0")
        for given in (None, "", TOKEN, "Bearer", "Bearer " + TOKEN[:-1], "Bearer " + TOKEN + "x", "Basic " + TOKEN):
            self.assertEqual(self.status_of(server, Authorization=given), 401, given)
        self.assertEqual(self.status_of(server, Authorization="Bearer " + TOKEN), 200)
        self.assertEqual(self.status_of(everywhere, Authorization="Bearer " + TOKEN), 200)
        self.assertEqual(self.status_of(everywhere), 401)

    def test_what_would_let_everybody_in_is_refused(self):
        with tempfile.NamedTemporaryFile("w") as short:
            short.write("short\n")
            short.flush()
            for arguments in (("--http", "0.0.0.0:0"), ("--http", "[::]:0"), ("--http", "127.0.0.1"), ("--http", ":80"),
                              ("--http", "127.0.0.1:x"), ("--http", "127.0.0.1:65536"), ("--token-file", short.name),
                              ("--http", "127.0.0.1:0", "--token-file", short.name),
                              ("--http", "127.0.0.1:0", "--token-file", "/nowhere"), ("--http", "1.2.3.4.5:0")):
                done = subprocess.run([PROGRAM, "mcp", "--root", self.root, *arguments], stdin=subprocess.DEVNULL,
                                      capture_output=True, timeout=120)
                self.assertEqual((done.returncode, done.stdout), (64, b""), arguments)

    def test_a_port_has_one_server(self):
        server = self.serve_http()
        second = HttpServer(self.root, address="127.0.0.1:%d" % server.port)
        self.addCleanup(second.close)
        self.assertIsNone(second.port, second.said)
        self.assertIn("another server", second.said)
        self.assertEqual(second.process.wait(120), 64)
        server.call("status")  # leaves a connection in TIME_WAIT
        server.process.kill()
        server.process.wait()
        self.assertIsNotNone(self.serve_http(address="127.0.0.1:%d" % server.port).port)  # it can be had now

    def test_it_ends_by_a_signal(self):
        server = self.serve_http()
        self.assertEqual(self.status_of(server), 200)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(120), 0)


def has_http():
    with new_root() as root:
        server = HttpServer(root)
        server.close()
        return "cpp-httplib" not in server.said


if __name__ == "__main__":
    if not has_http():
        print("this keystile was built without HTTP")
        sys.exit(77)
    unittest.main()
