#!/usr/bin/env python3
"""The protocol of both eras on standard input and output: what is answered, and what must not upset the server."""

import json
import os
import signal
import unittest

from driver import META, NEWEST, WITH_HANDSHAKE, RootTest, stamp

REVISION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
TOOLS = ["read_file", "write_file", "edit_file", "list_directory", "get_file_info", "read_state", "commit_state",
         "list_states", "claim", "renew", "release", "gate", "status"]


class Handshake(RootTest):
    def test_each_known_revision_is_echoed_and_an_unknown_one_answered_with_ours(self):
        for revision in WITH_HANDSHAKE:
            self.assertEqual(self.serve(revision).greeting["protocolVersion"], revision)
        for revision in (NEWEST[:-1], "1.0", "2031-01-01"):
            self.assertEqual(self.serve(revision).greeting["protocolVersion"], WITH_HANDSHAKE[-1])

    def test_what_a_revision_does_not_know_is_not_sent(self):
        for revision in WITH_HANDSHAKE:
            tool = self.serve(revision).request("tools/list")["result"]["tools"][0]
            self.assertEqual("annotations" in tool, revision >= "2025-03-26")
            self.assertEqual("outputSchema" in tool, revision >= "2025-06-18")
            self.assertEqual("title" in tool, revision >= "2025-06-18")

    def test_without_it_only_ping_is_answered(self):
        server = self.serve()
        server.revision = ""  # says no revision
        self.assertEqual(server.request("ping")["result"], {})
        self.assertEqual(server.request("tools/list")["error"]["code"], -32602)
        self.assertEqual(server.request("initialize")["error"]["code"], -32602)

    def test_a_batch_is_answered_by_the_one_revision_that_has_them(self):
        batch = [{"jsonrpc": "2.0", "id": 7, "method": "ping"}, {"jsonrpc": "2.0", "method": "notifications/x"},
                 {"jsonrpc": "2.0", "id": "b", "method": "nope"}, 5]
        server = self.serve("2025-03-26")
        server.send(batch)
        answers = server.receive()
        self.assertEqual([answer["id"] for answer in answers], [7, "b", None])
        self.assertEqual([answer.get("error", {}).get("code") for answer in answers], [None, -32601, -32600])
        server.send(batch[1:2])  # notifications alone: no answer
        server.send([])
        self.assertEqual(server.receive()["error"]["code"], -32600)
        # One whose call waits keeps nobody.
        claim = {"name": "claim", "arguments": {"key": "k", "lease_seconds": 600}}
        server.send([{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": claim}])
        token = json.loads(server.receive()[0]["result"]["content"][0]["text"])["claim"]
        claim["arguments"]["wait_seconds"] = 50
        server.send([{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": claim}])
        released = server.ask("tools/call", name="release", arguments={"key": "k", "claim": token})
        answers = [server.receive(), server.receive()]  # in whatever order
        self.assertIn(released, [answer["id"] for answer in answers if isinstance(answer, dict)])
        self.assertIn([2], [[one["id"] for one in answer] for answer in answers if isinstance(answer, list)])
        for revision in ("2025-06-18", NEWEST):
            other = self.serve(revision)
            other.send(batch)
            self.assertEqual(other.receive()["error"]["code"], -32600)


class Stateless(RootTest):
    def test_discovery(self):
        result = self.serve().request("server/discover")["result"]
        self.assertEqual(result["supportedVersions"], [NEWEST, *reversed(WITH_HANDSHAKE)])
        self.assertEqual(result["resultType"], "complete")
        self.assertEqual(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "keystile")
        self.assertIn("tools", result["capabilities"])
        self.assertGreater(result["ttlMs"], 0)
        self.assertIn(result["cacheScope"], ("public", "private"))

    def test_the_list_of_tools_may_be_cached_and_every_result_says_its_type(self):
        server = self.serve()
        first = server.request("tools/list")["result"]
        self.assertEqual([tool["name"] for tool in first["tools"]], TOOLS)
        self.assertEqual(first, server.request("tools/list")["result"])
        self.assertIn("ttlMs", first)
        self.assertEqual(first["resultType"], "complete")
        result = server.request("tools/call", name="status")["result"]
        self.assertEqual(result["resultType"], "complete")

    def test_annotations(self):
        hints = {tool["name"]: tool["annotations"] for tool in self.serve().request("tools/list")["result"]["tools"]}

        def having(hint):
            return {name for name in TOOLS if hints[name][hint]}
        self.assertEqual(having("readOnlyHint"), {"list_directory", "get_file_info", "read_state", "list_states",
                                                  "status"})  # read_file may adopt
        self.assertEqual(having("destructiveHint"), {"write_file", "edit_file", "commit_state"})
        self.assertEqual(having("idempotentHint"), having("readOnlyHint") | {"read_file", "renew"})

    def test_a_revision_that_is_not_spoken_is_named_with_those_that_are(self):
        for requested in ("1900-01-01", "2025-11-25"):
            error = self.serve().request("tools/list", _meta={**META, REVISION_KEY: requested})["error"]
            self.assertEqual(error["code"], -32022)
            self.assertEqual(error["data"]["requested"], requested)
            self.assertIn(NEWEST, error["data"]["supported"])

    def test_what_a_request_must_say_of_its_client(self):
        server = self.serve()
        self.assertEqual(server.request("tools/list", _meta={REVISION_KEY: NEWEST})["error"]["code"], -32602)
        self.assertEqual(server.request("tools/list", _meta={**META, REVISION_KEY: 5})["error"]["code"], -32602)
        self.assertEqual(server.request("tools/list", _meta={**META, CAPABILITIES_KEY: []})["error"]["code"], -32602)

    def test_both_eras_on_one_connection(self):
        server = self.serve("2025-11-25")
        self.assertEqual(server.request("ping")["result"], {})
        self.assertNotIn("resultType", server.request("tools/list")["result"])
        modern = server.request("tools/list", _meta=META)["result"]
        self.assertEqual(modern["resultType"], "complete")
        self.assertEqual(server.request("ping", _meta=META)["error"]["code"], -32601)  # it has none


class Messages(RootTest):
    def test_what_is_no_message_is_refused_and_the_next_one_answered(self):
        server = self.serve()
        for line, code in ((b"{bad", -32700), (b'"text"', -32600), (b"5", -32600), (b"null", -32600),
                           (b"\xff\xfe", -32700),
                           (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
                           (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
                           (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
                           (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', -32600),
                           (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
                           (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', -32600),
                           (b"[" * 100000, -32700), (b'{"a":' * 70 + b"1" + b"}" * 70, -32700),
                           (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"n":1e999}}', -32700)):
            server.send_bytes(line + b"\n")
            self.assertEqual(server.receive()["error"]["code"], code, line[:60])
        server.send_bytes(b"\n  \r\n")
        self.assertEqual(server.call("status")["status"], "ok")

    def test_ids_come_back_as_they_were(self):
        server = self.serve("2025-11-25")
        for number in (0, -3, 9007199254740993, "", "a\u00e9\U0001f600", "7"):
            server.send({"jsonrpc": "2.0", "id": number, "method": "ping"})
            self.assertEqual(server.receive(), {"jsonrpc": "2.0", "id": number, "result": {}})

    def test_methods_that_are_not_there(self):
        server = self.serve()
        for method in ("resources/list", "prompts/list", "nope", ""):
            self.assertEqual(server.request(method)["error"]["code"], -32601)
        self.assertEqual(server.request("tools/list", cursor="x")["error"]["code"], -32602)
        self.assertIn("result", server.request("tools/list", cursor=None))

    def test_what_is_null_is_absent_and_a_whole_double_is_a_number(self):
        server = self.serve()
        answer = server.request("tools/call", name="status", arguments=None)
        self.assertFalse(answer["result"]["isError"], answer)
        self.assertEqual(server.call("claim", key="k", lease_seconds=60.0, wait_seconds=None)["lease_seconds"], 60)
        for lease in (60.5, 1e300, -1.0, "60", True):
            self.assertEqual(server.call("claim", key="j", lease_seconds=lease)["status"], "invalid_arguments", lease)

    def test_notifications_and_answers_are_not_answered(self):
        server = self.serve()
        server.notify("notifications/initialized")
        server.notify("notifications/cancelled", requestId=99)
        server.notify("notifications/cancelled")
        server.notify("nope")
        server.send({"jsonrpc": "2.0", "id": 5, "result": {}})
        server.send({"jsonrpc": "2.0", "id": 5, "error": {"code": 1, "message": ""}})
        self.assertEqual(server.call("status")["status"], "ok")
        self.assertFalse(server.has_more())

    def test_a_line_that_is_too_long_is_skipped_to_its_end(self):
        server = self.serve()
        block = b"x" * (1 << 20)
        for _ in range(100):
            server.send_bytes(block)
        server.send_bytes(b"\n")
        self.assertEqual(server.receive()["error"]["code"], -32600)
        self.assertEqual(server.call("status")["status"], "ok")

    def test_wrong_arguments_are_the_clients_error_before_2025_11_25_and_the_models_after(self):
        for revision in (*WITH_HANDSHAKE, NEWEST):
            server = self.serve(revision)
            answer = server.request("tools/call", name="read_state", arguments={"key": 5})
            if revision < "2025-11-25":
                self.assertEqual(answer["error"]["code"], -32602)
            else:
                self.assertTrue(answer["result"]["isError"])
                self.assertEqual(answer["result"]["structuredContent"]["recover"], "fix_arguments")
            self.assertEqual(server.request("tools/call", name="nope")["error"]["code"], -32602)
            self.assertEqual(server.request("tools/call")["error"]["code"], -32602)


class TheEnd(RootTest):
    def test_at_the_end_of_the_input(self):
        server = self.serve()
        server.call("status")
        server.ask("status")
        self.assertEqual(server.end(), 0)
        self.assertEqual(server.process.stderr.read(), b"")
        self.assertEqual(len(server.rest.splitlines()), 1)  # what was asked is answered

    def test_half_a_line_is_no_message(self):
        server = self.serve()
        server.send_bytes(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode())
        self.assertEqual((server.end(), server.rest), (0, b""))

    def test_by_a_signal(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.serve()
            server.call("status")
            server.process.send_signal(number)
            self.assertEqual(server.process.wait(120), 0)

    def test_by_a_signal_while_nobody_reads_the_answers(self):
        server = self.serve()
        value = "x" * (1 << 20)
        seen = server.call("read_state", key="k")
        server.call("commit_state", key="k", value=value, **stamp(seen))
        server.ask("tools/call", name="read_state", arguments={"key": "k"})
        server.process.stdout.read(1)  # it is in the middle of an answer that fits in no pipe
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(120), 0)

    def test_when_nobody_reads_any_more(self):
        server = self.serve()
        server.call("status")
        server.process.stdout.close()
        server.ask("tools/list")
        self.assertEqual(server.process.wait(120), 0)

    def test_a_waiting_call_does_not_keep_it(self):
        server = self.serve()
        token = server.call("claim", key="k", lease_seconds=600)["claim"]
        server.ask("tools/call", name="claim", arguments={"key": "k", "wait_seconds": 50})
        self.assertEqual(server.end(), 0)
        # The claim is its token's, not the server's: it goes on, in whatever process is asked next.
        self.assertEqual(self.serve().call("release", key="k", claim=token)["status"], "ok")

    def test_a_root_that_cannot_be_had(self):
        for root in ("/nowhere/at/all", os.path.abspath(__file__)):
            self.root = root
            server = self.serve()
            server.revision = ""
            self.assertIsNone(server.receive())
            self.assertEqual(server.process.wait(120), 64)
            self.assertIn(b"--root", server.process.stderr.read())


if __name__ == "__main__":
    unittest.main()
