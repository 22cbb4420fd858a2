package main

import (
	"fmt"
	"math"

	"github.com/anishathalye/porcupine"
)

const never = int64(math.MaxInt64)

// operations turns what was recorded into what porcupine checks; one call may be several. A call that never came back
// ends at infinity: when it is put behind all others it may as well never have happened.
//
// No partition: a transaction binds its keys together, and on a few hot keys soon all of them.
func operations(round *Round) ([]porcupine.Operation, error) {
	past := newPast(round)
	var all []porcupine.Operation
	for i := range round.Calls {
		call := &round.Calls[i]
		steps, err := past.stepsOf(call)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", describeCall(call), err)
		}
		end := never
		if call.End != nil {
			end = *call.End
		}
		for _, one := range steps {
			all = append(all, porcupine.Operation{ClientId: call.Client, Input: one, Call: call.Begin, Return: end})
		}
		all = append(all, past.claimsOf(call)...)
	}
	return all, nil
}

func (p *past) stepsOf(call *Call) ([]step, error) {
	if len(call.Items) == 0 {
		return nil, fmt.Errorf("no key")
	}
	if call.End == nil {
		return p.stepsOfKilled(call), nil
	}
	for _, item := range call.Items {
		if item.Value < 0 {
			return nil, fmt.Errorf("key %d: a value that nobody wrote", item.Key)
		}
	}
	if call.Op == "gets" || call.Op == "snapshot" {
		return stepsOfReader(call)
	}
	for i := range call.Items {
		if err := p.checkHeld(call, &call.Items[i]); err != nil {
			return nil, err
		}
	}
	if call.Status == "KS_E_GRANT" {
		return stepsOfThief(call)
	}
	if call.Op == "commit" || call.Op == "multi" {
		return stepsOfWriter(call)
	}
	return p.stepsOfClaimer(call)
}

// What a claim that never came back may have done, past.claimsOf says.
func (p *past) stepsOfKilled(call *Call) []step {
	switch call.Op {
	case "commit", "multi", "release":
		return []step{{kind: maybe, items: call.Items, call: call}}
	case "renew":
		return []step{{kind: maybeRenewed, items: call.Items, call: call, lease: p.renews[call]}}
	case "reclaim":
		if call.Forced {
			return []step{{kind: forced, items: call.Items, call: call}}
		}
	}
	return nil // whatever it would have read
}

func stepsOfReader(call *Call) ([]step, error) {
	for _, item := range call.Items {
		if item.Status != "KS_OK" && item.Status != "KS_NOT_FOUND" {
			return nil, fmt.Errorf("key %d: %s", item.Key, item.Status)
		}
	}
	if call.Op == "snapshot" {
		if call.Status != "KS_OK" {
			return nil, fmt.Errorf("a snapshot of few keys never fails")
		}
		return []step{{kind: read, items: call.Items, call: call}}, nil
	}
	var steps []step
	for i := range call.Items {
		steps = append(steps, step{kind: read, items: call.Items[i : i+1], call: call})
	}
	return steps, nil
}

// Another's grant is no ticket, as long as that claim stands.
func stepsOfThief(call *Call) ([]step, error) {
	item := call.Items[0]
	if len(call.Items) != 1 || item.Grant == 0 || item.GrantOf == call.Worker {
		return nil, fmt.Errorf("its own grant is refused")
	}
	stands := Item{Key: item.Key, Epoch: &item.Grant}
	return []step{{kind: look, items: []Item{stands}, call: call}}, nil
}

func looksOf(call *Call) []step {
	var steps []step
	for i := range call.Items {
		if call.Items[i].Told != nil {
			steps = append(steps, step{kind: look, items: call.Items[i : i+1], call: call})
		}
	}
	return steps
}

func stepsOfWriter(call *Call) ([]step, error) {
	switch call.Status {
	case "KS_OK":
		return []step{{kind: write, items: call.Items, call: call}}, nil
	case "KS_NOT_FOUND":
		return []step{{kind: void, items: call.Items, call: call}}, nil
	case "KS_CONFLICT", "KS_HELD", "KS_FENCED":
	default:
		return nil, fmt.Errorf("an answer that cannot be: memory is plenty")
	}
	// Each key was judged for itself, by the stamp that it tells.
	worst := "KS_OK"
	for i := range call.Items {
		item := &call.Items[i]
		if want := answerOf(item); item.Told == nil || item.Status != want {
			return nil, fmt.Errorf("key %d: %s, and its stamp says %s", item.Key, item.Status, want)
		}
		if weight[item.Status] > weight[worst] {
			worst = item.Status
		}
	}
	if worst != call.Status {
		return nil, fmt.Errorf("its keys say %s", worst)
	}
	return looksOf(call), nil
}

var weight = map[string]int{"KS_OK": 0, "KS_HELD": 1, "KS_CONFLICT": 2, "KS_FENCED": 3}

// answerOf a commit to one key that has the stamp which was told.
func answerOf(item *Item) string {
	version, epoch := valueOr0(item.Told), valueOr0(item.Epoch)
	if item.Grant != 0 {
		if epoch != item.Grant {
			return "KS_FENCED"
		}
		if item.Seen != nil && *item.Seen != version {
			return "KS_CONFLICT"
		}
		return "KS_OK"
	}
	if item.Seen != nil && *item.Seen != version {
		return "KS_CONFLICT"
	}
	if isClaimed(epoch) {
		return "KS_HELD"
	}
	if item.Seen != nil && !isEpochAsSeen(version, epoch, item) {
		return "KS_FENCED"
	}
	return "KS_OK"
}

func valueOr0(number *uint64) uint64 {
	if number == nil {
		return 0
	}
	return *number
}

// Nothing is stale about a key that was never written.
func isEpochAsSeen(version, epoch uint64, item *Item) bool {
	return epoch == item.SeenEpoch || (version == 0 && item.SeenEpoch == 0)
}

func isClaimed(epoch uint64) bool { return epoch%2 == 1 }

func (p *past) stepsOfClaimer(call *Call) ([]step, error) {
	item := &call.Items[0]
	if item.Epoch == nil || item.Told == nil {
		return nil, fmt.Errorf("an answer that cannot be")
	}
	epoch := *item.Epoch
	isTrue := false
	switch call.Op + " " + call.Status {
	case "claim KS_OK":
		return nil, nil // past.claimsOf says it
	case "claim KS_HELD", "claim KS_TIMEOUT":
		isTrue = isClaimed(epoch)
	case "renew KS_OK":
		return []step{{kind: renewed, items: call.Items, call: call, lease: p.renews[call]}}, nil
	case "release KS_OK":
		return []step{{kind: write, items: call.Items, call: call}}, nil
	case "renew KS_FENCED", "release KS_FENCED", "reclaim KS_FENCED":
		isTrue = epoch > item.Grant
	case "reclaim KS_HELD":
		isTrue = epoch == item.Grant && !call.Forced
	case "reclaim KS_OK":
		isTrue = epoch > item.Grant
	}
	if !isTrue {
		return nil, fmt.Errorf("an answer that cannot be")
	}
	steps := looksOf(call)
	if call.Forced && call.Status == "KS_OK" {
		steps = append(steps, step{kind: forced, items: call.Items, call: call})
	}
	return steps, nil
}
