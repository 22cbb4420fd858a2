------------------------------- MODULE Commit -------------------------------
(***************************************************************************)
(* The direct commit path: a volatile store, one key per commit, any       *)
(* process killed between any two steps, several reapers at once, session  *)
(* records handed to new owners.                                           *)
(*                                                                         *)
(* One action = one atomic access to shared memory. Merged, because nobody *)
(* else can tell: the hint and the load of its ctl; the two stores         *)
(* `sequence, holding` into one's own record (a death between them looks   *)
(* like a death before); the reaper's copy of the holdings (it counts only *)
(* if the record is unchanged after it).                                   *)
(*                                                                         *)
(* A stalled process is one that is not scheduled. Nobody asks whether     *)
(* another is alive except the reaper (ReapProbe).                         *)
(*                                                                         *)
(* Left out: weak memory (the model is sequentially consistent; stores     *)
(* that no order binds are done in every order, the rest is said by the    *)
(* order comments of the C++), who owns an epoch (specs/Claim; here epochs *)
(* only move, by Touch), the ring and multi-key commits, INTENT words, the *)
(* index and its slots, keys and nodes, size classes and runs (Mixed lets  *)
(* a spare not fit), FULL (an allocation without a free block waits),      *)
(* tombstones (a block like any other), wrap of generation and sequence.   *)
(* A session here is its own participant. Bounds stand in the cfg.         *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
  Sessions, Blocks, Slots, Readers,
  None,
  FirstSlots,   \* slots that hold a value at the start; the others were never written
  MaxCommits,   \* commits begun, all sessions together
  MaxDeaths,
  MaxGen,       \* owners a session record may have, one after the other
  MaxTouches,   \* epochs moved by others: a lost CAS without a new version
  Mixed,        \* BOOLEAN: sizes differ, so a spare may not fit
  Closes,       \* BOOLEAN: sessions also close in good order
  Looks,        \* BOOLEAN: reapers also look at the living
  Mutants       \* guards taken out: {} in a green run, one name in a mutant

Broken(m) == m \in Mutants

VARIABLES
  word,   \* [slot -> {ver, ep, ref}]: the slot word, changed only by CAS
  ctl,    \* [block -> {st, id}]: FREE(last id) | HELD(id) | PUBLISHED(id)
  hdr,    \* [block -> {slot, ver}]: the block's header
  pay,    \* [block -> id]: its payload, here the id of whoever wrote it
  rec,    \* [session -> record]: open?, generation, sequence, two holdings for value blocks, and the
          \* session line {slot, old ref, old ctl}, valid when the ctl (here: its id) is not empty
  alive,  \* [session -> BOOLEAN]: its owner runs. Ground truth; only ReapProbe may look
  pc, op, \* where each session is, and its private memory in a commit
  spare,  \* [session -> {b, id, i}]: the block its last commit replaced, kept HELD for the next, and its holding
  rp,     \* [session -> private memory of a reap]
  rd,     \* [reader -> private memory of a get]
  hist,   \* ghost: [slot -> sequence of commits that took effect]
  commits, deaths, touches

shared == <<word, ctl, hdr, pay, rec>>
counts == <<commits, deaths, touches>>
vars == <<word, ctl, hdr, pay, rec, alive, pc, op, spare, rp, rd, hist, commits, deaths, touches>>

NoId    == <<None, 0>>   \* in a line: not valid
FirstId(k) == <<k, 1>>
NoWord  == [ver |-> 0, ep |-> 0, ref |-> None]
NoOp    == [k |-> None, seen |-> NoWord, base |-> 0, w |-> NoWord, oid |-> NoId, b |-> None, x |-> NoId, id |-> NoId,
            kid |-> NoId, todo |-> {}, out |-> "none"]
NoSpare == [b |-> None, id |-> NoId, i |-> 2]
NoRp    == [t |-> None, g |-> 0, k |-> None, b |-> None, id |-> NoId, st |-> "FREE",
            hold |-> <<None, None>>, i |-> 0]
NoRd    == [at |-> "idle", k |-> None, w |-> NoWord, h |-> [slot |-> None, ver |-> 0], p |-> NoId]
Other(i) == 3 - i
AnySlot  == CHOOSE k \in Slots : TRUE

\* The first value of each slot in FirstSlots sits in a block that no session owns.
Init ==
  \E f \in [FirstSlots -> Blocks] :
    LET Of(b) == {k \in FirstSlots : f[k] = b} IN
    /\ \A k, l \in FirstSlots : k # l => f[k] # f[l]
    /\ word = [k \in Slots |-> IF k \in FirstSlots THEN [ver |-> 1, ep |-> 0, ref |-> f[k]] ELSE NoWord]
    /\ ctl = [b \in Blocks |-> IF Of(b) # {} THEN [st |-> "PUBLISHED", id |-> FirstId(CHOOSE k \in Of(b) : TRUE)]
                                              ELSE [st |-> "FREE", id |-> NoId]]
    /\ hdr = [b \in Blocks |-> IF Of(b) # {} THEN [slot |-> CHOOSE k \in Of(b) : TRUE, ver |-> 1]
                                              ELSE [slot |-> AnySlot, ver |-> 0]]
    /\ pay = [b \in Blocks |-> IF Of(b) # {} THEN FirstId(CHOOSE k \in Of(b) : TRUE) ELSE NoId]
    /\ rec = [s \in Sessions |-> [used |-> TRUE, gen |-> 1, seq |-> 0, hold |-> <<None, None>>,
                                  k |-> AnySlot, b |-> None, id |-> NoId]]
    /\ alive = [s \in Sessions |-> TRUE]
    /\ pc = [s \in Sessions |-> "idle"]
    /\ op = [s \in Sessions |-> NoOp] /\ spare = [s \in Sessions |-> NoSpare]
    /\ rp = [s \in Sessions |-> NoRp] /\ rd = [r \in Readers |-> NoRd]
    /\ hist = [k \in Slots |-> IF k \in FirstSlots THEN <<[ver |-> 1, base |-> 0, id |-> FirstId(k)]>> ELSE <<>>]
    /\ commits = 0 /\ deaths = 0 /\ touches = 0

Go(s, to) == pc' = [pc EXCEPT ![s] = to]
Free(id) == [st |-> "FREE", id |-> id]
Held(id) == [st |-> "HELD", id |-> id]
Published(id) == [st |-> "PUBLISHED", id |-> id]

-----------------------------------------------------------------------------
(* operations::commit                                                      *)

Rest == <<alive, rp, rd, deaths, touches>>

\* The caller has read the key before; `seen` is that stamp.
Begin(s) ==
  /\ pc[s] = "idle" /\ commits < MaxCommits
  /\ \E k \in Slots : op' = [op EXCEPT ![s] = [NoOp EXCEPT !.k = k, !.seen = word[k], !.base = word[k].ver]]
  /\ commits' = commits + 1
  /\ Go(s, "load")
  /\ UNCHANGED <<shared, spare, hist, Rest>>

\* Judge the word: the version moved, the epoch moved, or go on; a refusal gives the block back first.
Load(s) ==
  /\ pc[s] = "load"
  /\ LET w == word[op[s].k]
         out == IF w.ver # op[s].seen.ver THEN "CONFLICT" ELSE IF w.ep # op[s].seen.ep THEN "FENCED" ELSE "none" IN
     /\ op' = [op EXCEPT ![s].w = w, ![s].out = out]
     /\ Go(s, IF out # "none" THEN (IF op[s].b = None THEN "answer" ELSE "free_own")
              ELSE IF w.ref = None THEN "block" ELSE "old_id")
  /\ UNCHANGED <<shared, spare, hist, commits, Rest>>

\* The id under which the old block will be freed: read now, never when freeing.
OldId(s) ==
  /\ pc[s] = "old_id"
  /\ op' = [op EXCEPT ![s].oid = ctl[op[s].w.ref].id]
  \* Guard E4: only the word read again proves that the id belongs to the value it replaces.
  /\ Go(s, IF Broken("E4_id_not_revalidated") THEN "block" ELSE "revalidate")
  /\ UNCHANGED <<shared, spare, hist, commits, Rest>>

Revalidate(s) ==
  /\ pc[s] = "revalidate"
  /\ Go(s, IF word[op[s].k] = op[s].w THEN "block" ELSE "load")
  /\ UNCHANGED <<shared, op, spare, hist, commits, Rest>>

(* arena::allocate_value: the spare, or a fresh block *)
UseSpare(s) ==
  /\ pc[s] = "block" /\ spare[s].b # None
  /\ op' = [op EXCEPT ![s].b = spare[s].b, ![s].id = spare[s].id]
  /\ spare' = [spare EXCEPT ![s] = [NoSpare EXCEPT !.i = Other(spare[s].i)]]
  /\ Go(s, "fill_header")
  /\ UNCHANGED <<shared, hist, commits, Rest>>

Hint(s) ==
  /\ pc[s] = "block" /\ (spare[s].b = None \/ Mixed)
  /\ \E b \in Blocks :
       /\ ctl[b].st = "FREE"
       /\ op' = [op EXCEPT ![s].b = b, ![s].x = ctl[b].id]
  \* Guard B1: the place is noted before the block is taken, so a reaper finds every block at once.
  /\ Go(s, IF Broken("B1_holding_after_take") THEN "take" ELSE "hold")
  /\ UNCHANGED <<shared, spare, hist, commits, Rest>>

Hold(s) ==
  /\ pc[s] = "hold"
  \* Guard: not in the holding that names the spare.
  /\ LET i == IF Broken("one_holding") THEN spare[s].i ELSE Other(spare[s].i) IN
     rec' = [rec EXCEPT ![s].hold[i] = op[s].b, ![s].seq = @ + 1]
  /\ op' = [op EXCEPT ![s].id = <<s, rec[s].seq + 1>>]
  /\ Go(s, IF Broken("B1_holding_after_take") THEN "fill_header" ELSE "take")
  /\ UNCHANGED <<word, ctl, hdr, pay, spare, hist, commits, Rest>>

Take(s) ==
  /\ pc[s] = "take"
  /\ LET b  == op[s].b
         id == IF Broken("B1_holding_after_take") THEN <<s, rec[s].seq + 1>> ELSE op[s].id IN
     IF ctl[b] = Free(op[s].x)
     THEN /\ ctl' = [ctl EXCEPT ![b] = Held(id)] /\ UNCHANGED op
          /\ Go(s, IF Broken("B1_holding_after_take") THEN "hold" ELSE "fill_header")
     ELSE /\ Go(s, "block") /\ op' = [op EXCEPT ![s].b = None, ![s].id = NoId] /\ UNCHANGED ctl
  /\ UNCHANGED <<word, hdr, pay, rec, spare, hist, commits, Rest>>

FillHeader(s) ==
  /\ pc[s] \in {"fill_header", "fill_again"}
  /\ hdr' = [hdr EXCEPT ![op[s].b] = [slot |-> op[s].k, ver |-> op[s].seen.ver + 1]]
  /\ Go(s, IF pc[s] = "fill_again" THEN "cas" ELSE "fill_payload")
  /\ UNCHANGED <<word, ctl, pay, rec, op, spare, hist, commits, Rest>>

FillPayload(s) ==
  /\ pc[s] = "fill_payload"
  /\ pay' = [pay EXCEPT ![op[s].b] = op[s].id]
  \* Guard E2: published while still private, before the slot's CAS.
  /\ Go(s, IF ~Broken("E2_published_after_cas") /\ ~Broken("E2_left_held") THEN "publish"
           ELSE IF op[s].w.ref = None THEN "cas" ELSE "line_fill")
  /\ op' = [op EXCEPT ![s].todo = {"slot", "ref"}]
  /\ UNCHANGED <<word, ctl, hdr, rec, spare, hist, commits, Rest>>

AfterCas(s) == IF op[s].w.ref = None THEN "answer" ELSE "keep"

(* arena::publish: a plain store, the block is ours alone *)
Publish(s) ==
  /\ pc[s] \in {"publish", "publish_late"}
  /\ ctl' = [ctl EXCEPT ![op[s].b] = Published(op[s].id)]
  /\ op' = [op EXCEPT ![s].todo = IF Broken("E5_line_without_order") THEN {"slot", "ref", "ctl"} ELSE {"slot", "ref"}]
  /\ Go(s, IF pc[s] = "publish_late" THEN AfterCas(s)
           ELSE IF op[s].w.ref = None \/ Broken("line_after_cas") THEN "cas" ELSE "line_fill")
  /\ UNCHANGED <<word, hdr, pay, rec, spare, hist, commits, Rest>>

(* arm_line: slot and old ref in any order, then the old ctl. Until then the *)
(* line holds an id whose life is over, and hits nothing.                    *)
LineFill(s) ==
  /\ pc[s] = "line_fill"
  \* Guard E5: the ctl comes last (then todo has no "ctl").
  /\ \E f \in op[s].todo :
       /\ rec' = [rec EXCEPT ![s] = CASE f = "slot" -> [@ EXCEPT !.k = op[s].k]
                                      [] f = "ref"  -> [@ EXCEPT !.b = op[s].w.ref]
                                      [] f = "ctl"  -> [@ EXCEPT !.id = op[s].oid]]
       /\ op' = [op EXCEPT ![s].todo = @ \ {f}]
       /\ Go(s, IF op[s].todo = {f} THEN "line_on" ELSE "line_fill")
  /\ UNCHANGED <<word, ctl, hdr, pay, spare, hist, commits, Rest>>

LineOn(s) ==
  /\ pc[s] = "line_on"
  /\ rec' = [rec EXCEPT ![s].id = op[s].oid]
  /\ Go(s, IF Broken("line_after_cas") THEN "keep" ELSE "cas")
  /\ UNCHANGED <<word, ctl, hdr, pay, op, spare, hist, commits, Rest>>

\* The linearization point. Guard: the whole word is compared, in one instruction.
CasMatches(s) ==
  LET w == word[op[s].k] IN
  \/ w = op[s].w
  \/ Broken("cas_compares_ref_only") /\ w.ref = op[s].w.ref
  \/ Broken("cas_not_atomic") /\ pc[s] = "cas_store"

Cas(s) ==
  /\ pc[s] \in {"cas", "cas_store"}
  /\ LET v == op[s].seen.ver + 1 IN
     IF ~CasMatches(s)
     THEN /\ Go(s, IF Mutants \cap {"retry_keeps_value", "retry_keeps_version", "outcome_from_version"} # {}
                   THEN "guess" ELSE IF op[s].w.ref = None THEN "load" ELSE "line_clear")
          /\ UNCHANGED <<word, hist>>
     ELSE IF Broken("cas_not_atomic") /\ pc[s] = "cas"
     THEN Go(s, "cas_store") /\ UNCHANGED <<word, hist>>
     ELSE /\ word' = [word EXCEPT ![op[s].k] = [ver |-> v, ep |-> op[s].w.ep, ref |-> op[s].b]]
          /\ hist' = [hist EXCEPT ![op[s].k] = Append(@, [ver |-> v, base |-> op[s].base, id |-> op[s].id])]
          /\ Go(s, IF Broken("E2_published_after_cas") THEN "publish_late"
                   ELSE IF Broken("line_after_cas") THEN "line_fill" ELSE AfterCas(s))
  /\ op' = IF word' # word THEN [op EXCEPT ![s].out = "OK"] ELSE op
  /\ UNCHANGED <<ctl, hdr, pay, rec, spare, commits, Rest>>

\* Only in mutants: Guess, what a lost CAS must not be taken for.
Guess(s) ==
  /\ pc[s] = "guess"
  /\ LET w == word[op[s].k] IN
     IF Broken("outcome_from_version")
     \* "The version I wanted is there" does not mean that I put it there.
     THEN IF w.ver = op[s].seen.ver + 1
          THEN Go(s, "answer") /\ op' = [op EXCEPT ![s].out = "OK"] ELSE Go(s, "line_clear") /\ UNCHANGED op
     \* A lost commit is not tried again on the fresh word: its base is gone.
     ELSE /\ Go(s, IF Broken("retry_keeps_version") THEN "cas" ELSE "fill_again")
          /\ op' = [op EXCEPT ![s].w = w, ![s].seen.ver = IF Broken("retry_keeps_version") THEN @ ELSE w.ver]
  /\ UNCHANGED <<shared, spare, hist, commits, Rest>>

\* Lost: the line is not true any more. Guard: the word may still hold the old block (only the epoch moved).
LineClear(s) ==
  /\ pc[s] = "line_clear"
  /\ rec' = IF Broken("lost_line_not_cleared") THEN rec ELSE [rec EXCEPT ![s].id = NoId]
  /\ Go(s, "load")
  /\ UNCHANGED <<word, ctl, hdr, pay, op, spare, hist, commits, Rest>>

(* arena::free_exact *)
FreeOwn(s) ==
  /\ pc[s] = "free_own"
  /\ ctl' = IF ctl[op[s].b] = Published(op[s].id) THEN [ctl EXCEPT ![op[s].b] = Free(op[s].id)] ELSE ctl
  /\ Go(s, "answer")
  /\ UNCHANGED <<word, hdr, pay, rec, op, spare, hist, commits, Rest>>

\* Guards: the CAS is from exactly the id that was read with the word.
OldMatches(s) ==
  LET c == ctl[op[s].w.ref] IN
  \/ c = Published(op[s].oid)
  \/ Broken("E3_id_read_late") /\ c.st = "PUBLISHED"
  \/ Broken("free_by_plain_store")

(* arena::keep_or_free: the replaced block becomes the spare, or is freed if there is one *)
KeepHold(s) ==
  /\ pc[s] = "keep" /\ spare[s].b = None
  /\ rec' = [rec EXCEPT ![s].hold[spare[s].i] = op[s].w.ref, ![s].seq = @ + 1]
  /\ op' = [op EXCEPT ![s].kid = <<s, rec[s].seq + 1>>]
  /\ Go(s, "keep_cas")
  /\ UNCHANGED <<word, ctl, hdr, pay, spare, hist, commits, Rest>>

KeepCas(s) ==
  /\ pc[s] = "keep_cas"
  /\ LET b == op[s].w.ref IN
     IF OldMatches(s)
     THEN /\ ctl' = [ctl EXCEPT ![b] = Held(op[s].kid)]
          /\ spare' = [spare EXCEPT ![s].b = b, ![s].id = op[s].kid]
     ELSE UNCHANGED <<ctl, spare>>
  /\ Go(s, "answer")
  /\ UNCHANGED <<word, hdr, pay, rec, op, hist, commits, Rest>>

FreeOld(s) ==
  /\ pc[s] = "keep" /\ (spare[s].b # None \/ Mixed)
  /\ LET b == op[s].w.ref IN
     ctl' = IF OldMatches(s) THEN [ctl EXCEPT ![b] = Free(ctl[b].id)] ELSE ctl
  /\ Go(s, "answer")
  /\ UNCHANGED <<word, hdr, pay, rec, op, spare, hist, commits, Rest>>

Answer(s) ==
  /\ pc[s] = "answer"
  /\ op' = [op EXCEPT ![s] = NoOp]
  /\ Go(s, "idle")
  /\ UNCHANGED <<shared, spare, hist, commits, Rest>>

\* Somebody claims or releases: the epoch moves, version and block stay.
Touch(k) ==
  /\ touches < MaxTouches
  /\ word' = [word EXCEPT ![k].ep = @ + 1]
  /\ touches' = touches + 1
  /\ UNCHANGED <<ctl, hdr, pay, rec, alive, pc, op, spare, rp, rd, hist, commits, deaths>>

-----------------------------------------------------------------------------
(* operations::Reaper. The record's state is read before its owner is      *)
(* probed, and again after each copy: what was copied then belongs to the  *)
(* dead owner.                                                             *)

ReapRest == <<alive, op, spare, rd, hist, commits, deaths, touches>>
Abandon(s) == Go(s, "idle") /\ rp' = [rp EXCEPT ![s] = NoRp]
\* On to the next holding that names a block; behind the last one the record is closed.
NextHolding(s, r) ==
  LET left == {j \in (r.i + 1)..2 : r.hold[j] # None}
      j == CHOOSE j \in left : \A l \in left : j <= l IN
  IF left = {}
  THEN /\ Go(s, "reap_close") /\ rp' = [rp EXCEPT ![s] = [NoRp EXCEPT !.t = r.t, !.g = r.g]]
  ELSE /\ Go(s, "reap_ctl")
       /\ rp' = [rp EXCEPT ![s] = [NoRp EXCEPT !.t = r.t, !.g = r.g, !.hold = r.hold, !.i = j, !.b = r.hold[j]]]
IsSame(s) == rec[rp[s].t].used /\ rec[rp[s].t].gen = rp[s].g

ReapState(s) ==
  /\ pc[s] = "idle"
  /\ \E t \in Sessions \ {s} :
       /\ rec[t].used
       /\ Looks \/ ~alive[t]
       \* Guard: liveness asked first would vouch for the owner before.
       /\ Broken("probe_before_state") => ~alive[t]
       /\ rp' = [rp EXCEPT ![s] = [NoRp EXCEPT !.t = t, !.g = rec[t].gen]]
  /\ Go(s, IF Broken("probe_before_state") THEN "reap_state_late" ELSE "reap_probe")
  /\ UNCHANGED <<shared, ReapRest>>

ReapProbe(s) ==
  /\ pc[s] \in {"reap_probe", "reap_state_late"}
  /\ IF pc[s] = "reap_state_late"
     THEN Go(s, "reap_line_ctl") /\ rp' = [rp EXCEPT ![s].g = rec[rp[s].t].gen]
     \* Guard: only a session proven dead is reaped. Dead is for ever: another generation is another owner.
     ELSE IF ~alive[rp[s].t] \/ rec[rp[s].t].gen # rp[s].g \/ Broken("reap_the_living")
     THEN Go(s, "reap_line_ctl") /\ UNCHANGED rp
     ELSE Abandon(s)
  /\ UNCHANGED <<shared, ReapRest>>

(* Reaper::copy_remains *)
ReapLineCtl(s) ==
  /\ pc[s] = "reap_line_ctl"
  /\ rp' = [rp EXCEPT ![s].id = rec[rp[s].t].id]
  /\ Go(s, "reap_line_ref")
  /\ UNCHANGED <<shared, ReapRest>>

ReapLineRef(s) ==
  /\ pc[s] = "reap_line_ref"
  /\ rp' = [rp EXCEPT ![s].b = rec[rp[s].t].b]
  /\ Go(s, "reap_line_slot")
  /\ UNCHANGED <<shared, ReapRest>>

ReapLineSlot(s) ==
  /\ pc[s] = "reap_line_slot"
  /\ rp' = [rp EXCEPT ![s].k = rec[rp[s].t].k]
  /\ Go(s, "reap_holdings")
  /\ UNCHANGED <<shared, ReapRest>>

ReapHoldings(s) ==
  /\ pc[s] = "reap_holdings"
  /\ rp' = [rp EXCEPT ![s].hold = rec[rp[s].t].hold]
  /\ Go(s, "reap_copy_check")
  /\ UNCHANGED <<shared, ReapRest>>

\* Guard: half of the copy may be the next owner's.
ReapCopyCheck(s) ==
  /\ pc[s] = "reap_copy_check"
  /\ IF IsSame(s) \/ Broken("copy_not_rechecked")
     THEN IF rp[s].id = NoId \/ rp[s].b = None THEN NextHolding(s, rp[s]) ELSE Go(s, "reap_line_word") /\ UNCHANGED rp
     ELSE Abandon(s)
  /\ UNCHANGED <<shared, ReapRest>>

(* Reaper::repair_line *)
\* Guard: as long as the word holds the old block, the dead commit has not happened.
ReapLineWord(s) ==
  /\ pc[s] = "reap_line_word"
  /\ IF word[rp[s].k].ref = rp[s].b /\ ~Broken("repair_without_reachability")
     THEN NextHolding(s, rp[s]) ELSE Go(s, "reap_free_old") /\ UNCHANGED rp
  /\ UNCHANGED <<shared, ReapRest>>

\* Guard E4: the line carries the id; a block without it may be a stranger's by now.
ReapFreeOld(s) ==
  /\ pc[s] = "reap_free_old"
  /\ LET b == rp[s].b IN
     ctl' = IF \/ ctl[b] = Published(rp[s].id)
               \/ Broken("E4_line_without_id") /\ ctl[b].st # "FREE"
            THEN [ctl EXCEPT ![b] = Free(ctl[b].id)] ELSE ctl
  /\ NextHolding(s, rp[s])
  /\ UNCHANGED <<word, hdr, pay, rec, ReapRest>>

(* Reaper::reap_holding, for each of the two *)
\* Guard: a holding may name a block that has gone to somebody else since.
ReapCtl(s) ==
  /\ pc[s] = "reap_ctl"
  /\ LET c == ctl[rp[s].b] IN
     IF c.st # "FREE" /\ (c.id[1] = rp[s].t \/ Broken("reap_any_id"))
     THEN Go(s, "reap_ctl_check") /\ rp' = [rp EXCEPT ![s].id = c.id, ![s].st = c.st]
     ELSE NextHolding(s, rp[s])
  /\ UNCHANGED <<shared, ReapRest>>

\* Guard: the session index in an id is also the next owner's. The record is unchanged after: the dead one's.
ReapCtlCheck(s) ==
  /\ pc[s] = "reap_ctl_check"
  /\ IF IsSame(s) \/ Broken("ctl_not_matched_to_owner")
     \* HELD was never reachable: published comes before the CAS (E2).
     THEN Go(s, IF rp[s].st = "HELD" THEN "reap_free_held" ELSE "reap_header") /\ UNCHANGED rp
     ELSE Abandon(s)
  /\ UNCHANGED <<shared, ReapRest>>

ReapHeader(s) ==
  /\ pc[s] = "reap_header"
  /\ rp' = [rp EXCEPT ![s].k = hdr[rp[s].b].slot]
  /\ Go(s, "reap_word")
  /\ UNCHANGED <<shared, ReapRest>>

\* Guard: the dead session's last value stays.
ReapWord(s) ==
  /\ pc[s] = "reap_word"
  /\ IF word[rp[s].k].ref = rp[s].b /\ ~Broken("reap_without_reachability")
     THEN NextHolding(s, rp[s]) ELSE Go(s, "reap_free_held") /\ UNCHANGED rp
  /\ UNCHANGED <<shared, ReapRest>>

\* Guard: the CAS is from exactly the ctl that was judged.
ReapFreeHeld(s) ==
  /\ pc[s] = "reap_free_held"
  /\ LET b == rp[s].b IN
     ctl' = IF ctl[b] = [st |-> rp[s].st, id |-> rp[s].id] \/ Broken("reap_by_plain_store")
            THEN [ctl EXCEPT ![b] = Free(ctl[b].id)] ELSE ctl
  /\ NextHolding(s, rp[s])
  /\ UNCHANGED <<word, hdr, pay, rec, ReapRest>>

\* The record becomes free for a next owner; a reaper that comes late finds another state.
ReapClose(s) ==
  /\ pc[s] = "reap_close"
  /\ rec' = IF IsSame(s) THEN [rec EXCEPT ![rp[s].t].used = FALSE] ELSE rec
  /\ Abandon(s)
  /\ UNCHANGED <<word, ctl, hdr, pay, ReapRest>>

-----------------------------------------------------------------------------
(* Sessions that close, and the next owners of their records               *)

DropSpare(s) ==
  /\ Closes /\ pc[s] = "idle" /\ spare[s].b # None
  /\ ctl' = IF ctl[spare[s].b] = Held(spare[s].id) THEN [ctl EXCEPT ![spare[s].b] = Free(spare[s].id)] ELSE ctl
  /\ spare' = [spare EXCEPT ![s].b = None, ![s].id = NoId]
  /\ UNCHANGED <<word, hdr, pay, rec, alive, pc, op, rp, rd, hist, counts>>

Close(s) ==
  /\ Closes /\ pc[s] = "idle" /\ spare[s].b = None
  /\ rec' = [rec EXCEPT ![s].used = FALSE] /\ alive' = [alive EXCEPT ![s] = FALSE]
  /\ spare' = [spare EXCEPT ![s] = NoSpare] /\ Go(s, "dead")
  /\ UNCHANGED <<word, ctl, hdr, pay, op, rp, rd, hist, counts>>

\* Holdings are left as they lie; the sequence goes on.
Attach(t) ==
  /\ ~rec[t].used /\ rec[t].gen < MaxGen
  /\ rec' = [rec EXCEPT ![t].used = TRUE, ![t].gen = @ + 1,
             \* Guard: an id is unique for ever, so the sequence never starts again.
             ![t].seq = IF Broken("sequence_restarts") THEN 0 ELSE @]
  /\ alive' = [alive EXCEPT ![t] = TRUE]
  \* Guard: the dead owner's line may still be true (it died before its CAS); this owner's half of it would lie.
  /\ Go(t, IF Broken("line_of_the_owner_before") THEN "idle" ELSE "open")
  /\ UNCHANGED <<word, ctl, hdr, pay, op, spare, rp, rd, hist, counts>>

OpenClear(t) ==
  /\ pc[t] = "open"
  /\ rec' = [rec EXCEPT ![t].id = NoId]
  /\ Go(t, "idle")
  /\ UNCHANGED <<word, ctl, hdr, pay, alive, op, spare, rp, rd, hist, counts>>

Die(s) ==
  /\ alive[s] /\ deaths < MaxDeaths
  /\ alive' = [alive EXCEPT ![s] = FALSE] /\ deaths' = deaths + 1
  /\ Go(s, "dead")
  /\ op' = [op EXCEPT ![s] = NoOp] /\ spare' = [spare EXCEPT ![s] = NoSpare] /\ rp' = [rp EXCEPT ![s] = NoRp]
  /\ UNCHANGED <<shared, rd, hist, commits, touches>>

-----------------------------------------------------------------------------
(* operations::get. A reader writes nothing shared, so its death is a      *)
(* reader that is not scheduled any more.                                  *)

ReadRest == <<shared, alive, pc, op, spare, rp, hist, counts>>
Reading(r, at) == rd[r].at = at

ReadWord(r) ==
  /\ Reading(r, "idle")
  /\ \E k \in Slots : /\ word[k].ref # None
                      /\ rd' = [rd EXCEPT ![r] = [NoRd EXCEPT !.k = k, !.w = word[k], !.at = "header"]]
  /\ UNCHANGED ReadRest

ReadHeader(r) ==
  /\ Reading(r, "header")
  /\ rd' = [rd EXCEPT ![r].h = hdr[rd[r].w.ref], ![r].at = "payload"]
  /\ UNCHANGED ReadRest

ReadPayload(r) ==
  /\ Reading(r, "payload")
  /\ rd' = [rd EXCEPT ![r].p = pay[rd[r].w.ref], ![r].at = "check"]
  /\ UNCHANGED ReadRest

\* Guard R5: what was copied counts only if the word is still the same.
ReadCheck(r) ==
  /\ Reading(r, "check")
  /\ rd' = [rd EXCEPT ![r] = IF word[rd[r].k] = rd[r].w \/ Broken("R5_read_not_revalidated")
                             THEN [rd[r] EXCEPT !.at = "got"] ELSE NoRd]
  /\ UNCHANGED ReadRest

ReadReturn(r) ==
  /\ Reading(r, "got")
  /\ rd' = [rd EXCEPT ![r] = NoRd]
  /\ UNCHANGED ReadRest

-----------------------------------------------------------------------------
Step(s) ==
  \/ Begin(s) \/ Load(s) \/ OldId(s) \/ Revalidate(s)
  \/ UseSpare(s) \/ Hint(s) \/ Hold(s) \/ Take(s) \/ FillHeader(s) \/ FillPayload(s) \/ Publish(s)
  \/ LineFill(s) \/ LineOn(s) \/ Cas(s) \/ Guess(s) \/ LineClear(s) \/ FreeOwn(s)
  \/ KeepHold(s) \/ KeepCas(s) \/ FreeOld(s) \/ Answer(s)
  \/ ReapState(s) \/ ReapProbe(s)
  \/ ReapLineCtl(s) \/ ReapLineRef(s) \/ ReapLineSlot(s) \/ ReapHoldings(s) \/ ReapCopyCheck(s)
  \/ ReapLineWord(s) \/ ReapFreeOld(s)
  \/ ReapCtl(s) \/ ReapCtlCheck(s) \/ ReapHeader(s) \/ ReapWord(s) \/ ReapFreeHeld(s) \/ ReapClose(s)
  \/ DropSpare(s) \/ Close(s) \/ OpenClear(s)

Next == \/ \E s \in Sessions : Step(s) \/ Die(s) \/ Attach(s)
        \/ \E k \in Slots : Touch(k)
        \/ \E r \in Readers : ReadWord(r) \/ ReadHeader(r) \/ ReadPayload(r) \/ ReadCheck(r) \/ ReadReturn(r)

Spec == Init /\ [][Next]_vars
Symmetry == Permutations(Sessions) \cup Permutations(Blocks)

-----------------------------------------------------------------------------
(* What must hold                                                          *)

TypeOK ==
  /\ \A k \in Slots : word[k].ref \in Blocks \cup {None}
  /\ \A b \in Blocks : ctl[b].st \in {"FREE", "HELD", "PUBLISHED"}
  /\ \A s \in Sessions : alive[s] = (pc[s] # "dead")

Range(seq) == {seq[i] : i \in DOMAIN seq}

\* Each version of a key has one winner.
ExactlyOneWinner ==
  \A k \in Slots : \A i, j \in DOMAIN hist[k] : i # j => hist[k][i].ver # hist[k][j].ver

\* Each commit replaced exactly the version whose value its caller had computed from.
NoLostUpdate ==
  \A k \in Slots : \A i \in DOMAIN hist[k] :
    hist[k][i].base = IF i = 1 THEN 0 ELSE hist[k][i - 1].ver

\* OK: it took effect, once. CONFLICT, FENCED: it did not, and the version or the epoch had moved.
OutcomeIsTrue ==
  \A s \in Sessions : pc[s] = "answer" =>
    LET mine == {c \in Range(hist[op[s].k]) : c.id = op[s].id}  w == word[op[s].k] IN
    CASE op[s].out = "OK"       -> Cardinality(mine) = 1
      [] op[s].out = "CONFLICT" -> mine = {} /\ w.ver > op[s].seen.ver
      [] op[s].out = "FENCED"   -> mine = {} /\ w.ep > op[s].seen.ep
      [] OTHER                  -> FALSE

\* What a get returns is the value that was committed at the version it names.
NoTornRead ==
  \A r \in Readers : rd[r].at = "got" =>
    /\ rd[r].h = [slot |-> rd[r].k, ver |-> rd[r].w.ver]
    /\ \E c \in Range(hist[rd[r].k]) : c.ver = rd[r].w.ver /\ c.id = rd[r].p

Reachable(b) == \E k \in Slots : word[k].ref = b

Private(s) == pc[s] \in {"fill_header", "fill_payload", "publish", "line_fill", "line_on", "cas", "cas_store",
                         "fill_again", "guess", "line_clear", "free_own"}
                 \/ (pc[s] \in {"load", "old_id", "revalidate", "block"} /\ op[s].b # None)
Owns(s, b) == (Private(s) /\ op[s].b = b) \/ spare[s].b = b

\* Every block is free, or holds a value, or a record in use says whose it is, for a reaper to find.
NoBlockLost ==
  \A b \in Blocks :
    \/ ctl[b].st = "FREE" \/ Reachable(b)
    \/ \E s \in Sessions : rec[s].used /\
         \/ b \in {rec[s].hold[1], rec[s].hold[2]} /\ ctl[b].id[1] = s /\ (alive[s] => Owns(s, b))
         \/ rec[s].b = b /\ ctl[b] = Published(rec[s].id)

\* A block in a slot is not free and holds that slot's version; a private block is its owner's alone.
NoBlockShared ==
  /\ \A k \in Slots : word[k].ref # None =>
       /\ ctl[word[k].ref].st # "FREE"
       /\ hdr[word[k].ref] = [slot |-> k, ver |-> word[k].ver]
  /\ \A s \in Sessions :
       /\ Private(s) => ctl[op[s].b].st # "FREE" /\ ctl[op[s].b].id = op[s].id
       /\ spare[s].b # None => ctl[spare[s].b] = Held(spare[s].id)

VersionOnlyGrows ==
  [][\A k \in Slots : word'[k].ver >= word[k].ver /\ (word'[k].ref # word[k].ref => word'[k].ver > word[k].ver)]_word
=============================================================================
