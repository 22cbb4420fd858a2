------------------------------ MODULE Journal ------------------------------
(***************************************************************************)
(* A durable store's history on its way to disk and back                   *)
(* (engine/docs/JOURNAL.md): commits in the ring, flushing by anybody, the *)
(* cursor and `durable`, next files, write errors, checkpoints, removal of *)
(* old files, loss of power, recovery. Any process killed or stopped       *)
(* between any two steps, a recovery too; the power gone at any moment.    *)
(*                                                                         *)
(* The disk: what is written lies in memory (cache) first. A loss of power *)
(* keeps or loses each record and each name that was not synced, each on   *)
(* its own. A write that the kernel fails is told once, at their next      *)
(* sync, to the descriptors through which it was made, and to no others;   *)
(* what was to be written then counts as written, and is not on disk:      *)
(* later syncs say that all is well. (Linux tells every descriptor that    *)
(* was open then; the protocol must not need that.)                        *)
(*                                                                         *)
(* One action = one access to shared memory, one call into the file        *)
(* system. Merged, because nobody else can tell, or because a death in     *)
(* between leaves what another execution leaves:                           *)
(* - a load and the CAS from exactly what it loaded (raise, give up);      *)
(* - decide's word and cell, with the predecessor's mark (specs/Multi);    *)
(* - the cursor's load, the copying of decided cells and the re-check of   *)
(*   the first one: what is copied is a function of these cells. Anybody   *)
(*   decides, so a flusher finds them decided. It may end at any position: *)
(*   so a death in the midst of a write is a write of less;                *)
(* - a hidden file is made, filled and synced unseen: then it is linked,   *)
(*   unless its name is taken; a checkpoint as well;                       *)
(* - opening a journal file with the folder's sync; a mark with its sync;  *)
(* - in a recovery, nobody else is there: the scan; writing its end again  *)
(*   with its sync;                                                        *)
(* - recycling all that is below durable.                                  *)
(* A record has length 1: offset i is the place of a file's i-th record.   *)
(* Each record is its own page. A checkpoint's gate is a flush: here it    *)
(* waits for the flushers. A process has one flusher (its lock).           *)
(*                                                                         *)
(* Bounds stand in the cfg. Left out: weak memory, laps of the ring and a  *)
(* full one, positions that are skipped (as aborted), operations of more   *)
(* than one key, claims; damage of what was on disk (seeds, checksums), of *)
(* checkpoints too, and what is done about it (leave_lost_file,            *)
(* remove_unusable): but one is kept, not two, as if the newer one were    *)
(* damaged; locks and liveness (nobody recovers while somebody lives), the *)
(* lease, who waits (acked: whoever looks at durable is told); the making  *)
(* of the first file.                                                      *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
  Procs,        \* flushers, each of a process of its own
  Makers,       \* of checkpoints
  Nobody,       \* wrote what the dead wrote
  Keys,         \* numbers
  MaxPosition, MaxFile,
  MaxOps,       \* commits
  FullAt,       \* records from which on a next file is due
  Promise,      \* positions that a file's head promises; a next file is due when half of them are used
  Unsynced,     \* BOOLEAN: flushes that only write, too
  Stops,        \* BOOLEAN: authors stop between word and cell
  Begun,        \* BOOLEAN: at the start a first commit fills the first file, and the next one is made
  MaxKills, MaxLosses, MaxFails, MaxCheckpoints,
  Mutants       \* guards taken out: {} in a green run, one name in a mutant

Broken(m) == m \in Mutants

Positions == 1..MaxPosition
Files == 1..MaxFile
Places == 1..MaxOps
Zeros == 0
Garbage == MaxPosition + 1 \* the bytes of an operation that was gone when it was copied

VARIABLES
  \* The segment: gone with the power.
  word,    \* [key -> position]: the slot's version
  op,      \* [position -> {k, exp, st}]: key, expected version; READY, IN (the word says so, the cell not yet), ...
  tail, head,
  cursor,  \* {pos, file, off}
  durable, \* {pos, file, off, pend}; pend: the file is not made yet, off is the end of the file before
  limit,   \* no position at or above it is published
  inc,     \* incarnation
  \* The directory, as processes see it and as it is on disk.
  cache, disk, \* [file -> [place -> Zeros, a position, Garbage]]
  dirty,   \* [file -> [place -> who wrote it since it was written back]]: {}: the kernel sees nothing to do
  heads,   \* [file -> {start, before, inc, limit}]: on disk before the file has a name
  names, diskNames, \* journal files
  cks, diskCks,     \* checkpoints: {start, ents, limit, seen}; seen: on disk before it had its name
  mark,
  \* Processes.
  pr,      \* [flusher -> private memory]
  mk,      \* [maker -> private memory]
  phase,   \* "up", or where a recovery is
  rec,     \* what a recovery read
  \* Ghosts.
  took,    \* positions whose commit took effect, and that no loss of power has undone
  acked,   \* commits at or below it may have been acknowledged as on disk
  top, topInc, \* the highest position published, the highest incarnation that was open
  failed,  \* files of which a write failed
  wrong,   \* what must never happen and did
  ops, kills, losses, fails, made

ring == <<word, op, tail, head>>
points == <<cursor, durable, limit, inc>>
content == <<cache, disk, dirty>>
folder == <<heads, names, diskNames, cks, diskCks, mark>>
ghosts == <<took, acked, top, topInc, failed, wrong>>
counts == <<ops, kills, losses, fails, made>>
vars == <<word, op, tail, head, cursor, durable, limit, inc, cache, disk, dirty, heads, names, diskNames, cks, diskCks,
          mark, pr, mk, phase, rec, took, acked, top, topInc, failed, wrong, ops, kills, losses, fails, made>>

Max(S) == IF S = {} THEN 0 ELSE CHOOSE x \in S : \A y \in S : y <= x
Min(S) == CHOOSE x \in S : \A y \in S : x <= y
Larger(a, b) == IF a >= b THEN a ELSE b

NoOp == [k |-> 0, exp |-> 0, st |-> "NONE"]
NoPoint == [pos |-> 0, file |-> 0, off |-> 0]
NoDurable == [pos |-> 0, file |-> 0, off |-> 0, pend |-> FALSE]
NoHead == [start |-> 0, before |-> 0, inc |-> 0, limit |-> 0]
NoRec == [bad |-> FALSE, words |-> [k \in Keys |-> 0], from |-> 0, replayed |-> {}, file |-> 0, off |-> 0,
          known |-> 0, limit |-> 0, inc |-> 0]
\* fd: the file that is open; err: something that was written through it failed, and nobody was told through it;
\* wrote: up to there everything that is not on disk was written through it.
NoProc == [pc |-> "idle", sync |-> FALSE, d |-> NoDurable, c |-> NoPoint, start |-> NoPoint, to |-> NoPoint,
           buf |-> <<>>, fd |-> 0, err |-> FALSE, wrote |-> NoPoint]
\* at: the place in a file that is not made yet.
NoMaker == [pc |-> "idle", at |-> NoPoint, start |-> NoPoint, limit |-> 0, todo |-> {}, ents |-> [k \in Keys |-> 0],
            end |-> 0, seen |-> NoPoint, files |-> {}, starts |-> {}]
Empty == [i \in Places |-> Zeros]
Clean == [i \in Places |-> {}]

Init ==
  LET n == IF Begun THEN 1 ELSE 0 IN \* commits, files that are full
  /\ word = [k \in Keys |-> IF k = 1 THEN n ELSE 0] /\ tail = n /\ head = n
  /\ op = [p \in Positions |-> IF p <= n THEN [k |-> 1, exp |-> 0, st |-> "COMMITTED"] ELSE NoOp]
  /\ cursor = [pos |-> n + 1, file |-> n + 1, off |-> 1]
  /\ durable = [pos |-> n + 1, file |-> n + 1, off |-> n + 1, pend |-> Begun]
  /\ limit = n + 1 + Promise /\ inc = 1
  /\ cache = [f \in Files |-> IF f <= n THEN [Empty EXCEPT ![1] = 1] ELSE Empty] /\ disk = cache
  /\ dirty = [f \in Files |-> Clean]
  /\ heads = [f \in Files |-> IF f > n + 1 THEN NoHead ELSE
       [start |-> f, before |-> IF f = 1 THEN 0 ELSE 2, inc |-> 1, limit |-> f + Promise]]
  /\ names = 1..(n + 1) /\ diskNames = names /\ cks = {} /\ diskCks = {}
  /\ mark = IF Begun THEN [pos |-> 2, file |-> 1, off |-> 2] ELSE NoPoint
  /\ pr = [q \in Procs |-> NoProc] /\ mk = [m \in Makers |-> NoMaker]
  /\ phase = "up" /\ rec = NoRec
  /\ took = 1..n /\ acked = n /\ top = n /\ topInc = 1 /\ failed = {} /\ wrong = {}
  /\ ops = 0 /\ kills = 0 /\ losses = 0 /\ fails = 0 /\ made = 0

Note(what, is) == wrong' = IF is THEN wrong \cup {what} ELSE wrong

-----------------------------------------------------------------------------
(* The ring: operations of one key, specs/Multi                            *)

AuthorRest == <<cursor, durable, limit, inc, content, folder, pr, mk, phase, rec, acked, topInc, failed>>

Decided == {"COMMITTED", "ABORTED"}

\* operations/author.cpp: not beyond the promise.
Publish(k) ==
  /\ phase = "up" /\ ops < MaxOps /\ tail < MaxPosition
  /\ tail + 1 < limit \/ Broken("beyond_the_promise")
  /\ tail' = tail + 1 /\ ops' = ops + 1
  /\ op' = [op EXCEPT ![tail + 1] = [k |-> k, exp |-> word[k], st |-> "READY"]]
  /\ top' = Larger(top, tail + 1) /\ Note("twice", tail + 1 <= top)
  /\ UNCHANGED <<word, head, took, kills, losses, fails, made, AuthorRest>>

\* What the word says comes into it; the one before is marked first (R2): nothing but its cell tells afterwards.
Marked(q) == IF q > 0 /\ ~Broken("R2_predecessor_not_marked") /\ op[q].st = "IN"
             THEN [op EXCEPT ![q].st = "COMMITTED"] ELSE op
Install(p) ==
  /\ phase = "up" /\ p > head /\ op[p].st = "READY" /\ word[op[p].k] = op[p].exp
  /\ word' = [word EXCEPT ![op[p].k] = p] /\ took' = took \cup {p}
  /\ op' = [Marked(op[p].exp) EXCEPT ![p].st = IF Stops THEN "IN" ELSE "COMMITTED"]
  /\ UNCHANGED <<tail, head, top, wrong, counts, AuthorRest>>

\* The word says so: committed. It says neither this nor what was expected: it never will.
Decide(p) ==
  /\ phase = "up" /\ p > head
  /\ LET w == word[op[p].k] IN
     \/ op[p].st = "IN" /\ op' = [op EXCEPT ![p].st = IF w = p THEN "COMMITTED" ELSE "ABORTED"]
     \/ op[p].st = "READY" /\ w # op[p].exp /\ op' = [op EXCEPT ![p].st = "ABORTED"]
  /\ UNCHANGED <<word, tail, head, took, top, wrong, counts, AuthorRest>>

\* Only what is on disk (H3), and decided.
Recycle ==
  /\ phase = "up" /\ head < durable.pos - 1
  /\ head' = durable.pos - 1
  /\ UNCHANGED <<word, op, tail, took, top, wrong, counts, AuthorRest>>

-----------------------------------------------------------------------------
(* operations/flush.cpp: anybody                                           *)

FlushRest == <<ring, inc, mk, phase, rec, took, top, topInc, ops, kills, losses, made>>
At(q, pc) == phase = "up" /\ pr[q].pc = pc
\* At rest only the descriptor counts, and no more once its file was left; nor what was written, once it is on disk.
Rest(q) ==
  IF pr[q].fd # durable.file THEN NoProc
  ELSE [NoProc EXCEPT !.fd = pr[q].fd, !.err = pr[q].err,
                      !.wrote = IF pr[q].wrote.pos > durable.pos \/ Broken("written_all_once") THEN pr[q].wrote ELSE @]
Set(q, x) == pr' = [pr EXCEPT ![q] = x]
Go(q, pc) == Set(q, IF pc = "idle" THEN Rest(q) ELSE [pr[q] EXCEPT !.pc = pc])
First(d) == [pos |-> d.pos, file |-> d.file, off |-> 1]
Point(d) == [pos |-> d.pos, file |-> d.file, off |-> d.off]
NotBehind(d, place) ==
  IF place.file = d.file /\ place.pos >= d.pos THEN place
  ELSE IF d.pend /\ ~Broken("pending_place_written") THEN First(d) ELSE Point(d)

LookDurable(q) ==
  /\ At(q, "idle")
  /\ \E sync \in {TRUE} \cup (IF Unsynced THEN {FALSE} ELSE {}) :
       /\ IF sync THEN durable.pos <= tail ELSE cursor.pos <= tail \/ cursor.file # durable.file
       /\ Set(q, [Rest(q) EXCEPT !.pc = "look", !.sync = sync, !.d = durable])
  /\ UNCHANGED <<points, content, folder, acked, failed, wrong, fails, FlushRest>>

\* The cursor is in another file, or the file is not open.
LookElsewhere(q) ==
  /\ At(q, "look")
  /\ LET x == pr[q]  back == x.d.file < cursor.file /\ ~Broken("cursor_goes_back") IN
     /\ cursor.file # x.d.file \/ x.fd # x.d.file
     /\ IF cursor.file = x.d.file THEN Go(q, "enter")
        \* A late look: the cursor's file only goes up (H1).
        ELSE IF back THEN Set(q, Rest(q))
        ELSE Set(q, [x EXCEPT !.pc = "make", !.c = cursor])
  /\ UNCHANGED <<points, content, folder, acked, failed, wrong, fails, FlushRest>>

\* operations/writer.cpp make_file: the first one gives the file its name.
MakeFile(d) ==
  LET f == d.file
      isNew == f \notin names \/ Broken("file_renamed_over") IN
  /\ names' = names \cup {f}
  /\ heads' = IF ~isNew THEN heads ELSE
       [heads EXCEPT ![f] = [start |-> d.pos, before |-> d.off, inc |-> inc, limit |-> d.pos + Promise]]
  /\ cache' = IF isNew THEN [cache EXCEPT ![f] = Empty] ELSE cache
  /\ disk' = IF isNew THEN [disk EXCEPT ![f] = Empty] ELSE disk
  /\ dirty' = IF isNew THEN [dirty EXCEPT ![f] = Clean] ELSE dirty

Link(q) ==
  /\ At(q, "make") /\ MakeFile(pr[q].d) /\ Go(q, "linked")
  /\ UNCHANGED <<points, diskNames, cks, diskCks, mark, acked, failed, wrong, fails, FlushRest>>

SyncFolder == diskNames' = names /\ diskCks' = cks

SyncName(q) ==
  /\ At(q, "linked") /\ Go(q, "turn")
  /\ IF Broken("name_not_synced") THEN UNCHANGED <<diskNames, diskCks>> ELSE SyncFolder
  /\ UNCHANGED <<points, content, heads, names, cks, mark, acked, failed, wrong, fails, FlushRest>>

TurnCursor(q) ==
  /\ At(q, "turn")
  /\ cursor' = IF cursor = pr[q].c THEN First(pr[q].d) ELSE cursor
  /\ Go(q, "idle")
  /\ UNCHANGED <<durable, limit, content, folder, acked, failed, wrong, fails, FlushRest>>

\* Writer::enter. The name is on disk before anything in it counts, and before its promise does: either this sync or its
\* maker's is enough for that.
Enter(q) ==
  /\ At(q, "enter")
  /\ LET f == pr[q].d.file IN
     IF f \in names
     THEN /\ Set(q, [NoProc EXCEPT !.fd = f])
          /\ limit' = Larger(limit, heads[f].limit)
          /\ IF Broken("name_not_synced") THEN UNCHANGED <<diskNames, diskCks>> ELSE SyncFolder
     \* A late look, and a checkpoint has replaced the file: the flush fails, the next one looks again.
     ELSE Go(q, "idle") /\ UNCHANGED <<limit, diskNames, diskCks>>
  /\ UNCHANGED <<cursor, durable, content, heads, names, cks, mark, acked, failed, wrong, fails, FlushRest>>

\* Where a flush begins to write.
Start(x, c) ==
  IF x.sync /\ Broken("written_all_once") /\ x.wrote.pos > 0 THEN NotBehind(x.d, c)
  ELSE IF x.sync THEN NotBehind(x.d, x.wrote)
  ELSE IF Broken("cursor_left_behind") THEN c
  ELSE NotBehind(x.d, c)
Committed(from, to) == SelectSeq([i \in 1..(to - from) |-> from + i - 1], LAMBDA p : op[p].st = "COMMITTED")

Collect(q) ==
  /\ At(q, "look") /\ cursor.file = pr[q].d.file /\ pr[q].fd = pr[q].d.file
  /\ LET x == pr[q]  start == Start(x, cursor) IN
     IF start.pos <= head
     \* Others were faster: start over.
     THEN /\ Set(q, Rest(q)) /\ Note("stuck", durable = x.d)
     ELSE /\ \E to \in Larger(start.pos, cursor.pos)..(tail + 1) :
               LET buf == Committed(start.pos, to)
                   there == [pos |-> to, file |-> x.d.file, off |-> start.off + Len(buf)]
                   isMoved == to > cursor.pos IN
               /\ \A p \in start.pos..(to - 1) : op[p].st \in Decided
               /\ isMoved \/ (x.sync /\ to > x.d.pos)
               /\ Set(q, [x EXCEPT !.pc = IF buf # <<>> THEN "write" ELSE IF isMoved THEN "move" ELSE "sync",
                                   !.c = IF isMoved THEN cursor ELSE NoPoint,
                                   !.start = start, !.to = there, !.buf = buf])
          /\ UNCHANGED wrong
  /\ UNCHANGED <<points, content, folder, acked, failed, fails, FlushRest>>

\* Writer::note_written: in one piece from what was on disk, or from what was written before.
Wrote(x) == IF x.start.pos <= Larger(x.d.pos, x.wrote.pos) /\ x.to.pos > x.wrote.pos THEN x.to ELSE x.wrote

\* At places that are settled: late, doubled and dead flushers write the same (F1).
Write(q) ==
  /\ At(q, "write")
  /\ LET x == pr[q]  f == x.d.file
         Index(i) == i - x.start.off + 1
         Mine == x.start.off..(x.start.off + Len(x.buf) - 1)
         \* Guard F2: what was recycled under the copy is not written.
         Bytes(i) == IF Broken("no_recheck") /\ x.buf[Index(i)] <= head THEN Garbage ELSE x.buf[Index(i)] IN
     /\ cache' = [cache EXCEPT ![f] = [i \in Places |-> IF i \in Mine THEN Bytes(i) ELSE @[i]]]
     /\ dirty' = [dirty EXCEPT ![f] = [i \in Places |-> IF i \in Mine THEN @[i] \cup {q} ELSE @[i]]]
     /\ Set(q, [x EXCEPT !.wrote = Wrote(x), !.buf = <<>>, !.start = NoPoint,
                         !.pc = IF x.c = NoPoint THEN "sync" ELSE "move"])
  /\ UNCHANGED <<points, disk, folder, acked, failed, wrong, fails, FlushRest>>

WriteFails(q) ==
  /\ At(q, "write") /\ fails < MaxFails
  /\ fails' = fails + 1 /\ failed' = failed \cup {pr[q].d.file}
  /\ Go(q, "give_up")
  /\ UNCHANGED <<points, content, folder, acked, wrong, FlushRest>>

MoveCursor(q) ==
  /\ At(q, "move")
  /\ LET x == pr[q] IN
     /\ cursor' = IF cursor = x.c THEN x.to ELSE cursor
     /\ acked' = IF Broken("acked_before_sync") THEN Larger(acked, x.to.pos - 1) ELSE acked
     /\ IF ~x.sync \/ x.to.pos <= x.d.pos THEN Set(q, Rest(q))
        ELSE Set(q, [x EXCEPT !.c = NoPoint, !.pc = IF Broken("raised_before_sync") THEN "raise" ELSE "sync"])
  /\ UNCHANGED <<durable, limit, content, folder, failed, wrong, fails, FlushRest>>

\* What failed is told here, once.
Sync(q) ==
  /\ At(q, "sync")
  /\ LET f == pr[q].d.file IN
     IF pr[q].err
     THEN /\ Set(q, [pr[q] EXCEPT !.err = FALSE, !.pc = IF Broken("sync_retried") THEN "sync" ELSE "give_up"])
          /\ UNCHANGED <<disk, dirty>>
     ELSE /\ disk' = [disk EXCEPT ![f] = [i \in Places |-> IF dirty[f][i] # {} THEN cache[f][i] ELSE @[i]]]
          /\ dirty' = [dirty EXCEPT ![f] = Clean]
          /\ Go(q, IF Broken("raised_before_sync") THEN "idle" ELSE "raise")
  /\ UNCHANGED <<points, cache, folder, acked, failed, wrong, fails, FlushRest>>

\* In the file it names only, and only up.
Raise(q) ==
  /\ At(q, "raise")
  /\ LET x == pr[q]
         may == durable.file = x.d.file \/ Broken("raised_in_any_file")
         now == IF may /\ x.to.pos > durable.pos
                THEN [pos |-> x.to.pos, file |-> x.d.file, off |-> x.to.off, pend |-> FALSE] ELSE durable
         isFull == x.to.off > FullAt \/ x.to.pos + Promise \div 2 >= heads[x.d.file].limit IN
     /\ durable' = now /\ acked' = Larger(acked, now.pos - 1)
     /\ Go(q, IF Broken("raised_before_sync") THEN "sync"
              ELSE IF isFull /\ Point(now) = x.to /\ ~now.pend THEN "mark" ELSE "idle")
  /\ UNCHANGED <<cursor, limit, content, folder, failed, wrong, fails, FlushRest>>

\* What is known to be on disk, for who tells damage from a tail.
Mark(q) ==
  /\ At(q, "mark")
  /\ LET point == IF Broken("mark_of_cursor") THEN cursor ELSE Point(durable) IN
     mark' = IF ~durable.pend /\ point.pos > mark.pos THEN point ELSE mark
  /\ Go(q, "leave")
  /\ UNCHANGED <<points, content, heads, names, diskNames, cks, diskCks, acked, failed, wrong, fails, FlushRest>>

\* Flushing goes on in the next file, from what is on disk: from exactly this value of durable. Of a file of which
\* nothing counts the head is all.
Left(d) == [pos |-> d.pos, file |-> d.file + 1, pend |-> TRUE,
            off |-> IF d.pend /\ ~Broken("end_of_the_file_before") THEN 1 ELSE d.off]
Leave(q) ==
  /\ At(q, "leave") /\ durable.file < MaxFile
  /\ durable' = IF Point(durable) = pr[q].to /\ ~durable.pend THEN Left(durable) ELSE durable
  /\ Go(q, "idle")
  /\ UNCHANGED <<cursor, limit, content, folder, acked, failed, wrong, fails, FlushRest>>

\* F4: whatever others do meanwhile; and only the file that failed.
GiveUp(q) ==
  /\ At(q, "give_up") /\ durable.file < MaxFile
  /\ LET isIt == durable.file = pr[q].d.file \/ Broken("given_up_twice")
         isSeen == durable = pr[q].d \/ ~Broken("give_up_once") IN
     /\ durable' = IF isIt /\ isSeen THEN Left(durable) ELSE durable
     /\ Note("sound file left", isIt /\ isSeen /\ durable.file \notin failed)
  /\ Go(q, "idle")
  /\ UNCHANGED <<cursor, limit, content, folder, acked, failed, fails, FlushRest>>

-----------------------------------------------------------------------------
(* operations/checkpoint_store.cpp, journal/checkpoint.cpp                 *)

PlaceRest == <<ring, points, mark, pr, phase, rec, ghosts, ops, kills, losses>>
MakeRest == <<content, heads, fails, PlaceRest>>
Making(m, pc) == phase = "up" /\ mk[m].pc = pc
SetMaker(m, x) == mk' = [mk EXCEPT ![m] = x]

\* place_on_disk is asked twice: where the replay begins, and (the end is known) what is on disk when all was seen.
Placed(x, place) ==
  IF x.end = 0 THEN [x EXCEPT !.pc = "walk", !.at = NoPoint, !.start = place, !.limit = limit, !.todo = Keys]
  ELSE [x EXCEPT !.pc = "name", !.at = NoPoint, !.seen = place, !.end = 0,
                 !.start = IF Broken("start_read_last") THEN place ELSE @]
\* K3: in a file that is there.
Place(x) ==
  IF ~durable.pend THEN Placed(x, Point(durable))
  ELSE IF Broken("place_in_unmade_file") THEN Placed(x, First(durable))
  ELSE [x EXCEPT !.pc = "make", !.at = Point(durable)]

\* make_file, as who flushes does: its name is on disk before a checkpoint's that begins in it.
LinkPlace(m) ==
  /\ Making(m, "make") /\ MakeFile(mk[m].at) /\ SetMaker(m, [mk[m] EXCEPT !.pc = "made"])
  /\ UNCHANGED <<diskNames, cks, diskCks, fails, made, PlaceRest>>

SyncPlace(m) ==
  /\ Making(m, "made") /\ SetMaker(m, Placed(mk[m], First(mk[m].at)))
  /\ IF Broken("place_not_synced") THEN UNCHANGED <<diskNames, diskCks>> ELSE SyncFolder
  /\ UNCHANGED <<names, cks, made, MakeRest>>

\* It cannot be made, or not be synced: the end of the one before, where the same history goes on.
PlaceFails(m) ==
  /\ Making(m, "make") \/ Making(m, "made")
  /\ fails < MaxFails /\ fails' = fails + 1
  /\ SetMaker(m, Placed(mk[m], [mk[m].at EXCEPT !.file = @ - 1]))
  /\ UNCHANGED <<content, heads, names, diskNames, cks, diskCks, made, PlaceRest>>

\* K1: the replay's beginning is read first, and all below it is finalised and recycled (what is below is decided: with
\* one key an operation, the words say it anyway).
BeginCheckpoint(m) ==
  /\ Making(m, "idle") /\ made < MaxCheckpoints /\ made' = made + 1
  /\ head >= durable.pos - 1
  /\ SetMaker(m, Place(NoMaker))
  /\ UNCHANGED <<names, diskNames, cks, diskCks, MakeRest>>

ReadKey(m, k) ==
  /\ Making(m, "walk") /\ k \in mk[m].todo
  /\ LET x == mk[m]  isLast == x.todo = {k} IN
     SetMaker(m, [x EXCEPT !.todo = @ \ {k}, !.ents[k] = word[k], !.pc = IF isLast THEN "gate" ELSE "walk",
                           !.end = IF isLast THEN tail + 1 ELSE 0])
  /\ UNCHANGED <<names, diskNames, cks, diskCks, made, MakeRest>>

\* K2: all that was seen is on disk in the journal too.
Gate(m) ==
  /\ Making(m, "gate")
  /\ durable.pos >= mk[m].end \/ Broken("checkpoint_without_gate")
  /\ SetMaker(m, Place(mk[m]))
  /\ UNCHANGED <<names, diskNames, cks, diskCks, made, MakeRest>>

Name(m) ==
  /\ Making(m, "name")
  /\ LET x == mk[m]
         named == {c \in cks : c.start.pos = x.start.pos}
         new == [start |-> x.start, ents |-> x.ents, limit |-> x.limit, seen |-> x.seen] IN
     cks' = IF named = {} THEN cks \cup {new} ELSE IF Broken("name_replaced") THEN (cks \ named) \cup {new} ELSE cks
  /\ SetMaker(m, [NoMaker EXCEPT !.pc = IF Broken("listed_after_sync") THEN "sync" ELSE "list"])
  /\ UNCHANGED <<names, diskNames, diskCks, made, MakeRest>>

\* remove_superseded: a name that appears after the list counts for nothing.
List(m) ==
  /\ Making(m, "list")
  /\ SetMaker(m, [NoMaker EXCEPT !.files = names, !.starts = {c.start.pos : c \in cks},
                                 !.pc = IF Broken("listed_after_sync") \/ Broken("removed_before_sync") THEN "remove"
                                                                                                  ELSE "sync"])
  /\ UNCHANGED <<names, diskNames, cks, diskCks, made, MakeRest>>

SyncNames(m) ==
  /\ Making(m, "sync") /\ SyncFolder
  /\ SetMaker(m, [mk[m] EXCEPT !.pc = IF Broken("listed_after_sync") THEN "list" ELSE "remove"])
  /\ UNCHANGED <<names, cks, made, MakeRest>>

\* What the kept one replaces: checkpoints, then journal files, ascending, each gone for good before the next goes; also
\* one that others have removed meanwhile.
Remove(m) ==
  /\ Making(m, "remove")
  /\ LET x == mk[m]
         listed == {c \in cks : c.start.pos \in x.starts}
         kept == CHOOSE c \in listed : \A o \in listed : o.start.pos <= c.start.pos
         oldCks == {c \in listed : c # kept}
         oldFiles == {f \in x.files : f < kept.start.file} IN
     IF listed = {} \/ (oldCks = {} /\ oldFiles = {}) THEN SetMaker(m, NoMaker) /\ UNCHANGED <<names, cks>>
     ELSE IF oldCks # {}
     THEN cks' = cks \ {CHOOSE c \in oldCks : \A o \in oldCks : c.start.pos <= o.start.pos} /\ UNCHANGED <<names, mk>>
     ELSE /\ names' = names \ {Min(oldFiles)} /\ UNCHANGED cks
          /\ SetMaker(m, [x EXCEPT !.files = @ \ {Min(oldFiles)},
                                   !.pc = IF Broken("removed_at_once") THEN "remove" ELSE "gone"])
  /\ UNCHANGED <<diskNames, diskCks, made, MakeRest>>

SyncRemoved(m) ==
  /\ Making(m, "gone") /\ SyncFolder /\ SetMaker(m, [mk[m] EXCEPT !.pc = "remove"])
  /\ UNCHANGED <<names, cks, made, MakeRest>>

-----------------------------------------------------------------------------
(* The world                                                               *)

\* The kernel could not write: what it was to write counts as written. Told once, through whatever wrote it.
WritebackFails(f) ==
  /\ fails < MaxFails /\ \E i \in Places : dirty[f][i] # {}
  /\ fails' = fails + 1 /\ failed' = failed \cup {f}
  /\ pr' = [q \in Procs |-> IF pr[q].fd = f /\ \E i \in Places : q \in dirty[f][i] THEN [pr[q] EXCEPT !.err = TRUE]
                                                                                  ELSE pr[q]]
  /\ dirty' = [dirty EXCEPT ![f] = Clean]
  /\ UNCHANGED <<ring, points, cache, disk, folder, mk, phase, rec, took, acked, top, topInc, wrong, ops, kills, losses,
                 made>>

WrittenByTheDead(dead) ==
  [f \in Files |-> [i \in Places |-> IF dirty[f][i] \cap dead = {} THEN dirty[f][i]
                                     ELSE (dirty[f][i] \ dead) \cup {Nobody}]]

\* A process dies, and another begins.
Kill ==
  /\ phase = "up" /\ kills < MaxKills /\ kills' = kills + 1
  /\ \/ \E q \in Procs : /\ pr[q] # NoProc /\ pr' = [pr EXCEPT ![q] = NoProc]
                          /\ dirty' = WrittenByTheDead({q}) /\ UNCHANGED mk
     \/ \E m \in Makers : mk[m] # NoMaker /\ mk' = [mk EXCEPT ![m] = NoMaker] /\ UNCHANGED <<pr, dirty>>
  /\ UNCHANGED <<ring, points, cache, disk, folder, phase, rec, ghosts, ops, losses, fails, made>>

\* Of what was done since the last sync any part is on disk.
Kept(now, onDisk) == {(now \cap onDisk) \cup s : s \in SUBSET ((now \cup onDisk) \ (now \cap onDisk))}
KeptCks == {s \in Kept(cks, diskCks) :
              /\ \A c, o \in s : c.start.pos = o.start.pos => c = o
              \* Renamed over: the one or the other.
              /\ \A p \in {c.start.pos : c \in cks} \cap {c.start.pos : c \in diskCks} : \E c \in s : c.start.pos = p}
Unsettled == {<<f, i>> \in Files \X Places : cache[f][i] # disk[f][i]}

\* All processes are gone, and the segment: with the power, or (the page cache stays) by itself.
Down == /\ phase' = "down" /\ rec' = NoRec
        /\ pr' = [q \in Procs |-> NoProc] /\ mk' = [m \in Makers |-> NoMaker]
        /\ word' = [k \in Keys |-> 0] /\ tail' = 0 /\ head' = 0 /\ cursor' = NoPoint /\ durable' = NoDurable
        /\ limit' = 0 /\ inc' = 0
        /\ op' = [p \in Positions |-> [op[p] EXCEPT !.exp = 0, !.st = "NONE"]]

Lose ==
  /\ losses < MaxLosses /\ losses' = losses + 1 /\ Down
  /\ \E s \in SUBSET Unsettled : cache' = [f \in Files |-> [i \in Places |->
       IF <<f, i>> \in s THEN cache[f][i] ELSE disk[f][i]]]
  /\ disk' = cache' /\ dirty' = [f \in Files |-> Clean]
  /\ names' \in Kept(names, diskNames) /\ diskNames' = names'
  /\ cks' \in KeptCks /\ diskCks' = cks'
  /\ UNCHANGED <<heads, mark, ghosts, ops, kills, fails, made>>

End ==
  /\ phase # "down" /\ kills < MaxKills /\ kills' = kills + 1 /\ Down
  /\ dirty' = WrittenByTheDead(Procs)
  /\ UNCHANGED <<cache, disk, folder, ghosts, ops, losses, fails, made>>

-----------------------------------------------------------------------------
(* journal/scan_plan.cpp, scan.cpp, operations/recover.cpp                 *)

RecoverRest == <<pr, mk, took, acked, top, failed, ops, kills, losses, made>>

\* What the directory says, as it lies in memory.
Scan ==
  LET newest == {c \in cks : \A o \in cks : o.start.pos <= c.start.pos}
      hasCk == newest # {}
      ck == CHOOSE c \in newest : TRUE
      last == Max(names)
      first == IF hasCk THEN ck.start.file ELSE Min(names)
      From(f) == IF hasCk /\ f = first THEN ck.start.off ELSE 1
      above == IF hasCk THEN ck.start.pos ELSE 1
      isThere == names # {} /\ first \in names /\ first..last \subseteq names
      fits == /\ hasCk \/ heads[first].before = 0
              /\ \A f \in (first + 1)..last :
                   /\ heads[f].before # 0 /\ heads[f].inc >= heads[f - 1].inc
                   /\ heads[f].start >= heads[f - 1].start /\ heads[f].limit >= heads[f - 1].limit
              /\ mark.file <= last /\ (hasCk => ck.seen.file <= last)
      \* The record at place i of file f may follow those before it.
      IsSound(f, i) ==
        LET p == cache[f][i] IN
        /\ p \in Positions /\ p >= above /\ p >= heads[f].start /\ p < heads[f].limit
        /\ f < last => p < heads[f + 1].start
        /\ i > From(f) => cache[f][i - 1] < p
      SoundTo(f) == CHOOSE n \in From(f)..(MaxOps + 1) :
        (\A i \in From(f)..(n - 1) : IsSound(f, i)) /\ (n = MaxOps + 1 \/ ~IsSound(f, n))
      known == Max({1} \cup (IF mark.file = last THEN {mark.off} ELSE {})
                       \cup (IF hasCk /\ ck.seen.file = last THEN {ck.seen.off} ELSE {}))
      To(f) == IF f < last THEN heads[f + 1].before ELSE IF Broken("cut_at_mark") THEN known ELSE SoundTo(f)
      isWhole == /\ \A f \in first..(last - 1) : From(f) <= heads[f + 1].before /\ heads[f + 1].before <= SoundTo(f)
                 /\ known <= SoundTo(last)
      replayed == UNION {{cache[f][i] : i \in From(f)..(To(f) - 1)} : f \in first..last} IN
  IF names = {} /\ ~hasCk /\ mark = NoPoint THEN [NoRec EXCEPT !.limit = 1]
  ELSE IF ~isThere \/ ~fits \/ ~isWhole THEN [NoRec EXCEPT !.bad = TRUE]
  ELSE [bad |-> FALSE, from |-> above, replayed |-> replayed, file |-> last, off |-> To(last), known |-> known,
        words |-> [k \in Keys |-> Max({p \in replayed : op[p].k = k} \cup (IF hasCk THEN {ck.ents[k]} ELSE {}))],
        limit |-> Max({heads[f].limit : f \in first..last} \cup (IF hasCk THEN {ck.limit} ELSE {})),
        inc |-> heads[last].inc]

Read ==
  /\ phase = "down" /\ phase' = "read" /\ rec' = Scan
  /\ UNCHANGED <<ring, points, content, folder, topInc, wrong, fails, RecoverRest>>

\* secure_end: what nobody knew to be on disk is written once more; the kernel may have forgotten that it could not. The
\* file's name too: its maker may have died.
Secure ==
  /\ phase = "read" /\ ~rec.bad /\ phase' = "secured"
  /\ LET f == rec.file  again == rec.known..(rec.off - 1) IN
     /\ disk' = [disk EXCEPT ![f] = [i \in Places |->
          IF dirty[f][i] # {} \/ (i \in again /\ ~Broken("end_not_secured")) THEN cache[f][i] ELSE @[i]]]
     /\ dirty' = [dirty EXCEPT ![f] = Clean]
  /\ IF Broken("end_without_its_name") THEN UNCHANGED <<diskNames, diskCks>> ELSE SyncFolder
  /\ UNCHANGED <<ring, points, cache, heads, names, cks, mark, rec, topInc, wrong, fails, RecoverRest>>

SecureFails ==
  /\ phase = "read" /\ ~rec.bad /\ fails < MaxFails /\ fails' = fails + 1
  /\ phase' = "down" /\ rec' = NoRec
  /\ dirty' = [dirty EXCEPT ![rec.file] = Clean]
  /\ UNCHANGED <<ring, points, cache, disk, folder, topInc, wrong, RecoverRest>>

\* begin_history: behind what was promised, in a file of its own.
NextStart == IF Broken("versions_from_the_end") THEN Max({rec.words[k] : k \in Keys}) + 1 ELSE rec.limit
LinkNext ==
  /\ phase = "secured" /\ rec.file < MaxFile
  /\ LET f == rec.file + 1 IN
     /\ heads' = [heads EXCEPT ![f] = [start |-> NextStart, before |-> rec.off, inc |-> rec.inc + 1,
                                       limit |-> NextStart + Promise]]
     /\ cache' = [cache EXCEPT ![f] = Empty] /\ disk' = [disk EXCEPT ![f] = Empty]
     /\ names' = names \cup {f}
  /\ phase' = IF Broken("open_before_name") THEN "named" ELSE "linked"
  /\ UNCHANGED <<ring, points, dirty, diskNames, cks, diskCks, mark, rec, topInc, wrong, fails, RecoverRest>>

\* Only in mutants: Reuse
Reuse ==
  /\ Broken("file_reused") /\ phase = "secured" /\ phase' = "reused"
  /\ UNCHANGED <<ring, points, content, folder, rec, topInc, wrong, fails, RecoverRest>>

SyncNext ==
  /\ phase = "linked" /\ phase' = "named" /\ SyncFolder
  /\ UNCHANGED <<ring, points, content, heads, names, cks, mark, rec, topInc, wrong, fails, RecoverRest>>

\* The segment gets its name, the directory says so.
Open ==
  LET here == IF phase = "reused" THEN [pos |-> NextStart, file |-> rec.file, off |-> rec.off]
                                  ELSE [pos |-> NextStart, file |-> rec.file + 1, off |-> 1]
      end == Max({rec.words[k] : k \in Keys}) IN
  /\ phase \in {"named", "reused"} /\ phase' = "up" /\ rec' = NoRec
  /\ word' = rec.words /\ tail' = NextStart - 1 /\ head' = NextStart - 1
  /\ op' = [p \in Positions |-> IF p < NextStart THEN op[p] ELSE NoOp]
  /\ cursor' = here /\ durable' = [pos |-> here.pos, file |-> here.file, off |-> here.off, pend |-> FALSE]
  /\ limit' = NextStart + Promise /\ inc' = rec.inc + 1
  /\ took' = {p \in took : p <= end} /\ acked' = NextStart - 1
  /\ topInc' = rec.inc + 1 /\ Note("incarnation twice", rec.inc + 1 <= topInc)
  /\ UNCHANGED <<content, folder, fails, pr, mk, top, failed, ops, kills, losses, made>>

-----------------------------------------------------------------------------
Flush(q) ==
  \/ LookDurable(q) \/ LookElsewhere(q) \/ Link(q) \/ SyncName(q) \/ TurnCursor(q) \/ Enter(q) \/ Collect(q)
  \/ Write(q) \/ WriteFails(q) \/ MoveCursor(q) \/ Sync(q) \/ Raise(q) \/ Mark(q) \/ Leave(q) \/ GiveUp(q)
Make(m) ==
  \/ BeginCheckpoint(m) \/ LinkPlace(m) \/ SyncPlace(m) \/ PlaceFails(m) \/ Gate(m) \/ Name(m) \/ List(m)
  \/ SyncNames(m) \/ Remove(m) \/ SyncRemoved(m)
  \/ \E k \in Keys : ReadKey(m, k)

Next ==
  \/ \E k \in Keys : Publish(k)
  \/ \E p \in Positions : Install(p) \/ Decide(p)
  \/ Recycle
  \/ \E q \in Procs : Flush(q)
  \/ \E m \in Makers : Make(m)
  \/ \E f \in Files : WritebackFails(f)
  \/ Kill \/ Lose \/ End
  \/ Read \/ Secure \/ SecureFails \/ LinkNext \/ Reuse \/ SyncNext \/ Open

Spec == Init /\ [][Next]_vars

Symmetry == Permutations(Procs) \cup Permutations(Makers)

-----------------------------------------------------------------------------
(* What must hold                                                          *)

TypeOK ==
  /\ head <= tail
  /\ diskNames \subseteq Files /\ names \subseteq Files
  /\ \A c, o \in cks : c.start.pos = o.start.pos => c = o

IsRead == phase = "read" /\ ~rec.bad
RecoveredEnd == Max({rec.words[k] : k \in Keys})

\* What is recovered is all that took effect up to some position, record by record and key by key.
PrefixDurable ==
  IsRead => /\ rec.replayed = {p \in took : p >= rec.from /\ p <= RecoveredEnd}
            /\ \A k \in Keys : rec.words[k] = Max({p \in took : op[p].k = k /\ p <= RecoveredEnd})

AckedSurvives == IsRead => \A p \in took : p <= acked => p <= RecoveredEnd

\* No version is issued twice, and no incarnation.
TokenMonotonic == wrong \cap {"twice", "incarnation twice"} = {}

\* Nothing is damaged here, so nobody is told that it is.
NothingIsCorrupt == ~rec.bad

\* Nor does verify miss a file, of those either that no recovery needs.
NoGap == phase = "down" /\ names # {} => Min(names)..Max(names) \subseteq names

\* H1, H2: the cursor's file, durable's position and file.
PointsOnlyGoUp ==
  [][phase = "up" /\ phase' = "up" =>
       cursor'.file >= cursor.file /\ durable'.pos >= durable.pos /\ durable'.file >= durable.file]_<<cursor, durable>>

\* Who is told that others were faster was: no flush goes on for ever.
ConflictIsProgress == "stuck" \notin wrong

\* F4: no file is left that is sound and not full.
OnlyFailedLeft == "sound file left" \notin wrong
=============================================================================
