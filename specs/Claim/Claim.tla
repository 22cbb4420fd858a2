------------------------------- MODULE Claim -------------------------------
(***************************************************************************)
(* Claims on one key: bid, help, commit under the claim, release, renew,   *)
(* reclaim, beside optimistic commits; any process killed or stopped       *)
(* between any two steps, leases that run out at any time, session records *)
(* handed to new owners.                                                   *)
(*                                                                         *)
(* One action = one atomic access to the slot word or the claim record.    *)
(* Merged, because nobody else can tell: step_epoch, a loop of load and    *)
(* CAS that goes round again only while commits move the version, is its   *)
(* deciding turn; the clock and the liveness of the record's owner are     *)
(* judged in the step that reads the record (judged later it could only be *)
(* more over, and the CAS that follows is from exactly that record).       *)
(*                                                                         *)
(* A stalled process is one that is not scheduled. Nobody but a reclaimer  *)
(* asks whether another is alive. A reclaim of a live claim by an explicit *)
(* call goes the same way as one whose lease is over.                      *)
(*                                                                         *)
(* Left out: weak memory (the model is sequentially consistent), payload   *)
(* blocks and their recycling (specs/Commit), INTENT words and multi-key   *)
(* commits, waiting, more than one key, a handle used from another session *)
(* of its participant, exported tokens (a detached claim is one that only  *)
(* its deadline ends; its nonce is checked where a session is here), the   *)
(* version check of a commit under a claim, incarnations, wrap of the      *)
(* 24-bit generation. Bounds stand in the cfg.                             *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
  Sessions,
  None,
  FirstVersion, \* 0: the key was never written, and the zero stamp is accepted at any even epoch
  MaxOps,       \* operations begun, all sessions together (visits not counted)
  MaxEpoch,     \* no bid beyond this odd epoch
  MaxRenews,
  MaxDown,      \* deaths, and stops for ever, together
  MaxGen,       \* owners a session record may have, one after the other
  Forgers,      \* BOOLEAN: sessions without the claim try somebody's odd epoch as their ticket
  Stops,        \* BOOLEAN: processes may be stopped for ever (only liveness can tell)
  Visits,       \* BOOLEAN: idle sessions look at a claim that stands (what any later operation on the key does)
  Mutants       \* guards taken out: {} in a green run, one name in a mutant

Broken(m) == m \in Mutants

VARIABLES
  word,    \* {ver, ep}: the slot word, changed only by CAS
  clm,     \* {s, gen, ep, mark, dl}: the claim record, changed only by CAS as one; dl 0 = until the owner dies
  over,    \* the deadline in clm has passed
  gen,     \* [session -> generation of its owner]
  run,     \* [session -> "run" | "stopped" | "dead"]
  pc, loc, \* where each session is, and its private memory
  h,       \* [session -> handle]: the claim it holds, or believes to hold; ep 0 = none
  turn,    \* ghost: how often the key's ownership has changed, counted by what happened, not by the word
  own,     \* ghost: the owner by what happened: <<session, generation>> or None
  wrong,   \* ghost: what must never happen and did
  ops, renews, down

vars == <<word, clm, over, gen, run, pc, loc, h, turn, own, wrong, ops, renews, down>>
ghosts == <<turn, own, wrong>>
counts == <<ops, renews, down>>

NoHandle == [ep |-> 0, t |-> 0]
NoStamp == [ver |-> 0, ep |-> 0, t |-> 0]
NoRecord == [s |-> None, gen |-> 0, ep |-> 0, mark |-> FALSE, dl |-> 0]
NoLoc == [goal |-> "none", seen |-> NoStamp, w |-> [ver |-> 0, ep |-> 0], r |-> NoRecord]

Init ==
  /\ word = [ver |-> FirstVersion, ep |-> 0] /\ clm = NoRecord /\ over = FALSE
  /\ gen = [s \in Sessions |-> 1] /\ run = [s \in Sessions |-> "run"]
  /\ pc = [s \in Sessions |-> "idle"] /\ loc = [s \in Sessions |-> NoLoc]
  /\ h = [s \in Sessions |-> NoHandle]
  /\ turn = 0 /\ own = None /\ wrong = {}
  /\ ops = 0 /\ renews = 0 /\ down = 0

Go(s, to) == pc' = [pc EXCEPT ![s] = to]
Odd(e) == e % 2 = 1
Me(s) == <<s, gen[s]>>

IsDead(s, g) ==
  \/ run[s] = "dead" /\ gen[s] = g
  \* Guard: a session index alone is also its next owner's.
  \/ gen[s] # g /\ ~Broken("generation_not_compared")

\* Owner dead or deadline over. (In a green run r is clm: it was read in this very step.)
IsGone(r) == r.s # None /\ (IsDead(r.s, r.gen) \/ (r.dl > 0 /\ (over \/ r # clm)))

\* Word first, then record. In the mutant the other way round.
Again == IF Broken("E7_record_before_word") THEN "record_first" ELSE "word"

-----------------------------------------------------------------------------
(* What a session may begin. A forger has no claim but has read somebody's *)
(* odd epoch, and makes up a ticket of it.                                 *)

Begin(s) ==
  /\ pc[s] = "idle" /\ run[s] = "run" /\ ops < MaxOps
  /\ \E goal \in IF h[s].ep = 0 THEN {"claim", "write"} \cup (IF Odd(word.ep) /\ Forgers THEN {"forge"} ELSE {})
                 ELSE {"commit", "commit_release", "release"} \cup (IF renews < MaxRenews THEN {"renew"} ELSE {}) :
       /\ loc' = [loc EXCEPT ![s] = [NoLoc EXCEPT !.goal = goal,
                    !.seen = IF goal \in {"write", "forge"} THEN [ver |-> word.ver, ep |-> word.ep, t |-> turn]
                                                              ELSE NoStamp]]
       /\ renews' = IF goal = "renew" THEN renews + 1 ELSE renews
  /\ ops' = ops + 1
  /\ Go(s, Again)
  /\ UNCHANGED <<word, clm, over, gen, run, h, ghosts, down>>

Visit(s) ==
  /\ Visits /\ pc[s] = "idle" /\ run[s] = "run"
  /\ Odd(word.ep) \/ clm.ep > word.ep
  /\ h[s].ep = 0 \/ h[s].ep # word.ep
  /\ loc' = [loc EXCEPT ![s] = [NoLoc EXCEPT !.goal = "visit"]]
  /\ Go(s, Again)
  /\ UNCHANGED <<word, clm, over, gen, run, h, ghosts, counts>>

Ticketed(s) == loc[s].goal \in {"commit", "commit_release", "release", "renew", "forge"}
Ticket(s) == IF loc[s].goal = "forge" THEN loc[s].seen.ep ELSE h[s].ep

-----------------------------------------------------------------------------
(* ld16 of the word, and what follows from it alone                        *)

LookWord(s) ==
  /\ pc[s] = "word" /\ run[s] = "run"
  /\ LET w == word  g == loc[s].goal  seen == loc[s].seen IN
     /\ loc' = [loc EXCEPT ![s].w = w]
     /\ Go(s,
         IF Ticketed(s) THEN
           \* Guard: an epoch that has passed is fenced.
           IF w.ep # Ticket(s) THEN (IF Broken("epoch_not_compared") /\ g = "commit" THEN "commit" ELSE "fenced")
           ELSE "record"
         ELSE IF g = "write" THEN
           IF w.ver # seen.ver THEN "conflict"
           ELSE IF Odd(w.ep) THEN
             \* Guard E9: an odd epoch in a stamp is no ticket.
             IF Broken("E9_odd_stamp_is_ticket") /\ w.ep = seen.ep THEN "write_cas" ELSE "record"
           ELSE IF w.ep = seen.ep \/ (w.ver = 0 /\ seen.ep = 0) \/ Broken("stamp_epoch_not_compared")
           THEN "write_cas" ELSE "fenced"
         ELSE "record")
  /\ UNCHANGED <<word, clm, over, gen, run, h, ghosts, counts>>

(* ld16 of the record, judged against the word read before *)
LookRecord(s) ==
  /\ pc[s] \in {"record", "record_first"} /\ run[s] = "run"
  /\ LET w == loc[s].w  g == loc[s].goal
         r == IF Broken("E7_record_before_word") /\ pc[s] = "record" THEN loc[s].r ELSE clm
         isMatched == r.ep = w.ep \/ Broken("E7_record_before_word") \/ Broken("E7_record_not_matched") IN
     /\ loc' = [loc EXCEPT ![s].r = r]
     /\ Go(s,
         IF pc[s] = "record_first" THEN "word"
         ELSE IF ~Odd(w.ep) THEN
           \* Guard E7: the record's epoch never goes back.
           IF r.ep > w.ep + 1 THEN (IF Broken("E7_bid_goes_back") /\ g = "claim" THEN "bid" ELSE Again)
           \* Guard: a bid that stands is finished by whoever meets it.
           ELSE IF r.ep = w.ep + 1 THEN (IF Broken("no_help") THEN Again ELSE "help")
           ELSE IF g # "claim" \/ w.ep + 1 > MaxEpoch THEN "done"
           ELSE IF Broken("bid_after_word") THEN "install" ELSE "bid"
         \* Guard E7: the record counts only against that word's epoch.
         ELSE IF ~isMatched THEN Again
         \* Guard E9: the record names the ticket's owner; the epoch alone is no ticket.
         ELSE IF Ticketed(s) /\ ~(r.s = s /\ r.gen = gen[s]) /\ ~Broken("E9_ticket_not_checked") THEN "refused"
         ELSE IF g \in {"commit", "commit_release", "forge"} THEN "commit"
         ELSE IF g = "release" THEN "release"
         ELSE IF r.mark /\ g = "renew" /\ Broken("renew_ignores_mark") THEN "renew"
         \* Guard: whoever meets a marked record goes on with the reclaim.
         ELSE IF r.mark THEN (IF Broken("mark_not_helped") THEN "held" ELSE "raise")
         ELSE IF g = "renew" THEN (IF r.dl = 0 THEN "ok" ELSE "renew")
         ELSE IF ~IsGone(r) THEN "held"
         \* Guard E8: mark first, so that no renewal succeeds any more.
         ELSE IF Broken("E8_no_mark") THEN "raise" ELSE "mark")
  /\ UNCHANGED <<word, clm, over, gen, run, h, ghosts, counts>>

-----------------------------------------------------------------------------
(* slots::claim_bid *)

\* The record is taken by CAS from what was read; owner and epoch change in one.
Bid(s) ==
  /\ pc[s] = "bid" /\ run[s] = "run"
  /\ IF clm = loc[s].r
     THEN /\ \E dl \in {0, 1} :
               clm' = [s |-> s, gen |-> gen[s], ep |-> loc[s].w.ep + 1, mark |-> FALSE, dl |-> dl]
          /\ over' = FALSE
          /\ Go(s, IF Broken("bid_after_word") THEN "ok" ELSE "install")
     ELSE /\ Go(s, Again) /\ UNCHANGED <<clm, over>>
  /\ h' = IF Broken("bid_after_word") /\ clm = loc[s].r
          THEN [h EXCEPT ![s] = [ep |-> loc[s].w.ep + 1, t |-> turn]] ELSE h
  /\ UNCHANGED <<word, gen, run, loc, ghosts, counts>>

\* Even to odd: the claim takes effect, for whomever the record names.
Claimed(s) ==
  \* Guard: the CAS compares the whole word; only the epoch changes.
  /\ word' = [ver |-> IF Broken("step_compares_epoch_only") THEN loc[s].w.ver ELSE word.ver, ep |-> word.ep + 1]
  /\ turn' = turn + 1
  /\ own' = IF Broken("bid_after_word") THEN Me(s) ELSE <<clm.s, clm.gen>>
  /\ UNCHANGED wrong

\* Ours now; or a helper was faster, and it is ours all the same; or held and lost since: start again.
Install(s) ==
  /\ pc[s] = "install" /\ run[s] = "run"
  /\ LET e == loc[s].w.ep IN
     IF word.ep = e
     THEN /\ Claimed(s)
          /\ h' = IF Broken("bid_after_word") THEN h ELSE [h EXCEPT ![s] = [ep |-> e + 1, t |-> turn + 1]]
          /\ Go(s, IF Broken("bid_after_word") THEN "bid" ELSE "ok")
     ELSE IF word.ep = e + 1 /\ ~Broken("helped_counts_as_lost") /\ ~Broken("bid_after_word")
     THEN /\ h' = [h EXCEPT ![s] = [ep |-> e + 1, t |-> turn]] /\ Go(s, "ok") /\ UNCHANGED <<word, ghosts>>
     ELSE Go(s, Again) /\ UNCHANGED <<word, h, ghosts>>
  /\ UNCHANGED <<clm, over, gen, run, loc, counts>>

(* slots::claim_help *)
Help(s) ==
  /\ pc[s] = "help" /\ run[s] = "run"
  /\ IF word.ep = loc[s].w.ep THEN Claimed(s) ELSE UNCHANGED <<word, ghosts>>
  /\ Go(s, Again)
  /\ UNCHANGED <<clm, over, gen, run, loc, h, counts>>

-----------------------------------------------------------------------------
(* slots::claim_reclaim *)

Mark(s) ==
  /\ pc[s] = "mark" /\ run[s] = "run"
  /\ IF clm = loc[s].r
     THEN clm' = [clm EXCEPT !.mark = TRUE] /\ Go(s, "raise")
     ELSE UNCHANGED clm /\ Go(s, Again)
  /\ UNCHANGED <<word, over, gen, run, loc, h, ghosts, counts>>

\* Odd to even: from here on every commit of the old owner is FENCED.
Raise(s) ==
  /\ pc[s] = "raise" /\ run[s] = "run"
  \* Guard: from the marked record's epoch, whatever the word has come to since.
  /\ LET e == IF Broken("raise_on_fresh_word") THEN word.ep
              ELSE IF Broken("E7_record_before_word") \/ Broken("E7_record_not_matched") THEN loc[s].w.ep
              ELSE loc[s].r.ep IN
     IF word.ep = e /\ Odd(e)
     THEN /\ turn' = turn + 1
          \* Over when it was marked is over now: only a renewal could have changed it.
          /\ wrong' = wrong \cup (IF clm.ep = e /\ IsGone(clm) THEN {} ELSE {"early reclaim"})
          /\ IF Broken("reclaim_without_bump") /\ loc[s].goal = "claim"
             THEN /\ clm' = [s |-> s, gen |-> gen[s], ep |-> e, mark |-> FALSE, dl |-> 0]
                  /\ own' = Me(s)
                  /\ h' = [h EXCEPT ![s] = [ep |-> e, t |-> turn + 1]]
                  /\ UNCHANGED word /\ Go(s, "ok")
             ELSE word' = [word EXCEPT !.ep = e + 1] /\ own' = None /\ UNCHANGED <<clm, h>> /\ Go(s, Again)
     ELSE UNCHANGED <<word, clm, h, ghosts>> /\ Go(s, Again)
  /\ UNCHANGED <<over, gen, run, loc, counts>>

(* slots::claim_renew: the deadline of exactly the record that was read *)
Renew(s) ==
  /\ pc[s] = "renew" /\ run[s] = "run"
  /\ IF clm = loc[s].r
     THEN clm' = [clm EXCEPT !.dl = @ + 1] /\ over' = FALSE /\ Go(s, "ok")
     ELSE UNCHANGED <<clm, over>> /\ Go(s, Again)
  /\ UNCHANGED <<word, gen, run, loc, h, ghosts, counts>>

-----------------------------------------------------------------------------
(* slots::claim_release *)
Release(s) ==
  /\ pc[s] = "release" /\ run[s] = "run"
  /\ IF word.ep = h[s].ep
     THEN \* Guard: a release moves the epoch on, never back.
          /\ word' = [word EXCEPT !.ep = IF Broken("release_goes_back") THEN @ - 1 ELSE @ + 1]
          /\ turn' = turn + 1 /\ own' = None /\ UNCHANGED wrong
          /\ h' = [h EXCEPT ![s] = NoHandle] /\ Go(s, "ok")
     ELSE Go(s, "fenced") /\ UNCHANGED <<word, h, ghosts>>
  /\ UNCHANGED <<clm, over, gen, run, loc, counts>>

(* operations::commit: one CAS of the whole word *)
CasMatches(w) == word = w \/ (Broken("cas_compares_version_only") /\ word.ver = w.ver)

\* Under a claim; with is_releasing version and epoch move together.
Commit(s) ==
  /\ pc[s] = "commit" /\ run[s] = "run"
  /\ LET w == loc[s].w  isReleasing == loc[s].goal = "commit_release" IN
     IF CasMatches(w)
     THEN /\ word' = [ver |-> w.ver + 1, ep |-> IF isReleasing THEN w.ep + 1 ELSE w.ep]
          /\ wrong' = wrong \cup (IF loc[s].goal # "forge" /\ h[s].t # turn THEN {"stale"} ELSE {})
                            \cup (IF own # Me(s) THEN {"foreign"} ELSE {})
          /\ IF isReleasing THEN turn' = turn + 1 /\ own' = None /\ h' = [h EXCEPT ![s] = NoHandle]
                            ELSE UNCHANGED <<turn, own, h>>
          /\ Go(s, "ok")
     ELSE UNCHANGED <<word, h, ghosts>> /\ Go(s, Again)
  /\ UNCHANGED <<clm, over, gen, run, loc, counts>>

\* Without.
WriteCas(s) ==
  /\ pc[s] = "write_cas" /\ run[s] = "run"
  /\ LET w == loc[s].w IN
     IF CasMatches(w)
     THEN /\ word' = [w EXCEPT !.ver = @ + 1]
          /\ wrong' = wrong \cup (IF loc[s].seen.ver # 0 /\ loc[s].seen.t # turn THEN {"stale"} ELSE {})
                            \cup (IF own # None THEN {"foreign"} ELSE {})
          /\ Go(s, "ok")
     ELSE UNCHANGED <<word, wrong>> /\ Go(s, Again)
  /\ UNCHANGED <<clm, over, gen, run, loc, h, turn, own, counts>>

Answer(s) ==
  /\ pc[s] \in {"ok", "conflict", "fenced", "held", "refused", "done"} /\ run[s] = "run"
  /\ h' = IF pc[s] = "fenced" /\ loc[s].goal \notin {"write", "forge"} THEN [h EXCEPT ![s] = NoHandle] ELSE h
  /\ loc' = [loc EXCEPT ![s] = NoLoc]
  /\ Go(s, "idle")
  /\ UNCHANGED <<word, clm, over, gen, run, ghosts, counts>>

-----------------------------------------------------------------------------
(* The world *)

Expire ==
  /\ clm.dl > 0 /\ ~over
  /\ over' = TRUE
  /\ UNCHANGED <<word, clm, gen, run, pc, loc, h, ghosts, counts>>

Die(s) ==
  /\ run[s] = "run" /\ down < MaxDown
  /\ run' = [run EXCEPT ![s] = "dead"] /\ down' = down + 1
  /\ loc' = [loc EXCEPT ![s] = NoLoc] /\ h' = [h EXCEPT ![s] = NoHandle]
  /\ Go(s, "idle")
  /\ UNCHANGED <<word, clm, over, gen, ghosts, ops, renews>>

Stop(s) ==
  /\ Stops /\ run[s] = "run" /\ down < MaxDown
  /\ run' = [run EXCEPT ![s] = "stopped"] /\ down' = down + 1
  /\ UNCHANGED <<word, clm, over, gen, pc, loc, h, ghosts, ops, renews>>

\* A next owner of a dead session's record; the claim that stands is not its own.
Attach(s) ==
  /\ run[s] = "dead" /\ gen[s] < MaxGen
  /\ run' = [run EXCEPT ![s] = "run"] /\ gen' = [gen EXCEPT ![s] = @ + 1]
  /\ UNCHANGED <<word, clm, over, pc, loc, h, ghosts, counts>>

Continue(s) ==
  \/ LookWord(s) \/ LookRecord(s) \/ Bid(s) \/ Install(s) \/ Help(s) \/ Mark(s) \/ Raise(s)
  \/ Renew(s) \/ Release(s) \/ Commit(s) \/ WriteCas(s) \/ Answer(s)

Next == \/ Expire
        \/ \E s \in Sessions : Continue(s) \/ Begin(s) \/ Visit(s) \/ Die(s) \/ Stop(s) \/ Attach(s)

Spec == Init /\ [][Next]_vars

\* A process that runs goes on with what it has begun, and looks at a claim that stands; nothing else is promised.
FairSpec == Spec /\ \A s \in Sessions : WF_vars(Continue(s) \/ Visit(s))

Symmetry == Permutations(Sessions)

-----------------------------------------------------------------------------
(* What must hold *)

TypeOK ==
  /\ word.ep \in 0..(MaxEpoch + 1) /\ clm.ep \in 0..MaxEpoch
  /\ \A s \in Sessions : run[s] \in {"run", "stopped", "dead"} /\ h[s].ep \in 0..MaxEpoch

\* An odd word names its owner in the record, and nobody else holds that epoch.
OneOwnerPerEpoch ==
  /\ Odd(word.ep) => clm.ep = word.ep /\ own = <<clm.s, clm.gen>>
  /\ ~Odd(word.ep) => own = None
  /\ \A s \in Sessions : h[s].ep # 0 /\ h[s].ep = word.ep => own = Me(s)
  /\ \A s, t \in Sessions : s # t /\ h[s].ep = h[t].ep => h[s].ep = 0

\* No commit under an ownership that has passed; none without the claim while somebody owns the key.
NoStaleApply == "stale" \notin wrong
OnlyOwnerApplies == "foreign" \notin wrong

\* A live owner keeps its claim as long as its lease; a renewal that answered OK counts.
NoEarlyReclaim == "early reclaim" \notin wrong

OutcomeIsTrue ==
  \A s \in Sessions : run[s] # "dead" =>
    /\ pc[s] = "fenced" => word.ep > IF Ticketed(s) THEN Ticket(s) ELSE loc[s].seen.ep
    /\ pc[s] = "conflict" => word.ver > loc[s].seen.ver
    /\ pc[s] = "held" => own # Me(s)
    /\ pc[s] = "refused" => loc[s].goal = "forge"

EpochOnlyGrows ==
  [][/\ word'.ep >= word.ep /\ clm'.ep >= clm.ep
     /\ word'.ep # word.ep => word'.ep = word.ep + 1]_<<word, clm>>
VersionOnlyGrows == [][word'.ver >= word.ver]_word

\* A claim whose owner is dead or whose lease is over, while somebody else still runs.
Abandoned ==
  /\ own # None
  /\ \/ run[own[1]] = "dead" \/ gen[own[1]] # own[2]
     \/ clm.dl > 0 /\ over
  /\ \E s \in Sessions : run[s] = "run" /\ Me(s) # own

\* What a running process has begun ends, and no abandoned claim stands for ever.
SurvivorsProgress ==
  /\ \A s \in Sessions : (pc[s] # "idle" /\ run[s] = "run") ~> (pc[s] = "idle" \/ run[s] # "run")
  /\ Abandoned ~> ~Abandoned
=============================================================================
