"""Of what `keystile_explore --traces` prints, what a spec speaks of: a class named as the spec, with

  events(trace)     the events of one trace as Spec/traces/SpecTrace.tla takes them, each a dict that becomes a record
  tampered(event)   false ones in its place, that no behaviour of the spec can show there
"""


def name_of(process):
    return "nobody" if process < 0 else f"p{process}"


class Claim:
    """The main key's version and epoch, and its claim."""
    GOALS = {"claim", "release", "renew", "write", "commit", "commit_release", "forge", "reclaim_forced"}
    ANSWERS = {"KS_OK": "ok", "KS_CONFLICT": "conflict", "KS_FENCED": "fenced", "KS_HELD": "held",
               "KS_E_GRANT": "refused"}

    def __init__(self, trace):
        # A claim that is reclaimed by force stands for one with a lease (ClaimTrace.tla).
        self.has_leases = any(event.get("goal") == "reclaim_forced" for event in trace)
        self.lease = (0, 0, 0)  # an epoch, its last deadline, the how manieth that is

    def state(self, event):
        version, epoch, _ = event["words"][0]
        owner, bid, is_marked, deadline, is_over = event["claim"]
        if self.lease[0] != bid or deadline == 0:
            self.lease = (bid, deadline, int(deadline != 0))
        elif self.lease[1] != deadline:
            self.lease = (bid, deadline, self.lease[2] + 1)
        return {"ver": version, "ep": epoch, "owner": name_of(owner) if bid else "nobody", "bid": bid,
                "mark": is_marked, "dl": 1 if self.has_leases and bid else self.lease[2], "over": is_over}

    @classmethod
    def events(cls, trace):
        view, last, goals = cls(trace), None, {}
        for event in trace:
            what, who = event["event"], name_of(event.get("process", -1))
            if what in ("start", "change"):
                state = view.state(event)
                if state != last:
                    yield {"is": what, "who": who, **state}
                last = state
            elif what == "begin":
                if event["goal"] not in cls.GOALS or event["key"] != 0:
                    raise ValueError(f"Claim has no {event['goal']} of key {event['key']}")
                goals[who] = event["goal"]
                version, epoch = event["seen"]
                yield {"is": what, "who": who, "goal": event["goal"], "ver": version, "ep": epoch}
            elif what == "answer":
                answer = cls.ANSWERS.get(event["status"], event["status"])
                yield {"is": what, "who": who, "goal": goals[who], "answer": answer}
            else:
                yield {"is": what, "who": who}

    @staticmethod
    def tampered(event):
        if event["is"] == "change":
            yield {**event, "ver": event["ver"] + 1}
            yield {**event, "ep": event["ep"] + 1}
            yield {**event, "owner": "p1" if event["owner"] == "p0" else "p0"}
            yield {**event, "bid": event["bid"] + 2}
            yield {**event, "mark": not event["mark"]}
            yield {**event, "dl": event["dl"] + 2}  # a bid may set one
        elif event["is"] == "answer" and event["goal"] != "reclaim_forced":
            otherwise = "held" if event["goal"] == "claim" else "fenced"
            yield {**event, "answer": otherwise if event["answer"] == "ok" else "ok"}


class Commit:
    """The words of both keys, the blocks, the session records and whose they are."""
    SESSIONS, BLOCKS = 4, 5
    ANSWERS = {"KS_OK": "OK", "KS_CONFLICT": "CONFLICT", "KS_FENCED": "FENCED"}

    def __init__(self, trace):
        self.blocks = {}  # a ref -> its name in the spec, in the order of appearance
        self.owners = {n: f"s{process['session']}" for n, process in enumerate(trace[0]["processes"])}

    def block(self, ref):
        name = self.blocks.setdefault(ref, f"b{len(self.blocks) + 1}") if ref else "none"
        if len(self.blocks) > self.BLOCKS:
            raise ValueError("Commit has too few blocks")
        return name

    @staticmethod
    def id(number):
        return [f"s{number[0]}", number[1]] if number != [0, 0] else ["none", 0]

    def state(self, event):
        ctl = {self.block(ref): {"st": tag, "id": self.id(number)} for ref, tag, number in event["blocks"]}
        words = {f"k{i}": {"ver": version, "ep": epoch, "ref": self.block(ref)}
                 for i, (version, epoch, ref) in enumerate(event["words"])}
        records = {f"s{i}": {"used": is_open, "gen": generation} for i, is_open, generation in event["sessions"]}
        return {"words": words,
                "ctl": {b: ctl.get(b, {"st": "FREE", "id": ["none", 0]})
                        for b in (f"b{i}" for i in range(1, self.BLOCKS + 1))},
                "recs": {s: records.get(s, {"used": False, "gen": 0})
                         for s in (f"s{i}" for i in range(1, self.SESSIONS))}}

    def left(self, processes):
        """What the sessions know, and have written down, when the trace starts."""
        nothing = {"seq": 0, "hold": ["none", "none"], "k": "k0", "b": "none", "id": ["none", 0], "spare": "none",
                   "spareId": ["none", 0], "spareHold": 2}
        left = {f"s{i}": nothing for i in range(1, self.SESSIONS)}
        for process in processes:
            key, old, old_id = process["line"]
            spare, spare_id, holding = process["spare"]
            left[f"s{process['session']}"] = {
                "seq": process["sequence"], "hold": [self.block(ref) for ref in process["holdings"]],
                "k": f"k{max(key, 0)}", "b": self.block(old), "id": self.id(old_id), "spare": self.block(spare),
                "spareId": self.id(spare_id), "spareHold": holding + 1}
        return left

    def move(self, process, before, after):
        """A process goes on under the name of the record that it opens."""
        for name, record in after.items():
            if record != before[name] and record["used"]:
                self.owners[process] = name
            elif record != before[name] and self.owners[process] == name:
                self.owners[process] = None

    @classmethod
    def events(cls, trace):
        view, last, goals = cls(trace), None, {}
        for event in trace:
            what, process = event["event"], event.get("process")
            if what in ("start", "change"):
                state = view.state(event)
                if last and state != last:
                    yield {"is": what, "who": view.owners[process] or "none", **state}
                    view.move(process, last["recs"], state["recs"])
                elif not last:
                    yield {"is": what, "left": view.left(event["processes"]), **state}
                last = state
                continue
            who = view.owners[process]
            if what == "begin":
                if event["goal"] not in ("write", "reap"):
                    raise ValueError(f"Commit has no {event['goal']}")
                goals[process] = event["goal"]
                version, epoch = event["seen"]
                yield {"is": what, "who": who, "goal": event["goal"], "key": f"k{event['key']}", "ver": version,
                       "ep": epoch}
            elif what == "answer":
                answer = cls.ANSWERS.get(event["status"], event["status"])
                yield {"is": what, "who": who, "goal": goals[process], "answer": answer}
            elif who:  # a process without a record leaves nothing
                yield {"is": what, "who": who}

    @staticmethod
    def tampered(event):
        def with_other(part, name, **values):
            return {**event, part: {**event[part], name: {**event[part][name], **values}}}

        if event["is"] == "change":
            word, block, record = event["words"]["k0"], event["ctl"]["b1"], event["recs"]["s1"]
            yield with_other("words", "k0", ver=word["ver"] + 1)
            yield with_other("words", "k0", ep=word["ep"] + 1)
            yield with_other("words", "k0", ref="b2" if word["ref"] == "b1" else "b1")
            yield with_other("ctl", "b1", st="HELD" if block["st"] == "FREE" else "FREE")
            yield with_other("ctl", "b1", id=[block["id"][0], block["id"][1] + 1])
            yield with_other("recs", "s1", used=not record["used"])
        elif event["is"] == "answer" and event["goal"] != "reap":
            yield {**event, "answer": "CONFLICT" if event["answer"] == "OK" else "OK"}
