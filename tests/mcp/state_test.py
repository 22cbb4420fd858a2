#!/usr/bin/env python3
"""State, claims and gates over MCP: what a stamp guards, and what a refusal tells to do."""

import base64
import resource
import threading
import unittest

from driver import NEWEST, RootTest, stamp

NEVER = {"version": "0", "epoch": "0"}


class StateTest(RootTest):
    @staticmethod
    def told(outcome):
        return outcome["status"], outcome["retryable"], outcome["recover"]


class State(StateTest):
    def test_a_missing_key_is_read_with_the_stamp_that_creates_it(self):
        server = self.serve()
        seen = server.call("read_state", key="plan")
        self.assertEqual((seen["exists"], seen["value"], stamp(seen)), (False, None, NEVER))
        written = server.call("commit_state", key="plan", value="1", **stamp(seen))
        self.assertEqual(written["status"], "ok")
        read = server.call("read_state", key="plan")
        self.assertEqual((read["value"], read["encoding"], stamp(read)), ("1", "text", stamp(written)))

    def test_a_fault_after_the_commit_has_its_stamp(self):
        server = self.serve()
        server.call("commit_state", key="k", value="1", **NEVER)
        seen = stamp(server.call("read_state", key="k"))
        _, most = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (200000, most))  # a full disk
        outcome = server.call("commit_state", key="k", value="x" * 300000, **seen)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (most, most))
        self.assertEqual((outcome["status"], outcome["code"]), ("fault", "KS_E_FULL"))
        self.assertIn("committed as version=2", outcome["message"])
        now = server.call("read_state", key="k")
        self.assertEqual((len(now["value"]), stamp(now)), (300000, stamp(outcome)))

    def test_a_conflict_says_what_is_there_now_and_changes_nothing(self):
        one, other = self.serve(), self.serve("2025-11-25")
        seen = one.call("read_state", key="k")
        won = other.call("commit_state", key="k", value="theirs", **stamp(seen))
        refused = one.call("commit_state", key="k", value="mine", **stamp(seen))
        self.assertEqual(self.told(refused), ("conflict", True, "read_again"))
        self.assertEqual((refused["value"], stamp(refused)), ("theirs", stamp(won)))
        self.assertEqual(one.call("commit_state", key="k", value="theirs, mine", **stamp(refused))["status"], "ok")

    def test_values_of_any_bytes(self):
        server = self.serve()
        for value in (b"", b"\0", b"\xff\xfe", bytes(range(256)) * 5000, "gr\u00fc\u00df \U0001f600\n".encode()):
            seen = server.call("read_state", key="k")
            given = base64.b64encode(value).decode()
            server.call("commit_state", key="k", value=given, encoding="base64", **stamp(seen))
            read = server.call("read_state", key="k")
            if read["encoding"] == "text":
                self.assertEqual(read["value"].encode(), value)
            else:
                self.assertEqual(base64.b64decode(read["value"]), value)
        seen = server.call("read_state", key="k")
        for value, encoding in (("=", "base64"), ("a", "base64"), ("x", "hex"), ("x", 5)):
            refused = server.call("commit_state", key="k", value=value, encoding=encoding, **stamp(seen))
            self.assertEqual(refused["status"], "invalid_arguments")
        self.assertEqual(server.call("read_state", key="k"), seen)

    def test_the_largest_value(self):
        server = self.serve()
        value = "x" * (16 << 20)
        written = server.call("commit_state", key="k", value=value, **NEVER)
        self.assertEqual(server.call("read_state", key="k")["value"], value)
        refused = server.call("commit_state", key="k", value=value + "x", **stamp(written))
        self.assertEqual(refused["status"], "invalid_arguments")
        # A conflict with it does not send it.
        refused = server.call("commit_state", key="k", value="x", **NEVER)
        self.assertEqual(refused["status"], "conflict")
        self.assertNotIn("value", refused)

    def test_stamps_are_strings_and_a_number_is_taken_where_it_is_exact(self):
        server = self.serve()
        written = server.call("commit_state", key="k", value="1", version=0, epoch=0)
        self.assertIsInstance(written["version"], str)
        again = server.call("commit_state", key="k", value="2", version=int(written["version"]),
                            epoch=int(written["epoch"]))
        self.assertEqual(again["status"], "ok")
        for version in (-1, 1.0, True, "", " 1", "1 ", "+1", "-1", "1.0", "0x1", "18446744073709551616", 2**53 + 1, [],
                        None):
            refused = server.call("commit_state", key="k", value="3", version=version, epoch=again["epoch"])
            self.assertEqual(refused["status"], "invalid_arguments", version)
        self.assertEqual(server.call("read_state", key="k")["value"], "2")

    def test_deletes(self):
        server = self.serve()
        written = server.call("commit_state", key="k", value="1", **NEVER)
        gone = server.call("commit_state", key="k", delete=True, **stamp(written))
        self.assertEqual(gone["status"], "ok")
        read = server.call("read_state", key="k")
        self.assertEqual((read["exists"], stamp(read)), (False, stamp(gone)))
        self.assertEqual(server.call("commit_state", key="k", delete=True, **stamp(gone))["status"], "not_found")
        self.assertEqual(server.call("commit_state", key="k", value="2", **stamp(written))["status"], "conflict")
        for both in ({"delete": True, "value": "x"}, {"delete": False}, {}):
            refused = server.call("commit_state", key="k", **both, **stamp(gone))
            self.assertEqual(refused["status"], "invalid_arguments")

    def test_arguments_that_mean_nothing_are_not_passed_over(self):
        server = self.serve()
        for arguments in ({"key": "k", "keys": 1}, {}, {"key": ""}, {"key": "x" * 1025}, {"key": None}, {"key": ["k"]}):
            self.assertEqual(server.call("read_state", **arguments)["status"], "invalid_arguments")
        self.assertEqual(server.call("read_state", key="x" * 1024)["status"], "ok")

    def test_lists_come_in_pages(self):
        server = self.serve()
        keys = ["a/%03d" % number for number in range(25)]
        for key in keys + ["b"]:
            server.call("commit_state", key=key, value="12345", **NEVER)
        listed, after = [], {}
        while True:
            page = server.call("list_states", prefix="a/", limit=10, **after)
            listed += page["states"]
            if not page["has_more"]:
                break
            after = {"after": page["states"][-1]["key"]}
        self.assertEqual([state["key"] for state in listed], keys)
        self.assertEqual({(state["size"], state["claimed"]) for state in listed}, {(5, False)})
        self.assertEqual(server.call("list_states", limit=0)["status"], "invalid_arguments")
        self.assertEqual(server.call("list_states", prefix="c")["states"], [])


class Claims(StateTest):
    def test_whoever_has_the_token_writes_and_others_are_held(self):
        one, other = self.serve(), self.serve()
        claim = one.call("claim", key="k", lease_seconds=600)
        refused = other.call("commit_state", key="k", value="x", **NEVER)
        self.assertEqual((refused["status"], refused["recover"]), ("held", "wait"))
        self.assertGreater(refused["lease_left_ms"], 0)
        self.assertTrue(refused["owner"]["detached"])
        self.assertEqual(other.call("claim", key="k")["status"], "held")
        # The token works in any process.
        written = other.call("commit_state", key="k", value="x", claim=claim["claim"], release=True, **stamp(claim))
        self.assertEqual(written["status"], "ok")
        over = one.call("renew", key="k", claim=claim["claim"])
        self.assertEqual(self.told(over), ("fenced", False, "stop"))
        self.assertEqual(one.call("release", key="k", claim=claim["claim"])["status"], "fenced")

    def test_a_zombie_is_fenced(self):
        server = self.serve()
        old = server.call("claim", key="k", lease_seconds=1)
        new = server.call("claim", key="k", lease_seconds=600, wait_seconds=50)
        self.assertEqual(new["status"], "ok")
        refused = server.call("commit_state", key="k", value="late", claim=old["claim"], **stamp(old))
        self.assertEqual((refused["status"], refused["recover"]), ("fenced", "stop"))
        self.assertFalse(server.call("read_state", key="k")["exists"])

    def test_a_read_from_before_anothers_claim_is_fenced_and_may_be_read_again(self):
        server = self.serve()
        server.call("commit_state", key="k", value="1", **NEVER)
        seen = server.call("read_state", key="k")
        claim = server.call("claim", key="k")
        server.call("release", key="k", claim=claim["claim"])
        refused = server.call("commit_state", key="k", value="2", **stamp(seen))
        self.assertEqual(self.told(refused), ("fenced", True, "read_again"))

    def test_tokens_that_are_none(self):
        server = self.serve()
        token = server.call("claim", key="k")["claim"]
        forged = token[:-1] + ("0" if token[-1] != "0" else "1")
        for key, claim in (("k", "x"), ("k", ""), ("k", forged), ("other", token), ("k", 5)):
            for tool in ("renew", "release"):
                refused = server.call(tool, key=key, claim=claim)
                self.assertEqual(refused["status"], "invalid_arguments", (key, claim))
            refused = server.call("commit_state", key=key, value="x", claim=claim, **NEVER)
            self.assertEqual(refused["status"], "invalid_arguments", (key, claim))
        self.assertEqual(server.call("renew", key="k", claim=token, lease_seconds=5)["lease_seconds"], 5)

    def test_others_are_answered_while_one_waits(self):
        server = self.serve()
        token = server.call("claim", key="k", lease_seconds=600)["claim"]
        waiting = server.ask("tools/call", name="claim", arguments={"key": "k", "wait_seconds": 50})
        self.assertEqual(server.call("status")["status"], "ok")
        released = server.ask("tools/call", name="release", arguments={"key": "k", "claim": token})
        answers = [server.receive(), server.receive()]  # in whatever order
        self.assertEqual({answer["id"] for answer in answers}, {waiting, released})
        self.assertEqual({answer["result"]["structuredContent"]["status"] for answer in answers}, {"ok"})

    def test_a_cancelled_wait_says_nothing_and_keeps_nothing(self):
        server = self.serve()
        token = server.call("claim", key="k", lease_seconds=600)["claim"]
        waiting = server.ask("tools/call", name="claim", arguments={"key": "k", "wait_seconds": 1})
        server.notify("notifications/cancelled", requestId=waiting, reason="bored")
        # Had it gone on, it would have given up, and said so, before this one does.
        self.assertEqual(server.call("claim", key="k", wait_seconds=2)["status"], "held")
        self.assertEqual(server.call("release", key="k", claim=token)["status"], "ok")
        self.assertEqual(server.call("claim", key="k", wait_seconds=0)["status"], "ok")
        self.assertEqual((server.end(), server.rest), (0, b""))

    def test_leases_and_waits_have_bounds(self):
        server = self.serve()
        for arguments in ({"lease_seconds": 0}, {"lease_seconds": 86401}, {"wait_seconds": 51}, {"wait_seconds": "1"},
                          {"lease_seconds": 1.5}):
            self.assertEqual(server.call("claim", key="k", **arguments)["status"], "invalid_arguments")
        self.assertEqual(server.call("claim")["status"], "invalid_arguments")
        self.assertEqual(server.call("claim", key="k", path="p")["status"], "invalid_arguments")
        self.assertEqual(server.call("status")["claims"], [])


class Gate(RootTest):
    def setUp(self):
        super().setUp()
        self.server = self.serve()
        self.seen = {}
        for key in ("a", "b", "c"):
            self.seen[key] = {"key": key, **stamp(self.server.call("commit_state", key=key, value="1", **NEVER))}

    def expect(self, *keys):
        return {"expect": [self.seen[key] for key in keys]}

    def test_it_is_open_while_all_is_as_it_was_read(self):
        outcome = self.server.call("gate", **self.expect("c", "a"))
        self.assertEqual([item["key"] for item in outcome["checked"]], ["c", "a"])
        self.assertEqual(outcome["status"], "ok")
        self.server.call("commit_state", value="2", **self.seen["a"])
        outcome = self.server.call("gate", **self.expect("c", "a"))
        self.assertEqual((outcome["status"], outcome["recover"]), ("conflict", "read_again"))
        self.assertEqual([item["status"] for item in outcome["checked"]], ["ok", "conflict"])

    def test_with_claims_it_stays_as_it_is_until_they_are_given_back(self):
        outcome = self.server.call("gate", claim=True, lease_seconds=600, **self.expect("a", "b"))
        self.assertEqual(outcome["status"], "ok")
        for item in outcome["checked"]:
            refused = self.serve().call("commit_state", value="2", **self.seen[item["key"]])
            self.assertEqual(refused["status"], "held")
        first, second = outcome["checked"]
        written = self.server.call("commit_state", key="a", value="sent", claim=first["claim"], release=True,
                                   **stamp(first))
        self.assertEqual(written["status"], "ok")
        self.assertEqual(self.server.call("release", key="b", claim=second["claim"])["status"], "ok")
        self.assertEqual(self.server.call("status")["claims"], [])

    def test_nothing_is_claimed_unless_all_is(self):
        for spoil in ("write", "claim", "claim and release"):
            with self.subTest(spoil):
                self.setUp()
                if spoil == "write":
                    self.server.call("commit_state", value="2", **self.seen["b"])
                else:
                    token = self.server.call("claim", key="b", lease_seconds=600)["claim"]
                    if spoil != "claim":
                        self.server.call("release", key="b", claim=token)
                before = self.server.call("status")["claims"]
                outcome = self.server.call("gate", claim=True, **self.expect("a", "b", "c"))
                wanted = {"write": "conflict", "claim": "held", "claim and release": "fenced"}[spoil]
                self.assertEqual(outcome["status"], wanted)
                self.assertNotIn("claim", str([item.get("claim") or "" for item in outcome["checked"]]))
                self.assertEqual([claim["key"] for claim in self.server.call("status")["claims"]],
                                 [claim["key"] for claim in before])

    def test_what_never_existed_can_be_expected(self):
        never = {"expect": [{"key": "new", **NEVER}]}
        self.assertEqual(self.server.call("gate", **never)["status"], "ok")
        outcome = self.server.call("gate", claim=True, lease_seconds=600, **never)
        self.assertEqual(outcome["status"], "ok")
        self.assertEqual(self.server.call("gate", claim=True, **never)["status"], "held")
        token = outcome["checked"][0]["claim"]
        self.assertEqual(self.server.call("release", key="new", claim=token)["status"], "ok")
        self.assertEqual(self.server.call("gate", claim=True, **never)["status"], "ok")  # nobody wrote it

    def test_ones_own_claim_is_part_of_it(self):
        claim = self.server.call("claim", key="a", lease_seconds=600)
        own = {"key": "a", "claim": claim["claim"], **stamp(claim)}
        outcome = self.server.call("gate", claim=True, expect=[own, self.seen["b"]])
        self.assertEqual(outcome["status"], "ok")
        self.assertEqual(outcome["checked"][0]["claim"], claim["claim"])
        self.server.call("release", key="b", claim=outcome["checked"][1]["claim"])
        # Without asking for claims there is no such thing; and a claim that was written under is not as it was.
        self.assertEqual(self.server.call("gate", expect=[own])["status"], "invalid_arguments")
        self.assertEqual(self.server.call("gate", expect=[{k: own[k] for k in own if k != "claim"}])["status"], "held")
        self.server.call("commit_state", key="a", value="2", claim=claim["claim"], **stamp(claim))
        self.assertEqual(self.server.call("gate", claim=True, expect=[own])["status"], "conflict")
        self.server.call("release", key="a", claim=claim["claim"])
        outcome = self.server.call("gate", claim=True, expect=[own])
        self.assertEqual((outcome["status"], outcome["recover"]), ("fenced", "stop"))

    def test_of_gates_that_rest_on_the_same_at_most_one_is_open(self):
        servers = [self.serve() for _ in range(4)]
        outcomes = []
        threads = [threading.Thread(target=lambda server=server: outcomes.append(
            server.call("gate", claim=True, lease_seconds=600, **self.expect("b", "a", "c")))) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertLessEqual([outcome["status"] for outcome in outcomes].count("ok"), 1)
        self.assertIn(len(self.server.call("status")["claims"]), (0, 3))

    def test_mistakes(self):
        for expect in ([], {}, [5], [{"key": "a"}], [self.seen["a"], self.seen["a"]], [{"version": "0", "epoch": "0"}],
                       [{**self.seen["a"], "extra": 1}], [{**self.seen["a"], "claim": "x"}], [self.seen["a"]] * 257):
            self.assertEqual(self.server.call("gate", expect=expect, claim=True)["status"], "invalid_arguments", expect)
        self.assertEqual(self.server.call("status")["claims"], [])


class FourServers(RootTest):
    def test_of_hundreds_of_read_compute_commit_loops_none_is_lost(self):
        workers, turns = 4, 50
        conflicts = []

        def work(name):
            server = self.serve(NEWEST if name % 2 else "2025-11-25")
            for turn in range(turns):
                seen = server.call("read_state", key="log")
                while True:
                    log = (seen["value"] or "") + "%d.%d\n" % (name, turn)
                    outcome = server.call("commit_state", key="log", value=log, **stamp(seen))
                    if outcome["status"] == "ok":
                        break
                    assert outcome["status"] == "conflict", outcome
                    conflicts.append(name)
                    seen = outcome

        threads = [threading.Thread(target=work, args=(name,)) for name in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = self.serve().call("read_state", key="log")["value"].splitlines()
        written = ["%d.%d" % (name, turn) for name in range(workers) for turn in range(turns)]
        self.assertEqual(sorted(lines), sorted(written))
        self.assertGreater(len(conflicts), 0, "they never met: nothing was tried")


if __name__ == "__main__":
    unittest.main()
