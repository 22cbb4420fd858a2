"""Traces of the engine against a spec: what `keystile_explore --traces` prints becomes the module Traces, a forest of
events, and TLC says which of its nodes the spec Spec/SpecTrace.tla reaches. A trace is accepted if its last one is."""
import json

# What a status is called in Claim.
ANSWERS = {"KS_OK": "ok", "KS_CONFLICT": "conflict", "KS_FENCED": "fenced", "KS_HELD": "held", "KS_E_GRANT": "refused"}


def name_of(process):
    return "nobody" if process < 0 else f"p{process}"


class ClaimView:
    """Of a trace, what Claim speaks of: the main key's version and epoch, and its claim."""
    GOALS = {"claim", "release", "renew", "write", "commit", "commit_release", "forge", "reclaim_forced"}

    def __init__(self, events):
        # A claim that is reclaimed by force stands for one with a lease (ClaimTrace.tla).
        self.has_leases = any(e.get("goal") == "reclaim_forced" for e in events)
        self.lease = (0, 0, 0)  # of an epoch the deadline, and how many it had

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
        for e in trace:
            who = name_of(e.get("process", -1))
            if e["event"] in ("start", "change"):
                state = view.state(e)
                if state == last:
                    continue
                yield {"is": e["event"], "who": who, **state}
                last = state
            elif e["event"] == "begin":
                if e["goal"] not in cls.GOALS:
                    raise ValueError(f"Claim has no {e['goal']}")
                goals[who] = e["goal"]
                yield {"is": "begin", "who": who, "goal": e["goal"], "ver": e["seen"][0], "ep": e["seen"][1]}
            elif e["event"] == "answer":
                yield {"is": "answer", "who": who, "goal": goals[who],
                       "answer": ANSWERS.get(e["status"], e["status"])}
            else:
                yield {"is": e["event"], "who": who}


class Forest:
    def __init__(self):
        self.events, self.next, self.roots, self.ends = [None], [{}], {}, {}

    def add(self, events, what):
        children, node = self.roots, 0
        for event in events:
            key = json.dumps(event, sort_keys=True)
            if key not in children:
                children[key] = len(self.events)
                self.events.append(event)
                self.next.append({})
            node = children[key]
            children = self.next[node]
        self.ends.setdefault(node, what)

    def module(self):
        def tla(value):
            if isinstance(value, bool):
                return str(value).upper()
            return json.dumps(value)

        def row(node):
            event = ", ".join(f"{k} |-> {tla(v)}" for k, v in self.events[node].items())
            return f"  [next |-> {{{', '.join(map(str, self.next[node].values()))}}}, event |-> [{event}]]"

        rows = ",\n".join(row(n) for n in range(1, len(self.events)))
        roots = ", ".join(map(str, self.roots.values()))
        return f"---- MODULE Traces ----\nRoots == {{{roots}}}\nNodes == <<\n{rows}\n>>\n====\n"
