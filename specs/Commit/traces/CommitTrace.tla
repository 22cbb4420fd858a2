---------------------------- MODULE CommitTrace ----------------------------
(***************************************************************************)
(* What the engine showed, followed by Commit; specs/Claim/traces says how *)
(* that is done. Here an event is a change of a word, of a block's ctl, or *)
(* of who has a session record; a call's begin and its answer; a death. A  *)
(* session is a record, as in Commit: a process that closes one and opens  *)
(* another goes on under its name. The actions are those of Commit, with   *)
(* these exceptions, none of which is a step of the engine:                *)
(*                                                                         *)
(* - A trace starts where its scenario does (Start), after commits of all. *)
(* - A stamp comes from the trace: it was read before the call.            *)
(* - Sessions reap while they are told to.                                 *)
(***************************************************************************)
EXTENDS Commit, Traces

VARIABLES
  at,      \* the node where the behaviour stands
  reaping  \* sessions that are told to reap

Id(x) == IF x[1] = "none" THEN NoId ELSE x
Block(b) == IF b = "none" THEN None ELSE b
Ctl(e) == [b \in Blocks |-> [st |-> e.ctl[b].st, id |-> Id(e.ctl[b].id)]]

Start(e) ==
  LET Of(b) == {k \in Slots : e.words[k].ref = b}  left == e.left IN
  /\ word = e.words /\ ctl = Ctl(e)
  /\ hdr = [b \in Blocks |-> IF Of(b) # {} THEN LET k == CHOOSE k \in Of(b) : TRUE IN [slot |-> k, ver |-> word[k].ver]
                                           ELSE [slot |-> AnySlot, ver |-> 0]]
  /\ pay = [b \in Blocks |-> NoId]
  /\ rec = [s \in Sessions |->
       [used |-> e.recs[s].used, gen |-> e.recs[s].gen, seq |-> left[s].seq,
        hold |-> <<Block(left[s].hold[1]), Block(left[s].hold[2])>>,
        k |-> left[s].k, b |-> Block(left[s].b), id |-> Id(left[s].id)]]
  /\ alive = [s \in Sessions |-> e.recs[s].used]
  /\ pc = [s \in Sessions |-> IF e.recs[s].used THEN "idle" ELSE "dead"]
  /\ op = [s \in Sessions |-> NoOp]
  /\ spare = [s \in Sessions |-> [b |-> Block(left[s].spare), id |-> Id(left[s].spareId), i |-> left[s].spareHold]]
  /\ rp = [s \in Sessions |-> NoRp] /\ rd = [r \in Readers |-> NoRd]
  /\ hist = [k \in Slots |-> <<>>]
  /\ commits = 0 /\ deaths = 0 /\ touches = 0
  /\ reaping = {}

-----------------------------------------------------------------------------

Records == [s \in Sessions |-> [used |-> rec[s].used, gen |-> rec[s].gen]]

\* A step of the engine: private, or the next event. A session that is idle reaps if it is told to, or is closed.
Goes(s) ==
  /\ \/ pc[s] \notin {"idle", "answer"} /\ Step(s)
     \/ s \in reaping /\ ReapState(s)
     \/ s \notin reaping /\ (DropSpare(s) \/ Close(s))
     \/ Attach(s)
  /\ UNCHANGED reaping
  /\ IF UNCHANGED <<word, ctl>> /\ Records' = Records THEN at' = at
     ELSE \E n \in Nodes[at].next : LET e == Nodes[n].event IN
            /\ e.is = "change" /\ e.who = (IF pc[s] = "dead" THEN "none" ELSE s)
            /\ word' = e.words /\ ctl' = Ctl(e) /\ Records' = e.recs /\ at' = n

Call(s, e) ==
  /\ pc[s] = "idle" /\ alive[s] /\ s \notin reaping
  /\ IF e.goal = "reap"
     THEN reaping' = reaping \cup {s} /\ UNCHANGED vars
     ELSE /\ e.ver <= word[e.key].ver /\ e.ep <= word[e.key].ep
          /\ op' = [op EXCEPT ![s] = [NoOp EXCEPT !.k = e.key, !.seen = [ver |-> e.ver, ep |-> e.ep, ref |-> None],
                                                  !.base = e.ver]]
          /\ Go(s, "load")
          /\ UNCHANGED <<shared, spare, hist, commits, Rest, reaping>>

Told(s, e) ==
  IF e.goal = "reap"
  THEN s \in reaping /\ pc[s] = "idle" /\ reaping' = reaping \ {s} /\ UNCHANGED vars
  ELSE pc[s] = "answer" /\ op[s].out = e.answer /\ Answer(s) /\ UNCHANGED reaping

Shown(e) ==
  CASE e.is = "begin" -> Call(e.who, e)
    [] e.is = "answer" -> Told(e.who, e)
    [] e.is = "death" -> Die(e.who) /\ reaping' = reaping \ {e.who}
    [] OTHER -> FALSE

TraceInit == \E n \in Roots : at = n /\ Start(Nodes[n].event)

TraceNext ==
  \/ \E s \in Sessions : Goes(s)
  \/ \E n \in Nodes[at].next : at' = n /\ Shown(Nodes[n].event)

TraceSpec == TraceInit /\ [][TraceNext]_<<vars, at, reaping>>

\* Says of each node once that it was reached; specs/traces.py reads it.
ASSUME \A n \in DOMAIN Nodes : TLCSet(n, FALSE)
Reached == TLCGet(at) \/ (TLCSet(at, TRUE) /\ PrintT(<<"reached", at>>))
=============================================================================
