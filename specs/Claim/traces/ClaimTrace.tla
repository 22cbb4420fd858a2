----------------------------- MODULE ClaimTrace -----------------------------
(***************************************************************************)
(* What the engine showed, followed by Claim: is each trace a behaviour of *)
(* the spec? specs/traces.py writes the traces as the module Traces, a     *)
(* forest whose nodes are events; who reaches a node has followed every    *)
(* trace that begins with the events down to it. A trace is accepted if    *)
(* its last node is reached.                                               *)
(*                                                                         *)
(* Each change of the word or of the record is an event and names who made *)
(* it; so are a call's begin and its answer, and a death. All other steps  *)
(* are private and may happen at any time. The actions are those of Claim, *)
(* with these exceptions, none of which is a step of the engine:           *)
(*                                                                         *)
(* - A trace starts where its scenario does (Start).                       *)
(* - A write's stamp and a forger's ticket come from the trace: they were  *)
(*   read before the call. So does the ticket of an owner who was told     *)
(*   FENCED and tries again: he is a forger by now.                        *)
(* - The clock stands still, a lease is over from the start or never. One  *)
(*   that a forced reclaim goes for is over when that begins; then every   *)
(*   claim of the trace has a lease.                                       *)
(* - A forced reclaim is a visit, which is over when it is told an answer: *)
(*   the engine does not go on to help a bid that follows.                 *)
(***************************************************************************)
EXTENDS Claim, Traces, Sequences

VARIABLE at \* the node where the behaviour stands

Answers == {"ok", "conflict", "fenced", "held", "refused", "done"}

Owner(name) == IF name = "nobody" THEN None ELSE name
Word(e) == [ver |-> e.ver, ep |-> e.ep]
Record(e) == [s |-> Owner(e.owner), gen |-> IF e.owner = "nobody" THEN 0 ELSE 1, ep |-> e.bid, mark |-> e.mark,
              dl |-> e.dl]

Start(e) ==
  /\ word = Word(e) /\ clm = Record(e) /\ over = e.over
  /\ gen = [s \in Sessions |-> 1] /\ run = [s \in Sessions |-> "run"]
  /\ pc = [s \in Sessions |-> "idle"] /\ loc = [s \in Sessions |-> NoLoc]
  /\ h = [s \in Sessions |-> IF Odd(e.ep) /\ e.owner = s THEN [ep |-> e.ep, t |-> e.ep] ELSE NoHandle]
  /\ turn = e.ep \* ownership changes with each epoch
  /\ own = (IF Odd(e.ep) THEN <<Owner(e.owner), 1>> ELSE None) /\ wrong = {}
  /\ ops = 0 /\ renews = 0 /\ down = 0

-----------------------------------------------------------------------------

\* A step of the engine: private, or the next event.
Goes(s) ==
  /\ pc[s] \notin Answers /\ Continue(s)
  /\ IF UNCHANGED <<word, clm>> THEN at' = at
     ELSE \E n \in Nodes[at].next : LET e == Nodes[n].event IN
            e.is = "change" /\ e.who = s /\ word' = Word(e) /\ clm' = Record(e) /\ at' = n

Stamped(s, goal, e) ==
  /\ pc[s] = "idle" /\ run[s] = "run"
  /\ e.ver <= word.ver /\ e.ep <= word.ep
  /\ loc' = [loc EXCEPT ![s] = [NoLoc EXCEPT !.goal = goal, !.seen = [ver |-> e.ver, ep |-> e.ep, t |-> e.ep]]]
  /\ Go(s, Again)
  /\ UNCHANGED <<word, clm, over, gen, run, h, ghosts, counts>>

Forced(s, e) ==
  /\ pc[s] = "idle" /\ run[s] = "run"
  /\ over' = (over \/ clm.ep = e.ep)
  /\ loc' = [loc EXCEPT ![s] = [NoLoc EXCEPT !.goal = "visit"]]
  /\ Go(s, Again)
  /\ UNCHANGED <<word, clm, gen, run, h, ghosts, counts>>

Call(s, e) ==
  LET isLost == e.goal \in {"commit", "commit_release"} /\ h[s].ep # e.ep IN
  CASE e.goal \in {"write", "forge"} -> Stamped(s, e.goal, e)
    [] e.goal = "reclaim_forced" -> Forced(s, e)
    [] isLost -> Stamped(s, "forge", e)
    [] OTHER -> Begin(s) /\ loc'[s].goal = e.goal /\ (e.ep # 0 => h[s].ep = e.ep)

Told(s, e) ==
  IF e.goal = "reclaim_forced"
  THEN /\ run[s] = "run" /\ loc' = [loc EXCEPT ![s] = NoLoc] /\ Go(s, "idle")
       /\ UNCHANGED <<word, clm, over, gen, run, h, ghosts, counts>>
  ELSE pc[s] = e.answer /\ Answer(s)

Shown(e) ==
  CASE e.is = "begin" -> Call(e.who, e)
    [] e.is = "answer" -> Told(e.who, e)
    [] e.is = "death" -> Die(e.who)
    [] OTHER -> FALSE

TraceInit == \E n \in Roots : at = n /\ Start(Nodes[n].event)

TraceNext ==
  \/ \E s \in Sessions : Goes(s)
  \/ \E n \in Nodes[at].next : at' = n /\ Shown(Nodes[n].event)

TraceSpec == TraceInit /\ [][TraceNext]_<<vars, at>>

\* Says of each node once that it was reached; specs/traces.py reads it.
ASSUME \A n \in DOMAIN Nodes : TLCSet(n, FALSE)
Reached == TLCGet(at) \/ (TLCSet(at, TRUE) /\ PrintT(<<"reached", at>>))
=============================================================================
