package main

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// The clock of a lease counts whole microseconds and is another than the recorder's.
const clockSlack = 2_000

// How many claims that nobody was told of one call is thought to have made at most.
const bidsMax = 3

type place struct {
	key    int
	number uint64 // a version, or an epoch
}

// past is what the judge knows beside the order: who lived how long, and whose each claim is.
//
// A claim ends by its owner's release; by his death or when its lease is over, if anybody comes by; by force. Nobody
// writes down who reclaimed it. So a step `over` of nobody's is put beside each claim, for each way in which it may
// end by itself, not before the instant at which that may be.
type past struct {
	calls  []Call
	alive  map[int]int64 // by worker: the last sign of life
	dead   map[int]int64
	claims map[place]*Call // by epoch: those that were told
	leases map[place][]*Call
	forced map[int][]*Call // by key
	last   int64
	ids    int
	renews map[*Call]int
}

func newPast(round *Round) *past {
	p := &past{calls: round.Calls, alive: map[int]int64{}, dead: map[int]int64{}, claims: map[place]*Call{},
		leases: map[place][]*Call{}, forced: map[int][]*Call{}, renews: map[*Call]int{}}
	for i := range round.Calls {
		call := &round.Calls[i]
		sign := call.Begin
		if call.End != nil {
			sign = *call.End
		}
		p.alive[call.Worker] = max(p.alive[call.Worker], sign)
		p.last = max(p.last, sign)
		if len(call.Items) == 0 {
			continue
		}
		item := &call.Items[0]
		switch {
		case call.Op == "claim" && call.Status == "KS_OK" && item.Epoch != nil:
			p.claims[place{item.Key, *item.Epoch}] = call
		case call.Op == "renew" && item.GrantOf == call.Worker && (call.End == nil || call.Status == "KS_OK"):
			at := place{item.Key, item.Grant}
			p.leases[at] = append(p.leases[at], call)
			p.renews[call] = p.newID()
		case call.Op == "reclaim" && call.Forced:
			p.forced[item.Key] = append(p.forced[item.Key], call)
		}
	}
	for _, life := range round.Lives {
		p.alive[life.Worker] = max(p.alive[life.Worker], life.Alive)
		if life.Dead != 0 {
			p.dead[life.Worker] = life.Dead
		}
	}
	return p
}

func (p *past) newID() int {
	p.ids++
	return p.ids
}

// checkHeld: that a key is held is a lie if its owner was dead before, or the claim's lease over.
func (p *past) checkHeld(call *Call, item *Item) error {
	isHeld := item.Status == "KS_HELD" || item.Status == "KS_TIMEOUT"
	if !isHeld || item.Epoch == nil {
		return nil
	}
	at := place{item.Key, *item.Epoch}
	claim := p.claims[at]
	if claim == nil {
		return nil // of one who did not live to tell
	}
	owner := claim.Worker
	if dead, isDead := p.dead[owner]; isDead && dead < call.Begin {
		return fmt.Errorf("key %d: held by worker %d, who was dead", item.Key, owner)
	}
	if p.leaseEnd(at, claim) < call.Begin {
		return fmt.Errorf("key %d: held by worker %d, whose lease was over", item.Key, owner)
	}
	if p.alive[owner] >= *call.End && item.Owner != owner {
		return fmt.Errorf("key %d: held by worker %d, not %d", item.Key, owner, item.Owner)
	}
	return nil
}

// leaseEnd: the latest instant at which it can have been over.
func (p *past) leaseEnd(at place, claim *Call) int64 {
	latest := int64(0)
	for _, call := range append([]*Call{claim}, p.leases[at]...) {
		end, isDead := p.dead[call.Worker]
		if call.End != nil {
			end, isDead = *call.End, true
		}
		if call.Lease == 0 || !isDead {
			return never
		}
		latest = max(latest, end+call.Lease+clockSlack)
	}
	return latest
}

// claimsOf a call, and what may end them. Beside the claim that was told there may be some that were not: a killed
// process's, and those that its caller had lost before he came to look, because he was stopped for so long.
func (p *past) claimsOf(call *Call) []porcupine.Operation {
	if call.Op != "claim" {
		return nil
	}
	item := &call.Items[0]
	var all []porcupine.Operation
	if call.Status == "KS_OK" && item.Epoch != nil {
		one := step{kind: claimed, items: call.Items, call: call, claim: p.newID()}
		all = append(all, porcupine.Operation{ClientId: call.Client, Input: one, Call: call.Begin, Return: *call.End})
		all = append(all, p.endsOf(one, p.leases[place{item.Key, *item.Epoch}])...)
	}
	for i := p.bidsOf(call); i > 0; i-- {
		one := step{kind: bid, items: call.Items, call: call, claim: p.newID()}
		all = append(all, porcupine.Operation{ClientId: call.Client, Input: one, Call: call.Begin, Return: never})
		all = append(all, p.endsOf(one, nil)...)
	}
	return all
}

func (p *past) bidsOf(call *Call) int64 {
	end, bids := p.last, int64(0)
	if call.End != nil {
		end = *call.End
	} else {
		bids = 1
		if dead, isDead := p.dead[call.Worker]; isDead {
			end = dead
		}
	}
	if call.Lease != 0 {
		bids += (end - call.Begin + clockSlack) / call.Lease
	}
	for _, force := range p.forced[call.Items[0].Key] {
		if force.Begin <= end && (force.End == nil || *force.End >= call.Begin) {
			bids++
		}
	}
	return min(bids, bidsMax)
}

// endsOf a claim that end it by themselves.
func (p *past) endsOf(one step, renewals []*Call) []porcupine.Operation {
	var all []porcupine.Operation
	over := func(from int64, lease int) {
		end := step{kind: over, items: one.items, call: one.call, claim: one.claim, lease: lease, isBid: one.kind == bid}
		all = append(all, porcupine.Operation{ClientId: one.call.Client, Input: end, Call: from, Return: never})
	}
	over(p.alive[one.call.Worker], 0)
	if one.call.Lease != 0 {
		over(one.call.Begin+one.call.Lease-clockSlack, one.claim)
	}
	for _, renewal := range renewals {
		if renewal.Lease != 0 {
			over(renewal.Begin+renewal.Lease-clockSlack, p.renews[renewal])
		}
	}
	return all
}
