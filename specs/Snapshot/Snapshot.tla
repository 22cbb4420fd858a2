------------------------------ MODULE Snapshot ------------------------------
(***************************************************************************)
(* A snapshot of several keys: all of them collected twice, each time the  *)
(* word and, of an INTENT, what its operation's cell says; both collects   *)
(* the same, or again; after a bounded number of tries a commit that only  *)
(* compares. Beside it commits of many keys and direct commits.            *)
(*                                                                         *)
(* The operations are those of specs/Multi seen from the slots: published, *)
(* installed in slot order by anybody, decided, finalised, over. Who does  *)
(* it does not matter here, so no process stands behind a step and none    *)
(* has to die: a step that nobody takes is one whose process is dead. Any  *)
(* number of helpers may have loaded a word and install late (`loaded`     *)
(* forgets nothing), also when the operation is over; that is then undone. *)
(* Over means: recycled, the cell in another lap.                          *)
(*                                                                         *)
(* A snapshot's access to memory is a step: a word, a cell. The entry and  *)
(* the block behind it are specs/Multi's readers.                          *)
(*                                                                         *)
(* Left out: as in specs/Multi; epochs (a version moves as they do).       *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
  Slots,      \* numbers: their order is the global slot order
  MaxOps,     \* operations of many keys, the snapshots' own included
  MaxDirects,
  MaxTries,   \* collects that may differ before the snapshot commits
  MaxCommits, \* of these
  MaxSnaps,
  Mutants     \* guards taken out: {} in a green run, one name in a mutant

Broken(m) == m \in Mutants

VARIABLES
  word,   \* [slot -> {p, ver}]: p = 0 CLEAN, else INTENT(p); ver is the version of what the word's ref names
  opr,    \* [position -> {st, ws, exp}]: state; slots it writes; slot -> version it expects, all that it takes
  tail,
  loaded, \* {<<position, slot>>}: somebody has seen the expected word there
  snap,   \* the snapshot's private memory
  db,     \* ghost: [slot -> version] by the commits that took effect
  cuts,   \* ghost: every db since the snapshot began
  directs, snaps

vars == <<word, opr, tail, loaded, snap, db, cuts, directs, snaps>>

Clean(v) == [p |-> 0, ver |-> v]
NoCollect == [k \in Slots |-> [w |-> Clean(0), v |-> 0]]
NoSnap == [at |-> "idle", k |-> 1, w |-> Clean(0), v |-> 0, one |-> NoCollect, two |-> NoCollect,
           isSecond |-> FALSE, tries |-> 0, commits |-> 0, p |-> 0]
Last == Cardinality(Slots)

Init ==
  /\ word = [k \in Slots |-> Clean(0)]
  /\ opr = [p \in 1..MaxOps |-> [st |-> "none", ws |-> {}, exp |-> <<>>]]
  /\ tail = 0 /\ loaded = {} /\ snap = NoSnap
  /\ db = [k \in Slots |-> 0] /\ cuts = {} /\ directs = 0 /\ snaps = 0

\* The ghosts after a commit that makes the versions of the slots ws one higher.
TakesEffect(ws) ==
  /\ db' = [k \in Slots |-> IF k \in ws THEN db[k] + 1 ELSE db[k]]
  /\ cuts' = IF snap.at = "idle" THEN cuts ELSE cuts \cup {db'}
NoEffect == UNCHANGED <<db, cuts>>

-----------------------------------------------------------------------------
(* Operations                                                              *)

Keys(p) == DOMAIN opr[p].exp
SnapRest == <<snap, directs, snaps>>

\* Reads and writes; looked at settled words.
Begin ==
  /\ tail < MaxOps
  /\ \E keys \in SUBSET Slots, ws \in SUBSET Slots :
       /\ Cardinality(keys) >= 2 /\ ws # {} /\ ws \subseteq keys
       /\ \A k \in keys : word[k].p = 0
       /\ opr' = [opr EXCEPT ![tail + 1] = [st |-> "READY", ws |-> ws, exp |-> [k \in keys |-> word[k].ver]]]
  /\ tail' = tail + 1
  /\ UNCHANGED <<word, loaded, db, cuts, SnapRest>>

\* A helper sees the expected word, all before it installed, and the cell READY.
LoadWord(p, k) ==
  /\ opr[p].st = "READY" /\ k \in Keys(p) /\ <<p, k>> \notin loaded
  /\ \A l \in Keys(p) : l < k => word[l].p = p
  /\ word[k] = Clean(opr[p].exp[k])
  /\ loaded' = loaded \cup {<<p, k>>}
  /\ UNCHANGED <<word, opr, tail, db, cuts, SnapRest>>

\* Its CAS, whenever.
Install(p, k) ==
  /\ <<p, k>> \in loaded /\ word[k] = Clean(opr[p].exp[k])
  /\ word' = [word EXCEPT ![k].p = p]
  /\ UNCHANGED <<opr, tail, loaded, db, cuts, SnapRest>>

Commit(p) ==
  /\ opr[p].st = "READY"
  /\ \A k \in Keys(p) : word[k].p = p
  /\ opr' = [opr EXCEPT ![p].st = "COMMITTED"]
  /\ TakesEffect(opr[p].ws)
  /\ UNCHANGED <<word, tail, loaded, SnapRest>>

Abort(p) ==
  /\ opr[p].st = "READY"
  /\ \E k \in Keys(p) : word[k].p = 0 /\ word[k].ver # opr[p].exp[k] /\ \A l \in Keys(p) : l < k => word[l].p = p
  /\ opr' = [opr EXCEPT ![p].st = "ABORTED"]
  /\ UNCHANGED <<word, tail, loaded, db, cuts, SnapRest>>

IsNew(p, k) == opr[p].st = "COMMITTED" /\ k \in opr[p].ws

Finalise(p, k) ==
  /\ opr[p].st \in {"COMMITTED", "ABORTED"} /\ k \in Keys(p) /\ word[k].p = p
  /\ word' = [word EXCEPT ![k] = Clean(IF IsNew(p, k) THEN @.ver + 1 ELSE @.ver)]
  /\ UNCHANGED <<opr, tail, loaded, db, cuts, SnapRest>>

Recycle(p) ==
  /\ opr[p].st \in {"COMMITTED", "ABORTED"}
  /\ \A k \in Keys(p) : k \in opr[p].ws \/ opr[p].st = "ABORTED" => word[k].p # p
  /\ opr' = [opr EXCEPT ![p].st = "over"]
  /\ UNCHANGED <<word, tail, loaded, db, cuts, SnapRest>>

Restore(k) ==
  /\ word[k].p # 0 /\ opr[word[k].p].st = "over"
  /\ word' = [word EXCEPT ![k] = Clean(@.ver)]
  /\ UNCHANGED <<opr, tail, loaded, db, cuts, SnapRest>>

Direct(k) ==
  /\ directs < MaxDirects /\ word[k].p = 0
  /\ word' = [word EXCEPT ![k] = Clean(@.ver + 1)]
  /\ TakesEffect({k})
  /\ directs' = directs + 1
  /\ UNCHANGED <<opr, tail, loaded, snap, snaps>>

-----------------------------------------------------------------------------
(* operations/snapshot.cpp                                                 *)

Rest == <<word, tail, loaded, db, directs>>

Start ==
  /\ snap.at = "idle" /\ snaps < MaxSnaps
  /\ snap' = [NoSnap EXCEPT !.at = "word"]
  /\ cuts' = {db} /\ snaps' = snaps + 1
  /\ UNCHANGED <<opr, Rest>>

\* Slot k resolved: its word and what it says. After the last one compare the two collects.
Collected(w, v) ==
  LET x == [w |-> w, v |-> v]
      one == IF snap.isSecond THEN snap.one ELSE [snap.one EXCEPT ![snap.k] = x]
      two == IF snap.isSecond THEN [snap.two EXCEPT ![snap.k] = x] ELSE snap.two
      \* Guard: of an INTENT the status is compared too; the word stays the same while its operation commits.
      IsSame == IF Broken("status_not_compared") THEN \A k \in Slots : one[k].w = two[k].w ELSE one = two IN
  snap' =
    IF snap.k < Last THEN [snap EXCEPT !.one = one, !.two = two, !.k = @ + 1, !.w = Clean(0), !.v = 0, !.at = "word"]
    \* Guard: one collect is no cut.
    ELSE IF ~snap.isSecond /\ ~Broken("one_collect")
    THEN [snap EXCEPT !.one = one, !.k = 1, !.w = Clean(0), !.v = 0, !.isSecond = TRUE, !.at = "word"]
    ELSE IF Broken("one_collect") \/ IsSame THEN [NoSnap EXCEPT !.one = one, !.at = "got"]
    ELSE IF snap.tries < MaxTries
    THEN [NoSnap EXCEPT !.one = two, !.isSecond = TRUE, !.tries = snap.tries + 1, !.at = "word"]
    ELSE [NoSnap EXCEPT !.at = "look"]

SnapWord ==
  /\ snap.at = "word"
  /\ LET w == word[snap.k] IN
     IF w.p = 0 THEN Collected(w, w.ver) ELSE snap' = [snap EXCEPT !.w = w, !.at = "cell"]
  /\ UNCHANGED <<opr, cuts, snaps, Rest>>

\* COMMITTED: the entry's new value. Anything else, also a cell that has gone on: the old one.
SnapCell ==
  /\ snap.at = "cell"
  /\ LET w == snap.w
         \* Guard: an INTENT whose operation is over came late.
         isNew == IsNew(w.p, snap.k) \/ (Broken("late_intent_is_new") /\ opr[w.p].st = "over")
         v == IF isNew THEN w.ver + 1 ELSE w.ver IN
     IF Broken("R5_word_not_seen_again") THEN Collected(w, v) ELSE snap' = [snap EXCEPT !.v = v, !.at = "again"]
  /\ UNCHANGED <<opr, cuts, snaps, Rest>>

\* Guard R5: the word once more. A cell that has gone on says "old" of a late INTENT only: not of one that was there
\* when the word was read, and has been finalised since.
SnapAgain ==
  /\ snap.at = "again"
  /\ IF word[snap.k] = snap.w THEN Collected(snap.w, snap.v) ELSE snap' = [snap EXCEPT !.at = "word"]
  /\ UNCHANGED <<opr, cuts, snaps, Rest>>

\* Too many tries: look at settled words, one after the other, then an operation that only compares.
SnapLook ==
  /\ snap.at = "look" /\ word[snap.k].p = 0
  /\ LET one == [snap.one EXCEPT ![snap.k] = [w |-> word[snap.k], v |-> word[snap.k].ver]] IN
     snap' = IF snap.k < Last THEN [snap EXCEPT !.one = one, !.k = @ + 1]
             \* Guard: only its commit proves that they hold together.
             ELSE [snap EXCEPT !.one = one, !.k = 1, !.at = IF Broken("looks_are_no_cut") THEN "got" ELSE "publish"]
  /\ UNCHANGED <<opr, cuts, snaps, Rest>>

SnapPublish ==
  /\ snap.at = "publish" /\ tail < MaxOps
  /\ opr' = [opr EXCEPT ![tail + 1] = [st |-> "READY", ws |-> {}, exp |-> [k \in Slots |-> snap.one[k].v]]]
  /\ tail' = tail + 1
  /\ snap' = [snap EXCEPT !.p = tail + 1, !.commits = @ + 1, !.at = "wait"]
  /\ UNCHANGED <<word, loaded, db, cuts, directs, snaps>>

\* (Its outcome is in its session when the cell has gone on; specs/Multi.)
SnapAnswer ==
  /\ snap.at = "wait" /\ opr[snap.p].st \in {"COMMITTED", "ABORTED"}
  /\ snap' = IF opr[snap.p].st = "COMMITTED" THEN [snap EXCEPT !.at = "got"]
             ELSE IF snap.commits < MaxCommits THEN [snap EXCEPT !.k = 1, !.at = "look"] ELSE NoSnap
  /\ UNCHANGED <<opr, cuts, snaps, Rest>>

SnapReturn ==
  /\ snap.at = "got"
  /\ snap' = NoSnap /\ cuts' = {}
  /\ UNCHANGED <<opr, snaps, Rest>>

-----------------------------------------------------------------------------
Next ==
  \/ Begin
  \/ \E p \in 1..tail :
       \/ Commit(p) \/ Abort(p) \/ Recycle(p)
       \/ \E k \in Slots : LoadWord(p, k) \/ Install(p, k) \/ Finalise(p, k)
  \/ \E k \in Slots : Restore(k) \/ Direct(k)
  \/ Start \/ SnapWord \/ SnapCell \/ SnapAgain \/ SnapLook \/ SnapPublish \/ SnapAnswer \/ SnapReturn

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must hold *)

TypeOK == \A k \in Slots : word[k].p \in 0..tail /\ word[k].ver <= db[k]

\* What a snapshot returns is what all its keys said at one moment between its begin and its end.
SnapshotIsACut == snap.at = "got" => [k \in Slots |-> snap.one[k].v] \in cuts
=============================================================================
