------------------------------- MODULE Multi -------------------------------
(***************************************************************************)
(* Commits of many keys through the ring (engine/docs/RING.md): look,      *)
(* write, reserve, publish, decide, finalise, resolve, recycle, the        *)
(* author's outcome, a reaper, readers; beside them direct commits and     *)
(* ownership changes on the same slots. Any process killed between any two *)
(* steps; anybody helps at any time. Durable: the version of a commit is   *)
(* its position, single keys go through the ring too, without a            *)
(* descriptor, and a predecessor is marked before it is overwritten.       *)
(*                                                                         *)
(* One action = one access to shared memory that others can interfere      *)
(* with. Merged, because nobody else can tell:                             *)
(* - a load and the CAS from exactly what it loaded, if nothing else was   *)
(*   concluded from the load (finalise, restore, skip, head);              *)
(* - decide's cell, entry, ctl, word, cell again: READY at the end means   *)
(*   READY all the time, so also this descriptor and these entries; and    *)
(*   the entries that hold INTENT(P) already, for they keep it so long;    *)
(* - looks at several keys (what moved between them aborts), writing of    *)
(*   blocks nobody can reach, a hint and the allocating CAS (specs/Commit);*)
(* - a copy of a descriptor with the check of its ctl (a descriptor is not *)
(*   changed while PUBLISHED(P), and once gone it is gone).                *)
(* A direct commit is its CAS: allocation and free are specs/Commit. An    *)
(* ownership change is its CAS: who owns is specs/Claim.                   *)
(* A freed block's header is wiped: what one reads there is worth nothing. *)
(*                                                                         *)
(* A stalled process is one that is not scheduled. Only the reaper asks    *)
(* whether another is alive.                                               *)
(*                                                                         *)
(* Left out: weak memory (the model is sequentially consistent), journal   *)
(* and recovery, next owners of a session record, sizes and FULL (an       *)
(* allocation without a free block waits), tombstones, waking, wrap.       *)
(* Bounds stand in the cfg.                                                *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
  Procs, Readers, None,
  Blocks, Descs, \* numbers, different ones
  Slots,        \* numbers: their order is the global slot order
  FirstSlots,   \* slots that hold a value at the start; the others were never written
  FirstVersion, \* of these
  N,            \* cells
  FirstPosition,\* positions used up before (a multiple of N)
  MaxPosition,
  Durable,      \* BOOLEAN
  Shapes,       \* operations that may be begun, see Kinds
  MaxOps, MaxDirects, MaxTouches, MaxSkips, MaxDeaths,
  Helps,        \* what idle processes also do unasked: {"recycle", "reap"}
  Mutants       \* guards taken out: {} in a green run, one name in a mutant

Broken(m) == m \in Mutants

\* What an operation does to slots 1, 2, 3: w writes, c compares, r compares and releases, x writes and releases.
\* s1, s2: one key on the ring, without a descriptor.
Kinds == [ww |-> <<"w", "w">>, cw |-> <<"c", "w">>, wc |-> <<"w", "c">>, rw |-> <<"r", "w">>, xc |-> <<"x", "c">>,
          www |-> <<"w", "w", "w">>, cwc |-> <<"c", "w", "c">>, wn |-> <<"w">>, nw |-> <<"n", "w">>,
          wwn |-> <<"w", "w", "n">>, nww |-> <<"n", "w", "w">>, wnw |-> <<"w", "n", "w">>,
          s1 |-> <<"w">>, s2 |-> <<"n", "w">>]
Singles == {"s1", "s2"}

VARIABLES
  word,   \* [slot -> {int, ver, ep, ref}]: the slot word; ver of an INTENT is the operation's position
  cell,   \* [0..N-1 -> {lap, st, ref}]
  head, tail,
  ctl,    \* [block or descriptor -> {st, id}]: FREE | HELD(id) | PUBLISHED(id)
  hdr,    \* [block -> {k, ver, id, exp, author}]: header; id stands for the payload, exp and author for single keys
  desc,   \* [descriptor -> {author, es}]
  sess,   \* [process -> {hold, out}]: its holding for a descriptor, its last operation's outcome
  used,   \* blocks and descriptors taken before. Of the others the least goes first: they are all alike
  alive,  \* ground truth; only the reaper may look
  pc, op, \* where each author is, and its private memory
  stk,    \* [process -> stack of frames]: what it is helping with; the top one runs
  rd,     \* [reader -> private memory of a get]
  db,     \* ghost: [slot -> word] by the commits that took effect
  vals,   \* ghost: {<<slot, version, id>>} committed
  won,    \* ghost: positions that committed
  wrong,  \* ghost: what must never happen and did
  ops, directs, touches, skips, deaths

memory == <<word, cell, head, tail, ctl, hdr, desc, sess, used>>
ghosts == <<db, vals, won, wrong>>
counts == <<ops, directs, touches, skips, deaths>>
vars == <<word, cell, head, tail, ctl, hdr, desc, sess, used, alive, pc, op, stk, rd, db, vals, won, wrong,
          ops, directs, touches, skips, deaths>>

Refs == Blocks \cup Descs
NoId == <<None, 0>>
RingId(p) == <<None, p>>
Free == [st |-> "FREE", id |-> NoId]
Held(id) == [st |-> "HELD", id |-> id]
Published(id) == [st |-> "PUBLISHED", id |-> id]
Clean(v, e, b) == [int |-> FALSE, ver |-> v, ep |-> e, ref |-> b]
NoWord == Clean(0, 0, None)
NoHdr == [k |-> 0, ver |-> 0, id |-> NoId, exp |-> NoWord, author |-> None]
NoOp == [d |-> None, p |-> 0, es |-> <<>>, id |-> NoId, out |-> "none"]
NoFrame == [goal |-> "run", at |-> "cell", p |-> 0, k |-> 0, w |-> NoWord, d |-> None, st |-> "none", es |-> <<>>,
            i |-> 1, x |-> None, c |-> Free, all |-> FALSE]
NoRd == [at |-> "idle", k |-> 0, w |-> NoWord, b |-> None, d |-> None, h |-> NoHdr, from |-> 0]

Idx(p) == (p - 1) % N
Lap(p) == (p - 1) \div N
CellOf(p) == cell[Idx(p)]
CellIs(p, states) == CellOf(p).lap = Lap(p) /\ CellOf(p).st \in states
Decided == {"COMMITTED", "ABORTED"}

\* Which of a kind may be taken next: any that was used before, or the least of the others.
MayTake(b, taken) ==
  /\ ctl[b] = Free /\ b \notin taken
  /\ b \in used \/ \A c \in (IF b \in Blocks THEN Blocks ELSE Descs) : c < b => c \in used \cup taken

Init ==
    LET f == [k \in FirstSlots |-> k]
        Of(b) == {k \in FirstSlots : f[k] = b} IN
    /\ word = [k \in Slots |-> IF k \in FirstSlots THEN Clean(FirstVersion, 0, f[k]) ELSE NoWord]
    /\ cell = [i \in 0..(N - 1) |-> [lap |-> FirstPosition \div N, st |-> "FREE", ref |-> None]]
    /\ head = FirstPosition /\ tail = FirstPosition
    /\ ctl = [b \in Refs |-> IF b \in Blocks /\ Of(b) # {} THEN Published(RingId(FirstVersion)) ELSE Free]
    /\ hdr = [b \in Blocks |-> IF Of(b) # {} THEN [NoHdr EXCEPT !.k = CHOOSE k \in Of(b) : TRUE, !.ver = FirstVersion]
                                             ELSE NoHdr]
    /\ desc = [d \in Descs |-> [author |-> None, es |-> <<>>]]
    /\ used = {b \in Blocks : Of(b) # {}}
    /\ sess = [s \in Procs |-> [hold |-> None, out |-> <<0, "none">>]]
    /\ alive = [s \in Procs |-> TRUE]
    /\ pc = [s \in Procs |-> "idle"] /\ op = [s \in Procs |-> NoOp] /\ stk = [s \in Procs |-> <<>>]
    /\ rd = [r \in Readers |-> NoRd]
    /\ db = word /\ won = {} /\ wrong = {}
    /\ vals = {<<k, FirstVersion, NoId>> : k \in FirstSlots}
    /\ ops = 0 /\ directs = 0 /\ touches = 0 /\ skips = 0 /\ deaths = 0

Go(s, to) == pc' = [pc EXCEPT ![s] = to]
Top(s) == stk[s][Len(stk[s])]
Below(s) == SubSeq(stk[s], 1, Len(stk[s]) - 1)
Become(s, f) == stk' = [stk EXCEPT ![s] = Append(Below(s), f)] /\ UNCHANGED pc
Push(s, f) == stk' = [stk EXCEPT ![s] = Append(@, f)]
Pop(s) == /\ stk' = [stk EXCEPT ![s] = Below(s)]
          /\ pc' = IF pc[s] = "help" /\ Len(stk[s]) = 1 THEN [pc EXCEPT ![s] = "idle"] ELSE pc
At(s, at) == stk[s] # <<>> /\ Top(s).at = at

-----------------------------------------------------------------------------
(* Entries and words                                                       *)

IsSingle(ref) == ref \in Blocks
OldCtl(w) == IF w.ref = None THEN Free ELSE ctl[w.ref]
Writes(e) == e.b # None

\* The entries of what a cell or a holding names.
EntriesOf(ref) ==
  IF IsSingle(ref)
  THEN <<[k |-> hdr[ref].k, exp |-> hdr[ref].exp, b |-> ref, id |-> hdr[ref].id, rel |-> FALSE, fctl |-> ctl[ref],
          octl |-> IF hdr[ref].exp.ref = None THEN Free ELSE Published(RingId(hdr[ref].exp.ver))]>>
  ELSE desc[ref].es
AuthorOf(ref) == IF IsSingle(ref) THEN hdr[ref].author ELSE desc[ref].author

NewVersion(p, e) == IF Durable THEN p ELSE e.exp.ver + 1
NewWord(p, e) == Clean(IF Writes(e) THEN NewVersion(p, e) ELSE e.exp.ver,
                       IF e.rel THEN e.exp.ep + 1 ELSE e.exp.ep,
                       IF Writes(e) THEN e.b ELSE e.exp.ref)
FinalWord(p, e, st) == IF st = "COMMITTED" THEN NewWord(p, e) ELSE e.exp
IsIntent(w, p) == w.int /\ w.ver = p

\* What an INTENT stood on: a block is installed at one version, which its header tells.
OldWord(w) == Clean(IF w.ref = None THEN 0 ELSE hdr[w.ref].ver, w.ep, w.ref)

\* What a slot says, with the operation that is deciding there looked through.
Said(k) ==
  LET w == word[k]  p == w.ver  ref == CellOf(p).ref IN
  IF ~w.int THEN w
  ELSE IF CellIs(p, {"COMMITTED"}) /\ ctl[ref] = Published(RingId(p))
  THEN LET mine == {i \in DOMAIN EntriesOf(ref) : EntriesOf(ref)[i].k = k} IN
       IF mine = {} THEN OldWord(w) ELSE NewWord(p, EntriesOf(ref)[CHOOSE i \in mine : TRUE])
  ELSE OldWord(w)

\* Ghost: the commit p of entries es takes effect here.
TakesEffect(p, es) ==
  LET E == {es[i] : i \in DOMAIN es} IN
  /\ db' = [k \in Slots |-> IF \E e \in E : e.k = k /\ (Writes(e) \/ e.rel)
                            THEN NewWord(p, CHOOSE e \in E : e.k = k) ELSE db[k]]
  /\ vals' = vals \cup {<<e.k, NewVersion(p, e), e.id>> : e \in {x \in E : Writes(x)}}
  /\ won' = won \cup {p}
  /\ wrong' = wrong \cup (IF \E e \in E : e.exp.ep # db[e.k].ep THEN {"stale"} ELSE {})
                    \cup (IF \E e \in E : [e.exp EXCEPT !.ep = 0] # [db[e.k] EXCEPT !.ep = 0] THEN {"unserial"} ELSE {})
                    \cup (IF p \in won THEN {"twice"} ELSE {})

-----------------------------------------------------------------------------
(* operations/multi.cpp: the author                                        *)

Rest == <<alive, rd, directs, touches, skips, deaths>>
Author(s, at) == pc[s] = at /\ stk[s] = <<>>

\* Only in mutants: ReserveFirst
ReserveFirst(s) ==
  /\ Broken("R1_reserve_before_reads") /\ Author(s, "idle") /\ ops < MaxOps /\ tail < MaxPosition
  /\ tail' = tail + 1 /\ op' = [op EXCEPT ![s] = [NoOp EXCEPT !.p = tail + 1]] /\ Go(s, "look")
  /\ UNCHANGED <<word, cell, head, ctl, hdr, desc, sess, used, stk, ghosts, ops, Rest>>

\* look: every word settled, with the ctl of its block. Then the descriptor, noted in the session's holding.
\* In the descriptor still lies what it said in its last life.
Begin(s) ==
  /\ Author(s, IF Broken("R1_reserve_before_reads") THEN "look" ELSE "idle") /\ ops < MaxOps
  /\ \E shape \in Shapes, d \in Refs :
       LET kinds == Kinds[shape]
           keys == {k \in DOMAIN kinds : kinds[k] # "n"}
           Nth(i) == CHOOSE k \in keys : Cardinality({l \in keys : l <= k}) = i
           Entry(k) == [k |-> k, exp |-> word[k], b |-> None, id |-> NoId, rel |-> kinds[k] \in {"r", "x"},
                        octl |-> OldCtl(word[k]), fctl |-> Free]
           es == [i \in 1..Cardinality(keys) |-> Entry(Nth(i))]
           turned == [i \in DOMAIN es |-> es[Len(es) + 1 - i]] IN
       /\ MayTake(d, {}) /\ used' = used \cup {d} /\ IsSingle(d) = (shape \in Singles)
       /\ \A k \in keys : ~word[k].int
       /\ \E order \in {es} \cup (IF Broken("R9_any_order") THEN {turned} ELSE {}) :
            op' = [op EXCEPT ![s] = [NoOp EXCEPT !.d = d, !.es = order, !.id = <<s, ops + 1>>, !.p = op[s].p,
                                     !.out = shape]]
       /\ ctl' = [ctl EXCEPT ![d] = Held(<<s, ops + 1>>)]
       /\ sess' = [sess EXCEPT ![s].hold = d]
  /\ ops' = ops + 1
  /\ Go(s, "fill")
  /\ UNCHANGED <<word, cell, head, tail, hdr, desc, stk, ghosts, Rest>>

\* write: the fresh blocks, each noted in its entry, published while nobody can reach them.
WritesAt(o, i) == Kinds[o.out][o.es[i].k] \in {"w", "x"}
Fill(s) ==
  /\ Author(s, "fill")
  /\ LET o == op[s]
         fresh == {i \in DOMAIN o.es : WritesAt(o, i)} IN
     \E f \in [fresh -> IF IsSingle(o.d) THEN {o.d} ELSE {b \in Blocks : ctl[b] = Free}] :
       LET Entry(i) == [o.es[i] EXCEPT !.b = IF i \in fresh THEN f[i] ELSE None, !.id = o.id,
                                       !.fctl = IF i \in fresh THEN Published(o.id) ELSE Free]
           es == [i \in DOMAIN o.es |-> Entry(i)]
           Mine(b) == CHOOSE i \in fresh : f[i] = b
           IsMine(b) == \E i \in fresh : f[i] = b IN
       /\ IsSingle(o.d) \/ \A i \in fresh : MayTake(f[i], {f[j] : j \in {l \in fresh : l < i}})
       /\ used' = used \cup {f[i] : i \in fresh}
       /\ hdr' = [b \in Blocks |-> IF ~IsMine(b) THEN hdr[b] ELSE
                    [k |-> es[Mine(b)].k, ver |-> es[Mine(b)].exp.ver + 1, id |-> o.id,
                     exp |-> IF IsSingle(o.d) THEN es[1].exp ELSE NoWord, author |-> IF IsSingle(o.d) THEN s ELSE None]]
       /\ ctl' = [b \in Refs |-> IF b # o.d /\ b \in Blocks /\ IsMine(b) THEN Published(o.id) ELSE ctl[b]]
       /\ desc' = IF IsSingle(o.d) THEN desc ELSE [desc EXCEPT ![o.d] = [author |-> s, es |-> es]]
       /\ op' = [op EXCEPT ![s].es = es, ![s].out = "none"]
  \* Guard R1: the position comes after every look.
  /\ Go(s, IF Broken("R1_reserve_before_reads") THEN "room" ELSE "reserve")
  /\ UNCHANGED <<word, cell, head, tail, sess, stk, ghosts, ops, Rest>>

Reserve(s) ==
  /\ Author(s, "reserve") /\ tail < MaxPosition
  /\ tail' = tail + 1
  /\ op' = [op EXCEPT ![s].p = tail + 1]
  /\ Go(s, "room")
  /\ UNCHANGED <<word, cell, head, ctl, hdr, desc, sess, used, stk, ghosts, ops, Rest>>

\* Room: the cell is in this lap, and free. Then the stamps: the outcome, the descriptor; in a durable store also the
\* version and the ctl of each fresh block, which are the position.
Room(s) ==
  /\ Author(s, "room")
  /\ LET o == op[s]  p == o.p  c == CellOf(p) IN
     IF c.lap < Lap(p)
     THEN Push(s, [NoFrame EXCEPT !.goal = "recycle", !.at = "head"]) /\ UNCHANGED <<ctl, hdr, desc, sess, op, pc>>
     ELSE IF c.lap > Lap(p) \/ c.st # "FREE"
     THEN Go(s, "reserve") /\ UNCHANGED <<ctl, hdr, desc, sess, op, stk>>
     ELSE LET fresh == {o.es[i].b : i \in DOMAIN o.es} \ {None}
              es == [i \in DOMAIN o.es |-> IF Durable /\ Writes(o.es[i])
                                           THEN [o.es[i] EXCEPT !.fctl = Published(RingId(p))] ELSE o.es[i]] IN
          /\ sess' = [sess EXCEPT ![s].out = <<p, "pending">>]
          /\ ctl' = [b \in Refs |-> IF b = o.d \/ (Durable /\ b \in fresh) THEN Published(RingId(p)) ELSE ctl[b]]
          /\ hdr' = [b \in Blocks |-> IF Durable /\ b \in fresh THEN [hdr[b] EXCEPT !.ver = p] ELSE hdr[b]]
          /\ desc' = IF IsSingle(o.d) THEN desc ELSE [desc EXCEPT ![o.d] = [author |-> s, es |-> es]]
          /\ op' = [op EXCEPT ![s].es = es]
          /\ Go(s, "publish") /\ UNCHANGED stk
  /\ UNCHANGED <<word, cell, head, tail, used, ghosts, ops, Rest>>

(* ring/cells.hpp publish *)
Publish(s) ==
  /\ Author(s, "publish")
  /\ LET p == op[s].p IN
     \* Guard R8: from FREE of exactly this lap.
     IF CellIs(p, {"FREE"}) \/ (Broken("R8_lap_not_compared") /\ CellOf(p).st = "FREE")
     THEN /\ cell' = [cell EXCEPT ![Idx(p)].st = "READY", ![Idx(p)].ref = op[s].d]
          /\ Push(s, [NoFrame EXCEPT !.p = p])
          /\ Go(s, "run")
     ELSE Go(s, "reserve") /\ UNCHANGED <<cell, stk>>
  /\ UNCHANGED <<word, head, tail, ctl, hdr, desc, sess, used, op, ghosts, ops, Rest>>

\* The cell's state, or, once the cell has gone on, what the recycler left in the session.
Answer(s) ==
  /\ Author(s, "run")
  /\ LET p == op[s].p IN
     op' = [op EXCEPT ![s].out = IF CellIs(p, Decided) THEN CellOf(p).st
                                 ELSE IF sess[s].out = <<p, "COMMITTED">> THEN "COMMITTED" ELSE "ABORTED"]
  /\ Go(s, "told")
  /\ UNCHANGED <<memory, stk, ghosts, ops, Rest>>

Return(s) ==
  /\ Author(s, "told")
  /\ op' = [op EXCEPT ![s] = NoOp]
  /\ Go(s, "idle")
  /\ UNCHANGED <<memory, stk, ghosts, ops, Rest>>

-----------------------------------------------------------------------------
(* operations/resolve.cpp: anybody                                         *)

HelpRest == <<used, op, alive, rd, ops, directs, touches, deaths>>
StackMax == Cardinality(Slots) + 1

ResolveFrame(k, w) == [NoFrame EXCEPT !.goal = "resolve", !.p = w.ver, !.k = k, !.w = w]

\* First resolve what stands at slot k. Guard R9: with entries in one order the stack is never higher than there are
\* slots; without it comes back to itself, and the only thing to do is to start over.
Resolve(s, k, w) ==
  /\ IF Len(stk[s]) < StackMax THEN Push(s, ResolveFrame(k, w))
     ELSE stk' = [stk EXCEPT ![s] = SubSeq(@, 1, 1)]
  /\ UNCHANGED pc

\* The operation is over: the INTENT came late. What it says is undone bit for bit.
Restore(s, f) ==
  /\ word' = IF f.goal # "resolve" \/ word[f.k] # f.w \/ Broken("R6_late_install_not_restored") THEN word
             ELSE [word EXCEPT ![f.k] = IF Broken("R6_restore_keeps_position")
                                        THEN [f.w EXCEPT !.int = FALSE] ELSE OldWord(f.w)]
  /\ Pop(s)

\* Only a durable store's versions are positions.
Ensures == (Durable /\ ~Broken("R2_predecessor_not_marked")) \/ Broken("E1_ensure_in_volatile")

\* Guard: the whole word.
IsExpected(w, e) == w = e.exp \/ (Broken("epoch_not_compared") /\ ~w.int /\ [w EXCEPT !.ep = e.exp.ep] = e.exp)

\* The position's cell, and for READY everything that decide looks at before it does something.
LookCell(s) ==
  /\ At(s, "cell")
  /\ LET f == Top(s)  p == f.p  c == CellOf(p) IN
     IF CellIs(p, {"READY"})
     THEN LET es == EntriesOf(c.ref)
              IsDone(e) == \/ IsIntent(word[e.k], p)
                           \/ IsSingle(c.ref) /\ ~word[e.k].int /\ word[e.k].ver = p
                           \* Guard: only INTENT(P) is P's.
                           \/ Broken("foreign_intent_counts") /\ word[e.k].int
                           \* Guard: an entry that only compares takes an INTENT too.
                           \/ Broken("compare_without_intent") /\ ~Writes(e) /\ word[e.k] = e.exp
              todo == {i \in DOMAIN es : ~IsDone(es[i])}
              i == CHOOSE j \in todo : \A l \in todo : j <= l
              e == es[i]
              w == word[e.k] IN
          /\ IF todo = {} THEN Become(s, [f EXCEPT !.at = "commit", !.all = f.goal = "resolve"])
             ELSE IF w.int THEN Resolve(s, e.k, w)
             ELSE IF IsExpected(w, e)
             THEN Become(s, [f EXCEPT !.es = <<e>>, !.d = c.ref, !.all = f.goal = "resolve",
                                      !.at = IF Ensures /\ CellIs(w.ver, {"READY"}) THEN "ensure" ELSE "install"])
             ELSE Become(s, [f EXCEPT !.at = "abort", !.all = f.goal = "resolve"])
          /\ UNCHANGED word
     ELSE IF CellIs(p, Decided)
     THEN Become(s, [f EXCEPT !.at = "copy", !.d = c.ref, !.st = c.st]) /\ UNCHANGED word
     ELSE Restore(s, f)
  /\ UNCHANGED <<cell, head, tail, ctl, hdr, desc, sess, ghosts, skips, HelpRest>>

\* Back to the cell, with nothing remembered.
Again(f) == [f EXCEPT !.at = "cell", !.es = <<>>, !.d = None]

SetCell(p, st) == cell' = IF CellIs(p, {"READY"}) THEN [cell EXCEPT ![Idx(p)].st = st] ELSE cell

\* Guard R2: who installed what is about to be overwritten is marked first.
Ensure(s) ==
  /\ At(s, "ensure")
  /\ LET f == Top(s)  q == f.es[1].exp.ver  ref == CellOf(q).ref IN
     /\ SetCell(q, "COMMITTED")
     /\ IF CellIs(q, {"READY"}) /\ ~IsSingle(ref) THEN TakesEffect(q, EntriesOf(ref)) ELSE UNCHANGED ghosts
     /\ Become(s, [f EXCEPT !.at = "install"])
  /\ UNCHANGED <<word, head, tail, ctl, hdr, desc, sess, skips, HelpRest>>

\* The INTENT; for a single key the new word itself, which is where that commit takes effect.
Install(s) ==
  /\ At(s, "install")
  /\ LET f == Top(s)  e == f.es[1]  p == f.p
         w == word[e.k]
         isHit == IsExpected(w, e)
         to == IF IsSingle(f.d) THEN NewWord(p, e) ELSE [w EXCEPT !.int = TRUE, !.ver = p] IN
     /\ word' = IF isHit THEN [word EXCEPT ![e.k] = to] ELSE word
     /\ IF isHit /\ IsSingle(f.d) THEN TakesEffect(p, f.es) ELSE UNCHANGED ghosts
     /\ Become(s, Again(f))
  /\ UNCHANGED <<cell, head, tail, ctl, hdr, desc, sess, skips, HelpRest>>

\* READY -> COMMITTED: where a commit of many keys takes effect.
Commit(s) ==
  /\ At(s, "commit")
  /\ LET f == Top(s)  p == f.p  ref == CellOf(p).ref IN
     /\ SetCell(p, "COMMITTED")
     /\ IF CellIs(p, {"READY"}) /\ ~IsSingle(ref) THEN TakesEffect(p, EntriesOf(ref)) ELSE UNCHANGED ghosts
     /\ Become(s, Again(f))
  /\ UNCHANGED <<word, head, tail, ctl, hdr, desc, sess, skips, HelpRest>>

Abort(s) ==
  /\ At(s, "abort")
  /\ SetCell(Top(s).p, "ABORTED")
  /\ Become(s, Again(Top(s)))
  /\ UNCHANGED <<word, head, tail, ctl, hdr, desc, sess, ghosts, skips, HelpRest>>

\* Decided: a copy of the descriptor. Who resolves one slot of an operation that others decided finalises that slot.
Copy(s) ==
  /\ At(s, "copy")
  /\ LET f == Top(s)
         isMine(e) == f.goal # "resolve" \/ f.all \/ e.k = f.k
         es == SelectSeq(EntriesOf(f.d), isMine) IN
     \* Guard R3: a descriptor that is not PUBLISHED(P) any more says nothing about P.
     IF ctl[f.d] = Published(RingId(f.p)) \/ Broken("R3_copy_not_checked")
     THEN /\ UNCHANGED word
          /\ LET g == [f EXCEPT !.es = es, !.x = AuthorOf(f.d)] IN
             \* Guard R4: the recycler finalises first.
             IF IsSingle(f.d) \/ (f.goal = "recycle" /\ Broken("R4_recycled_unfinalised"))
             THEN IF f.goal = "recycle" THEN Become(s, [g EXCEPT !.at = "outcome"]) ELSE Pop(s)
             ELSE Become(s, [g EXCEPT !.at = "finalise"])
     ELSE IF f.goal = "recycle" THEN Become(s, [f EXCEPT !.at = "next"]) /\ UNCHANGED word
     ELSE Restore(s, f)
  /\ UNCHANGED <<cell, head, tail, ctl, hdr, desc, sess, ghosts, skips, HelpRest>>

Finalise(s) ==
  /\ At(s, "finalise")
  /\ LET f == Top(s)
         todo == {i \in f.i..Len(f.es) : IsIntent(word[f.es[i].k], f.p)}
         i == CHOOSE j \in todo : \A l \in todo : j <= l
         e == f.es[i] IN
     IF todo # {}
     THEN word' = [word EXCEPT ![e.k] = FinalWord(f.p, e, f.st)] /\ Become(s, [f EXCEPT !.i = i + 1])
     ELSE /\ UNCHANGED word
          /\ IF f.goal = "recycle" THEN Become(s, [f EXCEPT !.at = "outcome", !.i = 1]) ELSE Pop(s)
  /\ UNCHANGED <<cell, head, tail, ctl, hdr, desc, sess, ghosts, skips, HelpRest>>

-----------------------------------------------------------------------------
(* operations/recycle.cpp: anybody, strictly in ring order                 *)

\* Nobody who runs is about to publish there; or the recycler has lost its patience (so often).
MayPublish(p) == \E s \in Procs : alive[s] /\ op[s].p = p /\ pc[s] \in {"look", "fill", "room", "publish"}
MaySkip(p) == ~MayPublish(p) \/ skips < MaxSkips

Recyclable == LET p == head + 1 IN
  p <= tail /\ ~(CellIs(p, {"FREE"}) /\ ~MaySkip(p))

AtHead(s) ==
  /\ At(s, "head")
  /\ LET f == Top(s)  p == head + 1  c == CellOf(p)  isMine == c.lap = Lap(p) IN
     /\ p <= tail => Recyclable
     /\ IF p > tail THEN Pop(s) /\ UNCHANGED <<cell, head, skips>>
        ELSE IF ~isMine THEN head' = p /\ Pop(s) /\ UNCHANGED <<cell, skips>>
        ELSE IF c.st = "FREE"
        THEN /\ cell' = [cell EXCEPT ![Idx(p)].st = "SKIPPED"]
             /\ skips' = IF MayPublish(p) THEN skips + 1 ELSE skips
             /\ UNCHANGED <<stk, pc, head>>
        ELSE IF c.st = "SKIPPED"
        THEN cell' = [cell EXCEPT ![Idx(p)] = [lap |-> c.lap + 1, st |-> "FREE", ref |-> None]]
             /\ UNCHANGED <<stk, pc, head, skips>>
        ELSE Become(s, [f EXCEPT !.at = "cell", !.p = p]) /\ UNCHANGED <<cell, head, skips>>
  /\ UNCHANGED <<word, tail, ctl, hdr, desc, sess, ghosts, HelpRest>>

\* Guard R7: before the cell goes on.
Outcome(s) ==
  /\ At(s, "outcome")
  /\ LET f == Top(s) IN
     /\ sess' = IF f.x # None /\ sess[f.x].out = <<f.p, "pending">> /\ ~(Broken("R7_outcome_after_cell") /\ f.i = 1)
                THEN [sess EXCEPT ![f.x].out = <<f.p, f.st>>] ELSE sess
     /\ IF f.i = 0 THEN Pop(s) ELSE Become(s, [f EXCEPT !.at = "free"])
  /\ UNCHANGED <<word, cell, head, tail, ctl, hdr, desc, ghosts, skips, HelpRest>>

\* What recycling frees: the replaced blocks, or the fresh ones.
Frees(e, st) == Writes(e) /\ (st = "ABORTED" \/ e.exp.ref # None)
FreeOf(e, st) == IF st = "COMMITTED" THEN [b |-> e.exp.ref, c |-> e.octl] ELSE [b |-> e.b, c |-> e.fctl]

Wiped(b) == IF b \in Blocks THEN [hdr EXCEPT ![b] = NoHdr] ELSE hdr
FreeExact(b, c, isAny) ==
  LET isHit == ctl[b] = c \/ isAny IN
  /\ ctl' = IF isHit THEN [ctl EXCEPT ![b] = Free] ELSE ctl
  /\ hdr' = IF isHit THEN Wiped(b) ELSE hdr

AfterFrees(f) ==
  IF IsSingle(f.d) \/ Broken("descriptor_freed_first") THEN [f EXCEPT !.at = "next", !.es = <<>>, !.i = 1]
  ELSE [f EXCEPT !.at = "descriptor", !.es = <<>>, !.i = 1]

FreeBlock(s) ==
  /\ At(s, "free")
  /\ LET f == Top(s)
         todo == {i \in f.i..Len(f.es) : Frees(f.es[i], f.st)}
         i == CHOOSE j \in todo : \A l \in todo : j <= l
         x == FreeOf(f.es[i], f.st) IN
     IF Broken("descriptor_freed_first") /\ ~IsSingle(f.d) /\ ctl[f.d] = Published(RingId(f.p))
     THEN FreeExact(f.d, Published(RingId(f.p)), FALSE) /\ UNCHANGED <<stk, pc>>
     ELSE IF todo = {} THEN Become(s, AfterFrees(f)) /\ UNCHANGED <<ctl, hdr>>
     \* Guards R8, E3: from exactly the ctl that its word was read with.
     ELSE /\ FreeExact(x.b, x.c, \/ Broken("R8_free_by_plain_store")
                                 \/ Broken("E3_ctl_read_late") /\ ctl[x.b].st = "PUBLISHED")
          /\ Become(s, IF todo = {i} THEN AfterFrees(f) ELSE [f EXCEPT !.i = i + 1])
  /\ UNCHANGED <<word, cell, head, tail, desc, sess, ghosts, skips, HelpRest>>

\* Guard: the descriptor goes last, for it names the others.
FreeDescriptor(s) ==
  /\ At(s, "descriptor")
  /\ FreeExact(Top(s).d, Published(RingId(Top(s).p)), FALSE)
  /\ Become(s, [Top(s) EXCEPT !.at = "next"])
  /\ UNCHANGED <<word, cell, head, tail, desc, sess, ghosts, skips, HelpRest>>

NextLap(s) ==
  /\ At(s, "next")
  /\ LET f == Top(s)  p == f.p IN
     /\ cell' = IF CellIs(p, Decided) THEN [cell EXCEPT ![Idx(p)] = [lap |-> Lap(p) + 1, st |-> "FREE", ref |-> None]]
                                      ELSE cell
     /\ Become(s, [f EXCEPT !.at = "pass", !.d = None, !.es = <<>>])
  /\ UNCHANGED <<word, head, tail, ctl, hdr, desc, sess, ghosts, skips, HelpRest>>

Pass(s) ==
  /\ At(s, "pass")
  /\ LET f == Top(s) IN
     /\ head' = IF head = f.p - 1 THEN f.p ELSE head
     /\ IF Broken("R7_outcome_after_cell") THEN Become(s, [f EXCEPT !.at = "outcome", !.i = 0]) ELSE Pop(s)
  /\ UNCHANGED <<word, cell, tail, ctl, hdr, desc, sess, ghosts, skips, HelpRest>>

-----------------------------------------------------------------------------
(* operations/reaper.cpp reap_descriptor: what a dead author had not       *)
(* published yet. A single key's block is its own descriptor.              *)

ReapLook(s) ==
  /\ At(s, "reap_look")
  /\ LET f == Top(s)  d == sess[f.x].hold  c == ctl[d]  g == [f EXCEPT !.d = d, !.c = c, !.es = EntriesOf(d)] IN
     IF c.st = "HELD" /\ c.id[1] = f.x
     THEN Become(s, [g EXCEPT !.at = "reap_free"])
     ELSE IF c.st = "PUBLISHED" /\ c.id[1] = None /\ AuthorOf(d) = f.x
     THEN Become(s, [g EXCEPT !.at = "reap_cell", !.p = c.id[2]])
     ELSE Pop(s)
  /\ UNCHANGED <<word, cell, head, tail, ctl, hdr, desc, sess, ghosts, skips, HelpRest>>

\* Guard: an operation that was published is anybody's, and no business of the reaper.
ReapCell(s) ==
  /\ At(s, "reap_cell")
  /\ IF CellIs(Top(s).p, {"READY", "COMMITTED", "ABORTED"}) /\ ~Broken("reap_published")
     THEN Pop(s)
     \* Guard: the ctl once more, after the cell. Only then a cell in a later lap means: skipped.
     ELSE Become(s, [Top(s) EXCEPT !.at = IF Broken("reap_ctl_before_cell") THEN "reap_free" ELSE "reap_check"])
  /\ UNCHANGED <<word, cell, head, tail, ctl, hdr, desc, sess, ghosts, skips, HelpRest>>

ReapCheck(s) ==
  /\ At(s, "reap_check")
  /\ IF ctl[Top(s).d] = Top(s).c THEN Become(s, [Top(s) EXCEPT !.at = "reap_free"]) ELSE Pop(s)
  /\ UNCHANGED <<word, cell, head, tail, ctl, hdr, desc, sess, ghosts, skips, HelpRest>>

\* Guard: what lies in a descriptor that its owner has not filled is from its last life: what a slot holds stays.
IsInSlot(b) == hdr[b].k \in Slots /\ word[hdr[b].k].ref = b
ReapFree(s) ==
  /\ At(s, "reap_free")
  /\ LET f == Top(s)
         IsTheirs(b) == /\ ctl[b].st # "FREE"
                        /\ ctl[b].id[1] = f.x \/ ctl[b] = Published(RingId(f.p))
                        /\ f.c.st = "PUBLISHED" \/ ~IsInSlot(b) \/ Broken("reap_without_reachability")
         todo == {i \in f.i..Len(f.es) : Writes(f.es[i]) /\ f.es[i].b # f.d /\ IsTheirs(f.es[i].b)}
         i == CHOOSE j \in todo : \A l \in todo : j <= l IN
     IF todo # {}
     THEN FreeExact(f.es[i].b, ctl[f.es[i].b], FALSE) /\ Become(s, [f EXCEPT !.i = i + 1])
     \* A single key's block stays PUBLISHED(P) as a value, when its cell has gone on.
     ELSE /\ IF IsSingle(f.d) /\ IsInSlot(f.d) /\ ~Broken("reap_single_in_slot")
             THEN UNCHANGED <<ctl, hdr>> ELSE FreeExact(f.d, f.c, FALSE)
          /\ Pop(s)
  /\ UNCHANGED <<word, cell, head, tail, desc, sess, ghosts, skips, HelpRest>>

-----------------------------------------------------------------------------
(* What a process may take up unasked                                      *)

Start(s, f) == /\ Author(s, "idle") /\ alive[s]
               /\ Push(s, f) /\ Go(s, "help")
               /\ UNCHANGED <<word, cell, head, tail, ctl, hdr, desc, sess, ghosts, skips, HelpRest>>

\* A direct commit, a claim, a release that meets an INTENT.
Visit(s) == \E k \in Slots : word[k].int /\ Start(s, ResolveFrame(k, word[k]))
Recycle(s) == "recycle" \in Helps /\ Recyclable /\ Start(s, [NoFrame EXCEPT !.goal = "recycle", !.at = "head"])

IsLeft(t) == LET d == sess[t].hold IN
  /\ d # None
  /\ \/ ctl[d].st = "HELD" /\ ctl[d].id[1] = t
     \/ ctl[d].st = "PUBLISHED" /\ ctl[d].id[1] = None /\ AuthorOf(d) = t
  /\ ~(IsSingle(d) /\ IsInSlot(d)) \/ Broken("reap_single_in_slot")
\* Guard E6: only the dead are reaped.
Reap(s) == "reap" \in Helps /\ \E t \in Procs \ {s} :
  /\ ~alive[t] \/ Broken("E6_reap_the_living")
  /\ IsLeft(t)
  /\ Start(s, [NoFrame EXCEPT !.goal = "reap", !.at = "reap_look", !.x = t])

-----------------------------------------------------------------------------
(* The others on the same slots                                            *)

OtherRest == <<cell, head, tail, desc, sess, alive, pc, op, stk, rd, won, ops, skips, deaths>>

\* A direct commit of one key: CAS, free.
Direct(k) ==
  /\ ~Durable /\ directs < MaxDirects /\ ~word[k].int
  /\ LET w == word[k]  id == <<"direct", directs>> IN
     \E b \in Blocks :
       /\ MayTake(b, {}) /\ used' = used \cup {b}
       /\ word' = [word EXCEPT ![k] = Clean(w.ver + 1, w.ep, b)]
       /\ ctl' = [c \in Refs |-> IF c = b THEN Published(id) ELSE IF c = w.ref THEN Free ELSE ctl[c]]
       /\ hdr' = [c \in Blocks |-> IF c = b THEN [NoHdr EXCEPT !.k = k, !.ver = w.ver + 1, !.id = id]
                                   ELSE IF c = w.ref THEN NoHdr ELSE hdr[c]]
       /\ vals' = vals \cup {<<k, w.ver + 1, id>>}
       /\ db' = [db EXCEPT ![k] = Clean(w.ver + 1, w.ep, b)]
       /\ wrong' = wrong \cup (IF [w EXCEPT !.ep = 0] # [db[k] EXCEPT !.ep = 0] THEN {"unserial"} ELSE {})
  /\ directs' = directs + 1
  /\ UNCHANGED <<touches, OtherRest>>

\* A claim, a release, a reclaim.
Touch(k) ==
  /\ touches < MaxTouches /\ ~word[k].int
  /\ word' = [word EXCEPT ![k].ep = @ + 1] /\ db' = [db EXCEPT ![k].ep = @ + 1]
  /\ touches' = touches + 1
  /\ UNCHANGED <<ctl, hdr, used, vals, wrong, directs, OtherRest>>

Die(s) ==
  /\ alive[s] /\ deaths < MaxDeaths
  /\ alive' = [alive EXCEPT ![s] = FALSE] /\ deaths' = deaths + 1
  /\ Go(s, "dead") /\ op' = [op EXCEPT ![s] = NoOp] /\ stk' = [stk EXCEPT ![s] = <<>>]
  /\ UNCHANGED <<memory, rd, ghosts, ops, directs, touches, skips>>

-----------------------------------------------------------------------------
(* operations/read.hpp: a reader writes nothing and helps nobody           *)

ReadRest == <<memory, alive, pc, op, stk, ghosts, counts>>
Reading(r, at) == rd[r].at = at

ReadWord(r) ==
  /\ Reading(r, "idle")
  /\ \E k \in Slots : /\ word[k].ref # None
                      /\ rd' = [rd EXCEPT ![r] = [NoRd EXCEPT !.k = k, !.w = word[k], !.b = word[k].ref,
                                                              !.from = db[k].ver,
                                                              !.at = IF word[k].int THEN "cell" ELSE "block"]]
  /\ UNCHANGED ReadRest

ReadCell(r) ==
  /\ Reading(r, "cell")
  /\ LET p == rd[r].w.ver IN
     rd' = [rd EXCEPT ![r] = IF CellIs(p, {"COMMITTED"}) THEN [@ EXCEPT !.d = CellOf(p).ref, !.at = "entry"]
                                                         ELSE [@ EXCEPT !.at = "block"]]
  /\ UNCHANGED ReadRest

ReadEntry(r) ==
  /\ Reading(r, "entry")
  /\ LET d == rd[r].d
         mine == {i \in DOMAIN EntriesOf(d) : EntriesOf(d)[i].k = rd[r].k /\ Writes(EntriesOf(d)[i])} IN
     rd' = [rd EXCEPT ![r] = IF ctl[d] = Published(RingId(rd[r].w.ver)) /\ mine # {}
                             THEN [@ EXCEPT !.b = EntriesOf(d)[CHOOSE i \in mine : TRUE].b, !.at = "block"]
                             ELSE [@ EXCEPT !.d = None, !.at = "block"]]
  /\ UNCHANGED ReadRest

ReadBlock(r) ==
  /\ Reading(r, "block")
  /\ rd' = [rd EXCEPT ![r].h = hdr[rd[r].b], ![r].at = "check"]
  /\ UNCHANGED ReadRest

\* Guard R5: the word once more; and of a new value the descriptor.
ReadCheck(r) ==
  /\ Reading(r, "check")
  /\ LET x == rd[r]
         isSame == /\ word[x.k] = x.w \/ Broken("R5_read_not_revalidated")
                   /\ x.d # None => ctl[x.d] = Published(RingId(x.w.ver)) IN
     rd' = [rd EXCEPT ![r] = IF isSame THEN [x EXCEPT !.at = "got"] ELSE NoRd]
  /\ UNCHANGED ReadRest

ReadReturn(r) ==
  /\ Reading(r, "got")
  /\ rd' = [rd EXCEPT ![r] = NoRd]
  /\ UNCHANGED ReadRest

-----------------------------------------------------------------------------
Help(s) ==
  \/ LookCell(s) \/ Ensure(s) \/ Install(s) \/ Commit(s) \/ Abort(s) \/ Copy(s) \/ Finalise(s)
  \/ AtHead(s) \/ Outcome(s) \/ FreeBlock(s) \/ FreeDescriptor(s) \/ NextLap(s) \/ Pass(s)
  \/ ReapLook(s) \/ ReapCell(s) \/ ReapCheck(s) \/ ReapFree(s)
Continue(s) ==
  \/ Fill(s) \/ Reserve(s) \/ Room(s) \/ Publish(s) \/ Answer(s) \/ Return(s) \/ Help(s)
Read(r) == ReadWord(r) \/ ReadCell(r) \/ ReadEntry(r) \/ ReadBlock(r) \/ ReadCheck(r) \/ ReadReturn(r)

Next == \/ \E s \in Procs : ReserveFirst(s) \/ Begin(s) \/ Continue(s) \/ Visit(s) \/ Recycle(s) \/ Reap(s) \/ Die(s)
        \/ \E k \in Slots : Direct(k) \/ Touch(k)
        \/ \E r \in Readers : Read(r)

Spec == Init /\ [][Next]_vars
\* A process that runs goes on with what it has begun, and looks at a slot that is being decided.
FairSpec == Spec /\ \A s \in Procs : WF_vars(Continue(s)) /\ WF_vars(Visit(s))

Symmetry == Permutations(Procs)

-----------------------------------------------------------------------------
(* What must hold                                                          *)

TypeOK ==
  /\ head <= tail /\ tail <= MaxPosition
  /\ \A i \in 0..(N - 1) : cell[i].st \in {"FREE", "SKIPPED", "READY", "COMMITTED", "ABORTED"}
  \* Deeper ones have higher slots.
  /\ \A s \in Procs : Len(stk[s]) <= Cardinality(Slots) + 1

\* What the slots say is what the commits that took effect have written, each of them whole.
AllOrNothing == \A k \in Slots : Said(k) = db[k]

\* Everything a commit had read was true when it took effect; and it took effect once.
Serializable == wrong \cap {"unserial", "twice"} = {}

NoStaleApply == "stale" \notin wrong

\* Each version of a key has one winner.
ExactlyOneWinner == \A x, y \in vals : x[1] = y[1] /\ x[2] = y[2] => x = y

\* COMMITTED: it took effect. ABORTED: it did not, and something it had read is not so any more.
OutcomeIsTrue ==
  \A s \in Procs : pc[s] = "told" =>
    IF op[s].out = "COMMITTED" THEN op[s].p \in won
    ELSE op[s].p \notin won /\ \E i \in DOMAIN op[s].es : Said(op[s].es[i].k) # op[s].es[i].exp

Reachable(b) == \E k \in Slots : word[k].ref = b
\* Positions whose operation is in the ring, with its descriptor.
Open == {p \in (FirstPosition + 1)..tail : CellIs(p, {"READY", "COMMITTED", "ABORTED"})
                                           /\ ctl[CellOf(p).ref] = Published(RingId(p))}
\* The recycler will find it; or a session's holding says whose it is, for a reaper to find.
IsFoundBy(s, d) ==
  /\ sess[s].hold = d
  /\ \/ ctl[d].st = "HELD" /\ ctl[d].id[1] = s
     \/ ctl[d].st = "PUBLISHED" /\ ctl[d].id[1] = None /\ AuthorOf(d) = s
NoBlockLost ==
  \A b \in Refs :
    \/ ctl[b].st = "FREE" \/ Reachable(b)
    \/ \E p \in Open : LET ref == CellOf(p).ref IN
         \/ b = ref
         \/ \E i \in DOMAIN EntriesOf(ref) : LET e == EntriesOf(ref)[i] IN
              \/ e.b = b /\ ctl[b] = e.fctl
              \/ Writes(e) /\ e.exp.ref = b /\ ctl[b] = e.octl
    \/ \E s \in Procs :
         \/ IsFoundBy(s, b)
         \/ LET d == sess[s].hold IN
            d \in Descs /\ IsFoundBy(s, d) /\ \E i \in DOMAIN desc[d].es : desc[d].es[i].b = b

\* A block in a slot is not free and holds what the slot says; what an operation has written is its alone until it is
\* over.
NoBlockShared ==
  /\ \A k \in Slots :
       /\ word[k].ref # None => ctl[word[k].ref].st # "FREE"
       /\ LET w == Said(k) IN w.ref # None => hdr[w.ref].k = k /\ hdr[w.ref].ver = w.ver /\ ctl[w.ref].st # "FREE"
  \* What decide takes for granted: a READY cell's descriptor is there.
  /\ \A i \in 0..(N - 1) : cell[i].st = "READY" => ctl[cell[i].ref] = Published(RingId(cell[i].lap * N + i + 1))
  /\ \A p \in Open : CellIs(p, {"READY"}) =>
       \A i \in DOMAIN EntriesOf(CellOf(p).ref) :
         LET e == EntriesOf(CellOf(p).ref)[i] IN Writes(e) => ctl[e.b] = e.fctl
  /\ \A s \in Procs : pc[s] \in {"reserve", "room", "publish"} =>
       /\ ctl[op[s].d].st # "FREE" /\ (ctl[op[s].d].st = "HELD" => ctl[op[s].d].id = op[s].id)
       /\ \A i \in DOMAIN op[s].es : Writes(op[s].es[i]) /\ ~IsSingle(op[s].d) => ctl[op[s].es[i].b] = op[s].es[i].fctl

\* What a get returns was committed, and was the newest at some moment of the get.
NoTornRead ==
  \A r \in Readers : rd[r].at = "got" =>
    /\ <<rd[r].k, rd[r].h.ver, rd[r].h.id>> \in vals /\ rd[r].h.k = rd[r].k
    /\ rd[r].h.ver >= rd[r].from

VersionOnlyGrows ==
  [][\A k \in Slots : LET v == Said(k)  w == Said(k)' IN
       w.ver >= v.ver /\ w.ep >= v.ep /\ (w.ref # v.ref => w.ver > v.ver)]_<<word, cell, ctl>>

\* What running processes have begun ends (operations are few, so: all of it for good), and no slot stays in between
\* as long as somebody runs.
IsQuiet == \A s \in Procs : alive[s] => pc[s] = "idle" /\ \A k \in Slots : ~word[k].int
SurvivorsProgress == <>[]IsQuiet
=============================================================================
