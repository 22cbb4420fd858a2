package main

import (
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

const keysMax = 6

// cell is what the store says of one key. In a volatile store each write adds one to the version; each claim, and each
// end of one, one to the epoch.
type cell struct {
	version uint64
	epoch   uint64
	value   int64 // 0: none
	owner   int   // the worker that holds it, if the epoch is odd
	claim   int   // id of his claim
	lease   int   // id of what set the lease last, the claim or a renewal
}

func (c *cell) end() {
	c.epoch++
	c.owner, c.claim, c.lease = 0, 0, 0
}

type state [keysMax]cell

type kind int

const (
	read         kind = iota // all items stand as told, at one instant
	look                     // the stamp of one key, told in passing
	write                    // done: compared and written at one instant; a release, too
	void                     // KS_NOT_FOUND of a delete: as expected, and nothing there
	maybe                    // never came back: done if all is as expected, else nothing
	claimed                  // told: free before, held now
	bid                      // not told: if it is free
	renewed                  // told: the claim stands
	maybeRenewed             // never came back
	over                     // the claim ends by itself, if it stands
	forced                   // the claim ends by force, if it stands
)

// step is one operation of the model; one call may be several.
type step struct {
	kind  kind
	items []Item
	call  *Call
	claim int  // id
	lease int  // id
	isBid bool // over: of a claim that was not told
}

func isExpected(now state, items []Item, worker int) bool {
	for i := range items {
		item, at := &items[i], &now[items[i].Key]
		if item.Seen != nil && at.version != *item.Seen {
			return false
		}
		if item.Grant != 0 {
			if at.epoch != item.Grant || at.owner != worker {
				return false
			}
			continue
		}
		if isClaimed(at.epoch) || (item.Seen != nil && !isEpochAsSeen(at.version, at.epoch, item)) {
			return false
		}
	}
	return true
}

func written(now state, items []Item) state {
	for _, item := range items {
		at := &now[item.Key]
		switch {
		case item.Write == "put":
			at.version, at.value = at.version+1, item.Value
		case item.Write == "delete" && at.value != 0:
			at.version, at.value = at.version+1, 0
		}
		if item.Release {
			at.end()
		}
	}
	return now
}

func isAsTold(now state, items []Item, withValues bool) bool {
	for _, item := range items {
		at := &now[item.Key]
		if item.Told != nil && at.version != *item.Told {
			return false
		}
		if item.Epoch != nil && at.epoch != *item.Epoch {
			return false
		}
		if withValues && at.value != item.Value {
			return false
		}
	}
	return true
}

func next(now state, one step) (bool, state) {
	item := &one.items[0]
	at := &now[item.Key]
	switch one.kind {
	case read:
		return isAsTold(now, one.items, true), now
	case look:
		return isAsTold(now, one.items, false), now
	case void:
		return isExpected(now, one.items, one.call.Worker) && isAsTold(now, one.items, false) && at.value == 0, now
	case maybe:
		if isExpected(now, one.items, one.call.Worker) {
			return true, written(now, one.items)
		}
		return true, now
	case write:
		after := written(now, one.items)
		return isExpected(now, one.items, one.call.Worker) && isAsTold(after, one.items, false), after
	case claimed, bid:
		if isClaimed(at.epoch) {
			return one.kind == bid, now
		}
		at.epoch++
		at.owner, at.claim, at.lease = one.call.Worker, one.claim, one.claim
		return one.kind == bid || isAsTold(now, one.items, false), now
	case renewed, maybeRenewed:
		if at.epoch != item.Grant || at.owner != one.call.Worker {
			return one.kind == maybeRenewed, now
		}
		at.lease = one.lease
		return one.kind == maybeRenewed || isAsTold(now, one.items, false), now
	case over:
		if (one.lease == 0 && at.claim == one.claim) || (one.lease != 0 && at.lease == one.lease) {
			at.end()
		}
		return true, now
	case forced:
		if at.epoch == item.Grant {
			at.end()
		}
		return true, now
	}
	panic("no such step")
}

var model = porcupine.Model{
	Init: func() interface{} { return state{} },
	Step: func(now, input, _ interface{}) (bool, interface{}) {
		return next(now.(state), input.(step))
	},
	Equal: func(a, b interface{}) bool { return a.(state) == b.(state) },
	Hash:  func(s interface{}) uint64 { return hash(s.(state)) },
	DescribeOperation: func(input, _ interface{}) string {
		one := input.(step)
		return names[one.kind] + describeCall(one.call)
	},
	DescribeState: func(s interface{}) string {
		var text []string
		for key, at := range s.(state) {
			text = append(text, fmt.Sprintf("%d: version %d epoch %d value %d owner %d",
				key, at.version, at.epoch, at.value, at.owner))
		}
		return strings.Join(text, ", ")
	},
}

var names = map[kind]string{look: "told in passing: ", bid: "if it claimed: ", over: "who is reclaimed: ",
	forced: "by force: "}

func hash(s state) uint64 {
	sum := uint64(14695981039346656037)
	for _, at := range s {
		sum = (sum ^ at.version) * 1099511628211
		sum = (sum ^ uint64(at.value)) * 1099511628211
		sum = (sum ^ (at.epoch + uint64(at.lease)<<32)) * 1099511628211
	}
	return sum
}

func describeCall(call *Call) string {
	var text strings.Builder
	fmt.Fprintf(&text, "worker %d %s", call.Worker, call.Op)
	for _, item := range call.Items {
		fmt.Fprintf(&text, " [key %d", item.Key)
		if item.Seen != nil {
			fmt.Fprintf(&text, " seen %d/%d", *item.Seen, item.SeenEpoch)
		}
		if item.Grant != 0 {
			fmt.Fprintf(&text, " claim %d", item.Grant)
		}
		if item.Write != "" {
			fmt.Fprintf(&text, " %s", item.Write)
		}
		if item.Release {
			text.WriteString(" release")
		}
		if item.Value != 0 {
			fmt.Fprintf(&text, " value %d", item.Value)
		}
		if item.Told != nil {
			fmt.Fprintf(&text, " told %d/%d", *item.Told, valueOr0(item.Epoch))
		}
		if item.Owner != 0 {
			fmt.Fprintf(&text, " owner %d", item.Owner)
		}
		if len(call.Items) > 1 && item.Status != "" && item.Status != call.Status {
			fmt.Fprintf(&text, " %s", item.Status)
		}
		text.WriteString("]")
	}
	if call.End == nil {
		text.WriteString(" never came back")
	} else {
		fmt.Fprintf(&text, " %s", call.Status)
	}
	return text.String()
}
