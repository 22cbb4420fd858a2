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
