#!/usr/bin/env python3
"""Files over MCP: ordinary files of the root, which nobody overwrites unseen."""

import base64
import os
import threading
import unittest

from driver import NEWEST, RootTest, stamp

NEVER = {"version": "0", "epoch": "0"}


class FilesTest(RootTest):
    def write(self, name, content):
        """As any program would."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(content)

    def on_disk(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()


class ReadAndWrite(FilesTest):
    def test_a_new_file(self):
        server = self.serve()
        seen = server.call("read_file", path="src//./main.py")
        self.assertEqual((seen["path"], seen["exists"], seen["content"]), ("src/main.py", False, None))
        self.assertEqual(stamp(seen), NEVER)
        written = server.call("write_file", path="src/main.py", content="print(1)\n", **stamp(seen))
        self.assertEqual(written["status"], "ok")
        self.assertEqual(self.on_disk("src/main.py"), b"print(1)\n")
        self.assertEqual(stamp(server.call("read_file", path="src/main.py")), stamp(written))

    def test_a_file_that_was_there_before(self):
        self.write("notes.md", b"one\n")
        server = self.serve()
        seen = server.call("read_file", path="notes.md")
        self.assertEqual((seen["content"], seen["encoding"]), ("one\n", "text"))
        self.assertEqual(server.call("write_file", path="notes.md", content="two\n", **stamp(seen))["status"], "ok")
        self.assertEqual(self.on_disk("notes.md"), b"two\n")

    def test_a_refused_write_leaves_no_byte(self):
        one, other = self.serve(), self.serve()
        seen = one.call("read_file", path="f")
        won = other.call("write_file", path="f", content="theirs", **stamp(seen))
        for tool, what in (("write_file", {"content": "mine"}), ("write_file", {"delete": True}),
                           ("edit_file", {"edits": [{"old_text": "theirs", "new_text": "mine"}]})):
            refused = one.call(tool, path="f", **what, **stamp(seen))
            self.assertEqual((refused["status"], refused["recover"]), ("conflict", "read_again"))
            self.assertEqual(stamp(refused), stamp(won))
        self.assertEqual(self.on_disk("f"), b"theirs")

    def test_any_bytes(self):
        server = self.serve()
        for content in (b"", b"\0\xff", bytes(range(256)) * 1000, "gr\u00fc\u00df".encode()):
            seen = server.call("read_file", path="f")
            given = base64.b64encode(content).decode()
            written = server.call("write_file", path="f", content=given, encoding="base64", **stamp(seen))
            self.assertEqual(written["status"], "ok")
            self.assertEqual(self.on_disk("f"), content)
            read = server.call("read_file", path="f")
            told = base64.b64decode(read["content"]) if read["encoding"] == "base64" else read["content"].encode()
            self.assertEqual(told, content)

    def test_deletes(self):
        server = self.serve()
        written = server.call("write_file", path="f", content="x", **NEVER)
        gone = server.call("write_file", path="f", delete=True, **stamp(written))
        self.assertEqual(gone["status"], "ok")
        self.assertFalse(os.path.exists(self.path("f")))
        self.assertEqual(server.call("read_file", path="f")["exists"], False)
        self.assertEqual(server.call("write_file", path="f", delete=True, **stamp(gone))["status"], "not_found")
        self.assertEqual(server.call("write_file", path="f", content="old", **stamp(written))["status"], "conflict")

    def test_paths_do_not_leave_the_root(self):
        os.symlink("/etc", self.path("out"))
        os.symlink("/etc/hostname", self.path("link"))
        server = self.serve()
        for path in ("../x", "a/../../x", "/etc/hostname", "out/hostname", "link", ".keystile/x", "", "a\0b",
                     "x" * 1001, ".", 5):
            for tool, arguments in (("read_file", {}), ("get_file_info", {}),
                                    ("write_file", {"content": "x", **NEVER}), ("claim", {})):
                outcome = server.call(tool, path=path, **arguments)
                self.assertEqual(outcome["status"], "invalid_arguments", (path, tool))
        for key in ("files/f", "files.disk/f"):
            self.assertEqual(server.call("read_state", key=key)["status"], "invalid_arguments")
        self.assertEqual(sorted(os.listdir(self.root)), [".keystile", "link", "out"])


class Edits(FilesTest):
    def setUp(self):
        super().setUp()
        self.write("f", b"one two two three\n")
        self.server = self.serve()
        self.seen = stamp(self.server.call("read_file", path="f"))

    def edit(self, *edits):
        return self.server.call("edit_file", path="f", edits=list(edits), **self.seen)

    def test_all_in_order(self):
        outcome = self.edit({"old_text": "one", "new_text": "1"},
                            {"old_text": "two", "new_text": "2", "replace_all": True},
                            {"old_text": "2 2", "new_text": "22"})
        self.assertEqual(outcome["status"], "ok")
        self.assertEqual(self.on_disk("f"), b"1 22 three\n")

    def test_or_none(self):
        for bad in ({"old_text": "four", "new_text": "4"}, {"old_text": "two", "new_text": "2"}):
            outcome = self.edit({"old_text": "one", "new_text": "1"}, bad)
            self.assertEqual((outcome["status"], outcome["recover"]), ("no_match", "read_again"))
            self.assertIn("edit 2", outcome["message"])
        for bad in ({"old_text": "", "new_text": "x"}, {"old_text": "one"}, 5, {"old_text": 1, "new_text": "x"},
                    {"old_text": "one", "new_text": "x", "all": True}):
            self.assertEqual(self.edit(bad)["status"], "invalid_arguments", bad)
        self.assertEqual(self.edit()["status"], "invalid_arguments")
        self.assertEqual(self.on_disk("f"), b"one two two three\n")

    def test_once_is_once_though_the_places_overlap(self):
        self.write("o", b"\n\n\nx")
        seen = stamp(self.server.call("read_file", path="o"))
        edit = {"old_text": "\n\n", "new_text": "|"}
        self.assertEqual(self.server.call("edit_file", path="o", edits=[edit], **seen)["status"], "no_match")
        self.assertEqual(self.on_disk("o"), b"\n\n\nx")
        edit["replace_all"] = True
        self.assertEqual(self.server.call("edit_file", path="o", edits=[edit], **seen)["status"], "ok")
        self.assertEqual(self.on_disk("o"), b"|\nx")

    def test_of_nothing(self):
        outcome = self.server.call("edit_file", path="g", edits=[{"old_text": "x", "new_text": "y"}], **NEVER)
        self.assertEqual(outcome["status"], "not_found")

    def test_an_edit_may_not_blow_a_file_up(self):
        self.write("big", b"x" * 20000)
        seen = stamp(self.server.call("read_file", path="big"))
        outcome = self.server.call("edit_file", path="big", **seen, edits=[
            {"old_text": "x", "new_text": "y" * 10000, "replace_all": True}])
        self.assertEqual(outcome["status"], "invalid_arguments")
        self.assertEqual(self.on_disk("big"), b"x" * 20000)


class ForeignEdits(FilesTest):
    def test_they_are_seen_and_can_be_adopted(self):
        server = self.serve()
        seen = stamp(server.call("write_file", path="f", content="ours\n", **NEVER))
        self.write("f", b"theirs\n")
        for tool, arguments in (("read_file", {}), ("write_file", {"content": "x", **seen}),
                                ("edit_file", {"edits": [{"old_text": "ours", "new_text": "x"}], **seen})):
            outcome = server.call(tool, path="f", **arguments)
            self.assertEqual((outcome["status"], outcome["recover"]), ("foreign_edit", "read_again"), tool)
        for claim in (False, True):
            outcome = server.call("gate", expect=[{"path": "f", **seen}], claim=claim)
            self.assertEqual(outcome["status"], "foreign_edit")
        self.assertEqual(server.call("get_file_info", path="f")["state"], "edited")
        self.assertEqual(self.on_disk("f"), b"theirs\n")
        adopted = server.call("read_file", path="f", adopt=True)
        self.assertEqual((adopted["status"], adopted["content"]), ("ok", "theirs\n"))
        self.assertEqual(server.call("write_file", path="f", content="x", **seen)["status"], "conflict")
        written = server.call("write_file", path="f", content="both\n", **stamp(adopted))
        self.assertEqual(written["status"], "ok")

    def test_adopting_nothing_foreign_changes_nothing(self):
        server = self.serve()
        seen = stamp(server.call("write_file", path="f", content="x", **NEVER))
        self.assertEqual(stamp(server.call("read_file", path="f", adopt=True)), seen)
        self.assertEqual(server.call("read_file", path="none", adopt=True)["exists"], False)


    def test_a_claim_s_holder_adopts_with_its_token(self):
        server = self.serve()
        server.call("write_file", path="f", content="ours", **NEVER)
        claim = server.call("claim", path="f", lease_seconds=600)
        self.write("f", b"theirs")
        refused = server.call("write_file", path="f", content="x", claim=claim["claim"], **stamp(claim))
        self.assertEqual(refused["status"], "foreign_edit")
        self.assertIn("your claim", refused["message"])
        self.assertEqual(server.call("read_file", path="f", adopt=True)["status"], "held")
        for wrong in ({"claim": "junk", "adopt": True}, {"claim": claim["claim"]}):
            self.assertEqual(server.call("read_file", path="f", **wrong)["status"], "invalid_arguments")
        adopted = server.call("read_file", path="f", adopt=True, claim=claim["claim"])
        self.assertEqual((adopted["status"], adopted["content"]), ("ok", "theirs"))
        written = server.call("write_file", path="f", content="both", claim=claim["claim"], release=True,
                              **stamp(adopted))
        self.assertEqual(written["status"], "ok")
        self.write("f", b"again")
        refused = server.call("read_file", path="f", adopt=True, claim=claim["claim"])
        self.assertEqual((refused["status"], refused["recover"]), ("fenced", "stop"))


class Looking(FilesTest):
    def test_folders(self):
        server = self.serve()
        self.write("c/x/y", b"")
        self.write("b", b"123")
        server.call("write_file", path="a", content="1", **NEVER)
        server.call("claim", path="a", lease_seconds=600)
        listed = server.call("list_directory")
        self.assertEqual([(entry["name"], entry["type"]) for entry in listed["entries"]],
                         [("a", "file"), ("b", "file"), ("c", "directory")])
        first, second, _ = listed["entries"]
        self.assertEqual((first["state"], first["size"], first["claimed"]), ("clean", 1, True))
        self.assertEqual((second["state"], second["size"], second["claimed"]), ("untracked", 3, False))
        self.assertEqual([entry["name"] for entry in server.call("list_directory", path="c/")["entries"]], ["x"])
        page = server.call("list_directory", limit=1, after="a")
        self.assertEqual(([entry["name"] for entry in page["entries"]], page["has_more"]), (["b"], True))
        os.mkdir(self.path("empty"))
        self.assertEqual(server.call("list_directory", path="empty")["entries"], [])
        self.assertEqual(server.call("get_file_info", path="empty")["type"], "directory")
        os.symlink("c", self.path("link"))
        os.mkfifo(self.path("fifo"))
        for path, status in (("nowhere", "not_found"), ("c/nowhere/x", "not_found"), ("a", "invalid_arguments"),
                             ("c/x/y", "invalid_arguments"), ("link", "invalid_arguments"),
                             ("link/x", "invalid_arguments"), ("fifo", "invalid_arguments")):
            self.assertEqual(server.call("list_directory", path=path)["status"], status, path)
        self.assertEqual(server.call("list_directory", path="../")["status"], "invalid_arguments")
        claims = server.call("status")["claims"]
        self.assertEqual([claim["path"] for claim in claims], ["a"])
        self.assertEqual(server.call("list_states")["states"], [])

    def test_a_folder_is_one_whatever_file_was_in_its_place(self):
        server = self.serve()
        seen = stamp(server.call("write_file", path="x", content="1", **NEVER))
        server.call("write_file", path="x", delete=True, **seen)
        server.call("write_file", path="x/y", content="2", **NEVER)
        server.call("write_file", path="module", content="code", **NEVER)
        os.unlink(self.path("module"))
        self.write("module/init", b"")
        self.assertEqual([(entry["name"], entry["type"]) for entry in server.call("list_directory")["entries"]],
                         [("module", "directory"), ("x", "directory")])
        for path in ("x", "module"):
            info = server.call("get_file_info", path=path)
            self.assertEqual((info["exists"], info["type"]), (True, "directory"))
        os.unlink(self.path("x/y"))
        os.rmdir(self.path("x"))  # what should be in it is missing
        self.assertEqual([entry["name"] for entry in server.call("list_directory")["entries"]], ["module", "x"])
        self.assertEqual([(entry["name"], entry["state"]) for entry in
                          server.call("list_directory", path="x")["entries"]], [("y", "missing")])
        self.assertEqual(server.call("get_file_info", path="x")["exists"], False)
        self.write("x", b"a file again")
        self.assertEqual([(entry["name"], entry["type"]) for entry in server.call("list_directory")["entries"]],
                         [("module", "directory"), ("x", "file")])

    def test_a_listing_reads_no_content_but_that_of_its_files(self):
        server = self.serve()
        server.call("write_file", path="a/known", content="1", **NEVER)
        server.call("write_file", path="b", content="1", **NEVER)
        size = (1 << 24) - 64  # the most that would be read; of holes
        for path in ("large", "a/large", "node_modules/x/large"):
            self.write(path, b"")
            os.truncate(self.path(path), size)

        def bytes_read():
            with open("/proc/%d/io" % server.process.pid) as told:
                return int(told.readline().split()[1])

        before = bytes_read()
        listed = server.call("list_directory")["entries"]
        self.assertEqual([entry["name"] for entry in listed], ["a", "b", "large", "node_modules"])
        self.assertEqual((listed[2]["state"], listed[2]["size"]), ("untracked", size))
        self.assertEqual(server.call("get_file_info", path="node_modules")["type"], "directory")
        self.assertLess(bytes_read() - before, 1 << 20)

    def test_names_come_as_they_are(self):
        server = self.serve()
        names = ["\\back", "new\nline", "\u00fc"]
        for name in names:
            self.write(name, b"1")
        for folder in (b"\xfe", b"\xff"):
            os.mkdir(os.path.join(self.root.encode(), folder))
            with open(os.path.join(self.root.encode(), folder, b"f"), "wb"):
                pass
        listed = server.call("list_directory")["entries"]
        self.assertEqual([entry["name"] for entry in listed[:3]], names)
        for entry in listed[:3]:
            self.assertEqual(server.call("read_file", path=entry["name"])["content"], "1")
            self.assertNotIn("name_encoding", entry)
        self.assertEqual([(entry["name"], entry["name_encoding"]) for entry in listed[3:]],
                         [("/g==", "base64"), ("/w==", "base64")])
        rest = server.call("list_directory", after="/g==", after_encoding="base64")["entries"]
        self.assertEqual([entry["name"] for entry in rest], ["/w=="])
        server.call("claim", path="\\back")
        self.assertEqual([claim["path"] for claim in server.call("status")["claims"]], ["\\back"])

    def test_a_file(self):
        server = self.serve()
        self.write("c/x", b"123")
        self.assertEqual(server.call("get_file_info", path="c/x")["state"], "untracked")
        self.assertEqual(server.call("get_file_info", path="c")["type"], "directory")
        self.assertEqual(server.call("get_file_info", path="d")["exists"], False)
        seen = stamp(server.call("read_file", path="c/x"))
        info = server.call("get_file_info", path="c/x")
        self.assertEqual((info["state"], info["size"], info["exists"], stamp(info)), ("clean", 3, True, seen))


class Claims(FilesTest):
    def test_a_claimed_file_is_its_tokens(self):
        one, other = self.serve(), self.serve("2025-11-25")
        self.write("f", b"1")
        claim = one.call("claim", path="f", lease_seconds=600)
        refused = other.call("write_file", path="f", content="2", **NEVER)
        self.assertIn(refused["status"], ("held", "conflict"))
        seen = other.call("read_file", path="f")
        self.assertEqual(other.call("write_file", path="f", content="2", **stamp(seen))["status"], "held")
        written = other.call("write_file", path="f", content="2", claim=claim["claim"], release=True, **stamp(seen))
        self.assertEqual(written["status"], "ok")
        refused = one.call("edit_file", path="f", edits=[{"old_text": "2", "new_text": "3"}], claim=claim["claim"],
                           **stamp(written))
        self.assertEqual((refused["status"], refused["recover"]), ("fenced", "stop"))
        self.assertEqual(self.on_disk("f"), b"2")
        self.assertEqual(one.call("write_file", path="f", content="3", **stamp(written))["status"], "ok")

    def test_a_gate_over_files_and_state(self):
        server = self.serve()
        file = stamp(server.call("write_file", path="plan", content="go", **NEVER))
        state = stamp(server.call("commit_state", key="approved", value="yes", **NEVER))
        expect = [{"path": "plan", **file}, {"key": "approved", **state}]
        self.assertEqual(server.call("gate", expect=expect)["status"], "ok")
        outcome = server.call("gate", expect=expect, claim=True, lease_seconds=600)
        self.assertEqual([item["status"] for item in outcome["checked"]], ["ok", "ok"])
        self.assertEqual(server.call("write_file", path="plan", content="stop", **file)["status"], "held")
        for item in outcome["checked"]:
            target = {"path": "plan"} if "path" in item else {"key": "approved"}
            self.assertEqual(server.call("release", claim=item["claim"], **target)["status"], "ok")
        self.assertEqual(server.call("gate", expect=[{"path": "none", **NEVER}], claim=True)["status"], "ok")

    def test_a_gate_does_not_say_ok_of_what_it_did_not_compare(self):
        server = self.serve()
        file = stamp(server.call("write_file", path="plan", content="go", **NEVER))
        stale = stamp(server.call("commit_state", key="z", value="1", **NEVER))
        server.call("commit_state", key="z", value="2", **stale)
        self.write("plan", b"theirs")
        for claim in (False, True):
            outcome = server.call("gate", expect=[{"path": "plan", **file}, {"key": "z", **stale}], claim=claim)
            self.assertEqual(outcome["status"], "foreign_edit")
            self.assertEqual([item["status"] for item in outcome["checked"]], ["foreign_edit", "unchecked"])
            self.assertNotIn("version", outcome["checked"][1])


class FourServers(FilesTest):
    def test_of_hundreds_of_read_edit_write_loops_none_is_lost(self):
        workers, turns = 4, 40
        conflicts = []

        def work(name):
            server = self.serve(NEWEST if name % 2 else "2025-11-25")
            for turn in range(turns):
                while True:
                    seen = server.call("read_file", path="log")
                    line = "%d.%d\n" % (name, turn)
                    if turn % 2 and seen["content"]:
                        outcome = server.call("edit_file", path="log", **stamp(seen), edits=[
                            {"old_text": seen["content"], "new_text": seen["content"] + line}])
                    else:
                        outcome = server.call("write_file", path="log", content=(seen["content"] or "") + line,
                                              **stamp(seen))
                    if outcome["status"] == "ok":
                        break
                    assert outcome["status"] == "conflict", outcome
                    conflicts.append(name)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        written = ["%d.%d" % (name, turn) for name in range(workers) for turn in range(turns)]
        self.assertEqual(sorted(self.on_disk("log").decode().splitlines()), sorted(written))
        self.assertGreater(len(conflicts), 0, "they never met: nothing was tried")


if __name__ == "__main__":
    unittest.main()
