------------------------------- MODULE Files -------------------------------
(***************************************************************************)
(* Plain files (engine/docs/FILES.md): one path, written, removed, read,   *)
(* adopted, restored by processes that help each other, any of them killed *)
(* or stopped between any two steps, and another program that edits the    *)
(* file at any time.                                                       *)
(*                                                                         *)
(* One action = one access to the store, to the file, or to the folder of  *)
(* tickets. Merged, because nobody else can tell: a ticket "-d" never      *)
(* changes and is gone for good when it is gone, so that what is in it is  *)
(* known from its name, and only whether it is there is looked at; the     *)
(* mark is read and raised in one (it only grows). A folder is listed in   *)
(* one step: what is there all the time is found by readdir, the others    *)
(* before or after. A file is read in one step: a look that meets another  *)
(* program's half-written file is not modelled. Who waits for a writer     *)
(* that is at it (patience) looks as if he had begun later.                *)
(*                                                                         *)
(* A stalled process is one that is not scheduled. A version is its number *)
(* here; its content and `before` are few values, so that a later version  *)
(* may have what an earlier had.                                           *)
(*                                                                         *)
(* Left out: loss of power (F5; specs/Journal has the commit's part),      *)
(* modes, folders that come and go, several paths (a publish is a commit   *)
(* and then a landing each), claims and epochs, errors of the file system. *)
(* Bounds stand in the cfg. Two of them are assumptions of the engine:     *)
(* see Looks, and NoFalseForeign.                                          *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
  Processes,
  None,        \* no file, of a version: a deletion
  Contents,    \* what processes write
  First,       \* the first version's content, landed, or None: nothing was ever committed
  Goals,       \* what processes do: of "read", "write", "remove", "adopt", "open", "restore"
  MaxOps,      \* calls begun, all processes together
  MaxVersion,
  MaxDown,     \* deaths
  MaxEdits,    \* by another program
  Edits,       \* what it leaves there: contents, or None
  Stray,       \* a content that only the other program writes, once: is it kept?
  Looks,       \* of who misses a file, before he says that somebody removed it: kLooks
  MaxLate,     \* deletions that may take what a newer version has landed: Looks is enough for so many
  Mutants      \* guards taken out: {} in a green run, one name in a mutant

Broken(m) == m \in Mutants

VARIABLES
  ver,     \* the version
  hist,    \* [version -> [c, b]]: content, and what was on disk before
  mark,    \* the version that is known to have landed
  disk,    \* what is at the path
  tickets, \* {[k, v, c, n]}: k "l" on its way to the disk, "d" taken from it; n is the nonce
  run,     \* [process -> "run" | "dead"]
  pc, loc, \* where each process is, and its private memory
  retired, \* ghost: the newest version before which the tickets of older ones were removed
  alone,   \* ghost: the process that has opened the root while nobody else was at anything, or None
  wrong,   \* ghost: what must never happen and did
  isMade, isLost, \* ghost: the stray edit was made; and was lost in a way that FILES.md names
  ops, down, edits, late

vars == <<ver, hist, mark, disk, tickets, run, pc, loc, retired, alone, wrong, isMade, isLost, ops, down, edits, late>>
store == <<ver, hist, mark>>
ghosts == <<retired, wrong, isMade, isLost>>
counts == <<ops, down, edits>>

NoTicket == [k |-> "l", v |-> 0, c |-> None, n |-> 0]
NoLoc == [goal |-> "none",
          isLanded |-> FALSE, sm |-> 0, sv |-> 0, sd |-> None, \* the look: mark, version, disk
          had |-> FALSE,                        \* opening: there were tickets
          isOwn |-> FALSE,                      \* land() is the call's last step, not one of settle()
          v |-> 0, how |-> "ours", over |-> "before", \* land()
          dv |-> 0, t |-> NoTicket,             \* the late deletion that lands v again; a ticket of this process
          list |-> {}, looks |-> 0, miss |-> "someone", isJudging |-> FALSE, \* explain_missing()
          ct |-> NoTicket, from |-> ""]         \* clear_taken(), put_there()

Init ==
  /\ ver = IF First = None THEN 0 ELSE 1
  /\ hist = [v \in 0..MaxVersion |-> [c |-> IF v = 1 THEN First ELSE None, b |-> None]]
  /\ mark = ver /\ disk = First /\ tickets = {}
  /\ run = [p \in Processes |-> "run"] /\ pc = [p \in Processes |-> "idle"] /\ loc = [p \in Processes |-> NoLoc]
  /\ retired = ver /\ alone = None /\ wrong = {} /\ isMade = FALSE /\ isLost = FALSE
  /\ ops = 0 /\ down = 0 /\ edits = 0 /\ late = 0

Content(v) == hist[v].c
Before(v) == hist[v].b
Ours(c, v) == c = Content(v) \/ c = Before(v) \* is_of_ours

At(p, where) == pc[p] = where /\ run[p] = "run"
Go(p, l, to) == loc' = [loc EXCEPT ![p] = l] /\ pc' = [pc EXCEPT ![p] = to]
End(p) == Go(p, NoLoc, "idle")
Accuse(what) == wrong' = wrong \cup what

\* A name that no ticket has, and that nobody remembers.
Named == tickets \cup UNION {loc[p].list \cup {loc[p].t, loc[p].ct} : p \in Processes}
NewTicket(k, v, c) ==
  LET used == {t.n : t \in {o \in Named : o.k = k /\ o.v = v}} IN
  [k |-> k, v |-> v, c |-> c,
   n |-> CHOOSE n \in 0..Cardinality(used) : n \notin used /\ \A m \in 0..n : m = n \/ m \in used]

-----------------------------------------------------------------------------
(* What a step leads to. Memory that is not needed any more is forgotten.  *)

\* Guard F3: the mark is read before the disk.
Look(p, l) ==
  Go(p, [NoLoc EXCEPT !.goal = l.goal, !.had = l.had], IF Broken("F3_mark_after_disk") THEN "load" ELSE "mark")

Land(p, l, v, how, isOwn) ==
  Go(p, [NoLoc EXCEPT !.goal = l.goal, !.had = l.had, !.v = v, !.how = how, !.isOwn = isOwn,
                      !.over = IF how = "forced" THEN "anything" ELSE "before"], "retire")

Explain(p, l, isJudging) == Go(p, [l EXCEPT !.looks = 0, !.miss = "someone", !.isJudging = isJudging], "miss_list")

\* land() returns: to the late deletion, to settle(), or to the caller.
Landed(p, l) ==
  IF l.dv # 0 THEN Go(p, [NoLoc EXCEPT !.goal = l.goal, !.had = l.had, !.isOwn = l.isOwn, !.v = l.v, !.dv = l.dv,
                                       !.t = l.t], "still")
  ELSE IF l.isOwn THEN End(p) ELSE Look(p, l)

\* Guard: the mark comes after the last look.
Conclude(p, l) ==
  Go(p, [l EXCEPT !.t = IF l.dv # 0 THEN l.t ELSE NoTicket, !.sd = None, !.over = "before"],
     IF Broken("mark_before_conclude") THEN "raise"
     ELSE IF Broken("list_after_look") THEN "end_version" ELSE "end_list")
Concluded(p, l) == IF Broken("mark_before_conclude") THEN Landed(p, l) ELSE Go(p, [l EXCEPT !.list = {}], "raise")

\* Disk and store agree.
Clean(p, l) ==
  CASE l.goal = "write" -> Go(p, l, "commit")
    [] l.goal = "remove" /\ l.sd # None -> Go(p, l, "commit")
    [] l.goal = "open" /\ l.had /\ l.sv # 0 -> Land(p, l, l.sv, "ours", TRUE)
    [] OTHER -> End(p)

\* They do not, and it is not ours. A file that the store does not have is adopted by who reads it.
Foreign(p, l) ==
  /\ Accuse(IF edits = 0 THEN {"false foreign"} ELSE {})
  /\ IF l.goal = "adopt" \/ (l.goal = "read" /\ Content(l.sv) = None)
     THEN Go(p, [NoLoc EXCEPT !.goal = "adopt", !.sv = l.sv, !.sd = l.sd], "adopt") ELSE End(p)

Explained(p, l, miss) ==
  LET m == [l EXCEPT !.list = {}, !.looks = 0, !.miss = "someone", !.ct = NoTicket, !.from = ""] IN
  IF l.isJudging
  THEN CASE miss = "taken" -> Land(p, l, l.sv, "ours", FALSE) /\ UNCHANGED wrong
         [] miss = "again" -> Look(p, l) /\ UNCHANGED wrong
         [] miss = "someone" -> Foreign(p, m)
  ELSE /\ UNCHANGED wrong
       /\ IF miss = "taken" THEN Go(p, [m EXCEPT !.over = "missing"], "ticket") ELSE Landed(p, m)

Clear(p, l, t, from) ==
  Go(p, [l EXCEPT !.ct = t, !.from = from],
     IF Ours(t.c, l.v) \/ Broken("stray_not_put_back") THEN "clear_remove" ELSE "clear_put")

Cleared(p, l) ==
  LET m == [l EXCEPT !.ct = NoTicket, !.from = ""] IN
  CASE l.from = "miss" -> IF l.list = {} THEN Explained(p, m, l.miss) ELSE Go(p, m, "miss_ticket") /\ UNCHANGED wrong
    [] l.from = "end" -> (IF l.list = {} THEN Concluded(p, m) ELSE Go(p, m, "end_remove")) /\ UNCHANGED wrong
    [] l.from = "taken" -> Landed(p, [m EXCEPT !.dv = 0]) /\ UNCHANGED wrong

-----------------------------------------------------------------------------
(* Calls *)

Begin(p) ==
  /\ At(p, "idle") /\ ops < MaxOps
  /\ \E goal \in Goals :
       /\ goal \in {"write", "remove"} => ver < MaxVersion
       /\ Go(p, [NoLoc EXCEPT !.goal = goal],
             CASE goal = "open" -> "open_list" [] goal = "restore" -> "restore"
               [] OTHER -> IF Broken("F3_mark_after_disk") THEN "load" ELSE "mark")
       /\ alone' = IF goal = "open" /\ \A q \in Processes : pc[q] = "idle" THEN p ELSE None
  /\ ops' = ops + 1
  /\ UNCHANGED <<store, disk, tickets, run, ghosts, down, edits, late>>

Quiet == UNCHANGED <<run, alone, counts>>

(* finish() *)
OpenList(p) ==
  /\ At(p, "open_list")
  /\ Go(p, [loc[p] EXCEPT !.had = tickets # {}], "open_mark")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

OpenMark(p) ==
  /\ At(p, "open_mark")
  /\ Go(p, [loc[p] EXCEPT !.sm = mark], "open_version")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

OpenVersion(p) ==
  /\ At(p, "open_version")
  \* Guard: a version that is marked may have tickets left by the dead.
  /\ IF loc[p].sm >= ver /\ (~loc[p].had \/ Broken("open_by_mark")) THEN End(p) ELSE Look(p, loc[p])
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

(* ks_files_restore *)
Restore(p) ==
  /\ At(p, "restore")
  /\ IF Content(ver) = None THEN End(p) ELSE Land(p, loc[p], ver, "forced", TRUE)
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

(* write_one(), the commit: at the version that was settled (what the caller has seen is not newer) *)
Commit(p) ==
  /\ At(p, "commit")
  /\ LET l == loc[p] IN
     IF ver = l.sv /\ ver < MaxVersion
     THEN \E c \in IF l.goal = "remove" THEN {None} ELSE Contents :
            /\ hist' = [hist EXCEPT ![ver + 1] = [c |-> c, b |-> l.sd]]
            /\ ver' = ver + 1
            /\ Land(p, l, ver + 1, "ours", TRUE)
            /\ Accuse(IF mark < ver THEN {"on an unmarked one"} ELSE {})
     ELSE End(p) /\ UNCHANGED <<ver, hist, wrong>>
  /\ UNCHANGED <<mark, disk, tickets, retired, isMade, isLost, late>> /\ Quiet

(* adopt(): what is there is what was before, too *)
Adopt(p) ==
  /\ At(p, "adopt")
  /\ LET l == loc[p] IN
     IF ver = l.sv /\ ver < MaxVersion
     THEN /\ hist' = [hist EXCEPT ![ver + 1] = [c |-> l.sd, b |-> l.sd]]
          /\ ver' = ver + 1
          /\ Land(p, l, ver + 1, "adopted", TRUE)
     ELSE (IF ver = l.sv THEN End(p) ELSE Look(p, l)) /\ UNCHANGED <<ver, hist>>
  /\ UNCHANGED <<mark, disk, tickets, ghosts, late>> /\ Quiet

-----------------------------------------------------------------------------
(* settle(), judge() *)

Judge(p, l) ==
  IF l.sd = Content(l.sv)
  THEN \* Guard F1: who commits builds on a version that is marked.
       IF ~l.isLanded /\ l.sv # 0 /\ l.goal # "read" /\ ~Broken("F1_unmarked_is_enough")
       THEN Land(p, l, l.sv, "ours", FALSE) ELSE Clean(p, l)
  ELSE Go(p, l, "current")

LookMark(p) ==
  /\ At(p, "mark")
  /\ LET l == loc[p] IN
     IF Broken("F3_mark_after_disk") THEN Judge(p, [l EXCEPT !.isLanded = mark >= l.sv])
                                     ELSE Go(p, [l EXCEPT !.sm = mark], "load")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

LookStore(p) ==
  /\ At(p, "load")
  /\ Go(p, [loc[p] EXCEPT !.sv = ver, !.isLanded = loc[p].sm >= ver, !.sm = 0], "look")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

LookDisk(p) ==
  /\ At(p, "look")
  /\ LET l == [loc[p] EXCEPT !.sd = disk] IN IF Broken("F3_mark_after_disk") THEN Go(p, l, "mark") ELSE Judge(p, l)
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

Current(p) ==
  /\ At(p, "current")
  /\ LET l == loc[p] IN
     \* Guard: a version that is none any more says nothing of the disk.
     IF ver # l.sv /\ ~Broken("judge_without_version") THEN Look(p, l) /\ UNCHANGED wrong
     ELSE IF ~l.isLanded /\ l.sv # 0 /\ l.sd = Before(l.sv) THEN Land(p, l, l.sv, "ours", FALSE) /\ UNCHANGED wrong
     ELSE IF l.sd = None THEN Explain(p, [l EXCEPT !.v = l.sv], TRUE) /\ UNCHANGED wrong
     ELSE Foreign(p, l)
  /\ UNCHANGED <<store, disk, tickets, retired, isMade, isLost, late>> /\ Quiet

(* explain_missing() *)
MissList(p) ==
  /\ At(p, "miss_list")
  /\ Go(p, [loc[p] EXCEPT !.list = {t \in tickets : t.k = "d"}], "miss_version")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

MissVersion(p) ==
  /\ At(p, "miss_version")
  /\ LET l == loc[p] IN
     IF ver # l.v THEN Explained(p, l, "again")
     ELSE IF l.list # {} THEN Go(p, l, "miss_ticket") /\ UNCHANGED wrong
     \* Guard: it may have been put back in between.
     ELSE IF Broken("missed_once") THEN Explained(p, l, "someone")
     ELSE Go(p, l, "miss_look") /\ UNCHANGED wrong
  /\ UNCHANGED <<store, disk, tickets, retired, isMade, isLost, late>> /\ Quiet

MissTicket(p) ==
  /\ At(p, "miss_ticket")
  /\ \E t \in loc[p].list :
       LET isOurs == t \in tickets /\ Ours(t.c, loc[p].v)
           miss == IF ~isOurs THEN "again" ELSE IF loc[p].miss = "someone" THEN "taken" ELSE loc[p].miss
           l == [loc[p] EXCEPT !.list = @ \ {t}, !.miss = miss] IN
       IF t \in tickets /\ ~isOurs THEN Clear(p, l, t, "miss") /\ UNCHANGED wrong
       ELSE IF l.list # {} THEN Go(p, l, "miss_ticket") /\ UNCHANGED wrong
       ELSE Explained(p, l, miss)
  /\ UNCHANGED <<store, disk, tickets, retired, isMade, isLost, late>> /\ Quiet

MissLook(p) ==
  /\ At(p, "miss_look")
  /\ LET l == loc[p] IN
     IF disk # None THEN Explained(p, l, "again")
     ELSE IF l.looks + 1 = Looks
     THEN IF Broken("files.missing_still") THEN Explained(p, l, "someone")
                                              ELSE Go(p, [l EXCEPT !.looks = 0], "miss_still") /\ UNCHANGED wrong
     ELSE Go(p, [l EXCEPT !.looks = @ + 1], "miss_list") /\ UNCHANGED wrong
  /\ UNCHANGED <<store, disk, tickets, retired, isMade, isLost, late>> /\ Quiet

\* Guard: a newer version may be a deletion, which has landed by now.
MissStill(p) ==
  /\ At(p, "miss_still")
  /\ Explained(p, loc[p], IF ver = loc[p].v THEN "someone" ELSE "again")
  /\ UNCHANGED <<store, disk, tickets, retired, isMade, isLost, late>> /\ Quiet

(* clear_taken(): what is not ours goes back, unless something is there *)
ClearPut(p) ==
  /\ At(p, "clear_put")
  /\ LET l == loc[p] IN
     IF l.ct \in tickets /\ disk # None THEN Go(p, l, "clear_remove") /\ UNCHANGED <<disk, tickets, wrong>>
     ELSE /\ Cleared(p, l)
          /\ disk' = IF l.ct \in tickets THEN l.ct.c ELSE disk
          /\ tickets' = tickets \ {l.ct}
  /\ UNCHANGED <<store, retired, isMade, isLost, late>> /\ Quiet

ClearRemove(p) ==
  /\ At(p, "clear_remove")
  /\ LET l == loc[p] IN
     /\ Cleared(p, l)
     /\ tickets' = tickets \ {l.ct}
     /\ isLost' = (isLost \/ (l.ct \in tickets /\ l.ct.c = Stray /\ ~Broken("stray_not_put_back")))
  /\ UNCHANGED <<store, disk, retired, isMade, late>> /\ Quiet

-----------------------------------------------------------------------------
(* land() *)

\* Guard F2: from now on no ticket of an older version can land.
Retire(p) ==
  /\ At(p, "retire")
  /\ LET l == loc[p]
         old == IF Broken("files.retire") THEN {} ELSE {t \in tickets : t.k = "l" /\ t.v < l.v} IN
     /\ Go(p, [l EXCEPT !.list = old], IF old = {} THEN "land_look" ELSE "retire_remove")
     /\ retired' = IF old = {} /\ l.v > retired THEN l.v ELSE retired
  /\ UNCHANGED <<store, disk, tickets, wrong, isMade, isLost, late>> /\ Quiet

RetireRemove(p) ==
  /\ At(p, "retire_remove")
  /\ \E t \in loc[p].list :
       LET l == [loc[p] EXCEPT !.list = @ \ {t}] IN
       /\ tickets' = tickets \ {t}
       /\ Go(p, l, IF l.list = {} THEN "land_look" ELSE "retire_remove")
       /\ retired' = IF l.list = {} /\ l.v > retired THEN l.v ELSE retired
  /\ UNCHANGED <<store, disk, wrong, isMade, isLost, late>> /\ Quiet

May(l, c) ==
  \/ l.over = "anything" \/ Ours(c, l.v)
  \/ l.over = "missing" /\ c = None

LandLook(p) ==
  /\ At(p, "land_look")
  /\ LET l == loc[p] IN
     IF disk = Content(l.v) THEN Conclude(p, l)
     ELSE IF l.how = "adopted" THEN Landed(p, l)
     ELSE IF May(l, disk) THEN Go(p, l, IF Content(l.v) = None THEN "take_version" ELSE "ticket")
     ELSE IF disk = None THEN Explain(p, l, FALSE)
     ELSE Landed(p, l)
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

(* put_there() *)
MakeTicket(p) ==
  /\ At(p, "ticket")
  /\ LET l == loc[p]  t == NewTicket("l", l.v, Content(l.v)) IN
     /\ tickets' = tickets \cup {t}
     \* (A late deletion keeps its own ticket in t: this one goes to ct.)
     /\ Go(p, [l EXCEPT !.ct = t, !.isJudging = FALSE], "ticket_version")
  /\ UNCHANGED <<store, disk, ghosts, late>> /\ Quiet

TicketVersion(p) ==
  /\ At(p, "ticket_version")
  /\ LET l == loc[p] IN
     \* Guard F2: a ticket that is made after a newer version's retire is seen to be old.
     Go(p, l, IF ver # l.v /\ ~Broken("files.recheck") THEN "unticket"
              ELSE IF l.over = "anything" \/ Broken("no_last_look") THEN "rename" ELSE "ticket_look")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

TicketLook(p) ==
  /\ At(p, "ticket_look")
  /\ LET l == loc[p] IN IF May(l, disk) THEN Go(p, l, "rename") ELSE Go(p, l, "unticket")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

Untake(l) == [l EXCEPT !.ct = NoTicket]

Rename(p) ==
  /\ At(p, "rename")
  /\ LET l == loc[p] IN
     IF l.ct \in tickets
     THEN /\ disk' = Content(l.v)
          /\ tickets' = tickets \ {l.ct}
          /\ Accuse(IF l.v < retired THEN {"old lands"} ELSE {})
          \* Lost by name: it came (or was put back) after the last look, or a restore asks for it.
          /\ isLost' = (isLost \/ (disk = Stray /\ ~Broken("no_last_look")))
          /\ Conclude(p, Untake(l))
     ELSE Landed(p, Untake(l)) /\ UNCHANGED <<disk, tickets, wrong, isLost>>
  /\ UNCHANGED <<store, retired, isMade, late>> /\ Quiet

Unticket(p) ==
  /\ At(p, "unticket")
  /\ tickets' = tickets \ {loc[p].ct}
  /\ Landed(p, Untake(loc[p]))
  /\ UNCHANGED <<store, disk, ghosts, late>> /\ Quiet

(* take_away() *)
TakeVersion(p) ==
  /\ At(p, "take_version")
  /\ IF ver = loc[p].v THEN Go(p, loc[p], "take") ELSE Landed(p, loc[p])
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

\* The kernel has no rename that asks what it takes.
Take(p) ==
  /\ At(p, "take")
  /\ LET l == loc[p]  t == NewTicket("d", l.v, disk) IN
     IF disk = None THEN Conclude(p, l) /\ UNCHANGED <<disk, tickets, late>>
     ELSE /\ ver # l.v => late < MaxLate
          /\ late' = IF ver # l.v THEN late + 1 ELSE late
          /\ disk' = None /\ tickets' = tickets \cup {t}
          /\ Go(p, [l EXCEPT !.t = t], "taken_look")
  /\ UNCHANGED <<store, ghosts>> /\ Quiet

TakenLook(p) ==
  /\ At(p, "taken_look")
  /\ IF loc[p].t \in tickets THEN Go(p, loc[p], "taken_version") ELSE Landed(p, loc[p])
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

(* judge_taken() *)
TakenVersion(p) ==
  /\ At(p, "taken_version")
  /\ LET l == loc[p]
         \* Guard F4: it is judged by what is the version now.
         now == IF Broken("files.judge_by_now") THEN l.v ELSE ver
         m == [l EXCEPT !.v = now, !.dv = l.v] IN
     IF ver = l.v /\ Ours(l.t.c, ver) THEN Conclude(p, l)
     \* Guard F4: a late deletion looks at what it took.
     ELSE IF Broken("files.taken") THEN Landed(p, [l EXCEPT !.dv = 0])
     ELSE IF Ours(l.t.c, now) /\ Content(now) # None THEN Go(p, m, "retire")
     ELSE Clear(p, m, l.t, "taken")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

TakenStill(p) ==
  /\ At(p, "still")
  /\ LET l == loc[p] IN
     \* Guard F4: its own ticket is there until the version has landed again.
     IF ver # l.v /\ ~Broken("files.taken_again") THEN Go(p, [l EXCEPT !.v = l.dv, !.dv = 0], "taken_version")
     ELSE Clear(p, l, l.t, "taken")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

(* conclude() *)
EndList(p) ==
  /\ At(p, "end_list")
  /\ LET l == [loc[p] EXCEPT !.list = {t \in tickets : t.v <= loc[p].v}] IN
     \* Guard F4: what is taken after the look has its ticket not among those that are removed.
     IF ~Broken("list_after_look") THEN Go(p, l, "end_version")
     ELSE IF l.list = {} THEN Concluded(p, l) ELSE Go(p, l, "end_remove")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

EndVersion(p) ==
  /\ At(p, "end_version")
  /\ LET l == loc[p] IN
     \* Guard F4: a deletion finds nothing there also where a newer file was taken.
     IF ver # l.v /\ ~Broken("files.conclude") THEN Landed(p, [l EXCEPT !.list = {}]) ELSE Go(p, l, "end_look")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

EndLook(p) ==
  /\ At(p, "end_look")
  /\ LET l == loc[p] IN
     IF disk # Content(l.v) THEN Landed(p, [l EXCEPT !.list = {}])
     ELSE IF Broken("list_after_look") THEN Go(p, l, "end_list")
     ELSE IF l.list = {} \/ Broken("files.retire") THEN Concluded(p, l)
     ELSE Go(p, l, "end_remove")
  /\ UNCHANGED <<store, disk, tickets, ghosts, late>> /\ Quiet

EndRemove(p) ==
  /\ At(p, "end_remove")
  /\ \E t \in loc[p].list :
       LET l == [loc[p] EXCEPT !.list = @ \ {t}] IN
       IF t.k = "d" /\ ~Ours(t.c, l.v) THEN Clear(p, l, t, "end") /\ UNCHANGED tickets
       ELSE /\ tickets' = tickets \ {t}
            /\ IF l.list = {} THEN Concluded(p, l) ELSE Go(p, l, "end_remove")
  /\ UNCHANGED <<store, disk, ghosts, late>> /\ Quiet

(* raise_landed() *)
RaiseMark(p) ==
  /\ At(p, "raise")
  \* Guard: a late finisher does not take it back.
  /\ mark' = IF loc[p].v > mark \/ Broken("mark_goes_back") THEN loc[p].v ELSE mark
  /\ IF Broken("mark_before_conclude") THEN Go(p, loc[p], "end_list") ELSE Landed(p, loc[p])
  /\ UNCHANGED <<ver, hist, disk, tickets, ghosts, late>> /\ Quiet

-----------------------------------------------------------------------------
(* The world *)

Die(p) ==
  /\ run[p] = "run" /\ pc[p] # "idle" /\ down < MaxDown
  /\ run' = [run EXCEPT ![p] = "dead"] /\ down' = down + 1 /\ alone' = None
  /\ End(p)
  /\ UNCHANGED <<store, disk, tickets, ghosts, ops, edits, late>>

Edit ==
  /\ edits < MaxEdits
  /\ \E c \in Edits \ {disk} :
       /\ c = Stray => ~isMade
       /\ disk' = c
       /\ isMade' = (isMade \/ c = Stray) /\ isLost' = (isLost \/ disk = Stray)
  /\ edits' = edits + 1 /\ alone' = None
  /\ UNCHANGED <<store, tickets, run, pc, loc, retired, wrong, ops, down, late>>

Next ==
  \/ Edit
  \/ \E p \in Processes :
       \/ Begin(p) \/ OpenList(p) \/ OpenMark(p) \/ OpenVersion(p) \/ Restore(p) \/ Commit(p) \/ Adopt(p)
       \/ LookMark(p) \/ LookStore(p) \/ LookDisk(p) \/ Current(p)
       \/ MissList(p) \/ MissVersion(p) \/ MissTicket(p) \/ MissLook(p) \/ MissStill(p) \/ ClearPut(p) \/ ClearRemove(p)
       \/ Retire(p) \/ RetireRemove(p) \/ LandLook(p) \/ MakeTicket(p) \/ TicketVersion(p) \/ TicketLook(p)
       \/ Rename(p) \/ Unticket(p) \/ TakeVersion(p) \/ Take(p) \/ TakenLook(p) \/ TakenVersion(p) \/ TakenStill(p)
       \/ EndList(p) \/ EndVersion(p) \/ EndLook(p) \/ EndRemove(p) \/ RaiseMark(p) \/ Die(p)

Spec == Init /\ [][Next]_vars

Symmetry == Permutations(Processes)

-----------------------------------------------------------------------------
(* What must hold *)

TypeOK ==
  /\ ver \in 0..MaxVersion /\ mark <= ver /\ disk \in Contents \cup Edits \cup {None, First}
  /\ \A t \in tickets : t.k \in {"l", "d"} /\ t.v \in 1..ver
  /\ \A p \in Processes : run[p] \in {"run", "dead"} /\ loc[p].v <= ver /\ loc[p].dv <= ver

\* Nobody is told of an edit that nobody made.
NoFalseForeign == "false foreign" \notin wrong

\* F1: a write or a removal is committed on a version that has landed and is marked.
BuiltOnMarked == "on an unmarked one" \notin wrong

\* F2: once the tickets of older versions were removed for V, none of them lands.
NoOldLands == "old lands" \notin wrong

IsAtRest == \A p \in Processes : pc[p] = "idle"

\* What is marked is on disk, or its content is in a ticket, or somebody is at it.
MarkedIsThere ==
  edits = 0 /\ IsAtRest /\ mark = ver =>
    disk = Content(ver) \/ (disk = None /\ \E t \in tickets : t.k = "d" /\ t.c = Content(ver))

\* Where nobody died and all calls have ended, the disk has what the store says.
AtRestItIsThere == edits = 0 /\ down = 0 /\ IsAtRest => disk = Content(ver)

\* Who opens the root when nobody is at anything leaves it so, whoever died before.
OpenFinishes ==
  alone # None /\ pc[alone] = "idle" /\ edits = 0 => disk = Content(ver) /\ mark = ver /\ tickets = {}

\* Another program's content is on disk, or in a ticket, or the store's; or was lost as FILES.md says.
StrayIsKept ==
  isMade /\ ~isLost =>
    disk = Stray \/ (\E t \in tickets : t.c = Stray) \/ \E v \in 1..ver : Content(v) = Stray

MarkOnlyGrows == [][mark' >= mark /\ ver' >= ver]_<<mark, ver>>
=============================================================================
