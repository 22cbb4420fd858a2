package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/anishathalye/porcupine"
)

const keysMax = 6

// cell is what the store says of one key. In a volatile store each write adds one to the version.
type cell struct {
	version uint64
	value   int64 // 0: none
}

type state [keysMax]cell

type kind int

const (
	read   kind = iota // all items stand as told, at one instant
	look               // the version of one key, told by a refusal
	write              // done: compared and written at one instant
	refuse             // KS_CONFLICT: the items that say so were not as expected
	void               // KS_NOT_FOUND of a delete: as expected, and nothing there
	maybe              // never came back: done if all is as expected, else nothing
)

// step is one operation of the model; one call may be several.
type step struct {
	kind  kind
	items []Item
	call  *Call
}

// operations turns calls into what porcupine checks. A call that never came back ends at infinity: when it is put
// behind all others it may as well never have happened.
//
// No partition: a transaction binds its keys together, and on a few hot keys soon all of them.
func operations(calls []Call) ([]porcupine.Operation, error) {
	var all []porcupine.Operation
	for i := range calls {
		call := &calls[i]
		steps, err := stepsOf(call)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", describeCall(call), err)
		}
		end := int64(math.MaxInt64)
		if call.End != nil {
			end = *call.End
		}
		for _, one := range steps {
			all = append(all, porcupine.Operation{ClientId: call.Client, Input: one, Call: call.Begin, Return: end})
		}
	}
	return all, nil
}

func stepsOf(call *Call) ([]step, error) {
	if len(call.Items) == 0 {
		return nil, fmt.Errorf("no key")
	}
	isWriting := call.Op == "commit" || call.Op == "multi"
	if call.End == nil {
		if !isWriting {
			return nil, nil // whatever it would have read
		}
		return []step{{maybe, call.Items, call}}, nil
	}
	for _, item := range call.Items {
		if item.Value < 0 {
			return nil, fmt.Errorf("key %d: a value that nobody wrote", item.Key)
		}
	}
	if !isWriting {
		return stepsOfReader(call)
	}
	switch call.Status {
	case "KS_OK":
		return []step{{write, call.Items, call}}, nil
	case "KS_NOT_FOUND":
		return []step{{void, call.Items, call}}, nil
	case "KS_CONFLICT":
		steps := []step{{refuse, call.Items, call}}
		for i := range call.Items {
			if call.Items[i].Told != nil {
				steps = append(steps, step{look, call.Items[i : i+1], call})
			}
		}
		return steps, nil
	}
	return nil, fmt.Errorf("an answer that cannot be: nobody claims, memory is plenty")
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
		return []step{{read, call.Items, call}}, nil
	}
	var steps []step
	for i := range call.Items {
		steps = append(steps, step{read, call.Items[i : i+1], call})
	}
	return steps, nil
}

func isExpected(now state, items []Item) bool {
	for _, item := range items {
		if item.Seen != nil && now[item.Key].version != *item.Seen {
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
			*at = cell{at.version + 1, item.Value}
		case item.Write == "delete" && at.value != 0:
			*at = cell{at.version + 1, 0}
		}
	}
	return now
}

func isAsTold(now state, items []Item, withValues bool) bool {
	for _, item := range items {
		if item.Told != nil && now[item.Key].version != *item.Told {
			return false
		}
		if withValues && now[item.Key].value != item.Value {
			return false
		}
	}
	return true
}

// isRefused: each key that says KS_CONFLICT has moved, and one does. Versions never come back, so keys that were
// compared one after the other still differ together at the end of the call.
func isRefused(now state, items []Item) bool {
	count := 0
	for _, item := range items {
		if item.Status != "KS_CONFLICT" {
			continue
		}
		if item.Seen == nil || now[item.Key].version == *item.Seen {
			return false
		}
		count++
	}
	return count > 0
}

func next(now state, one step) (bool, state) {
	switch one.kind {
	case read:
		return isAsTold(now, one.items, true), now
	case look:
		return isAsTold(now, one.items, false), now
	case refuse:
		return isRefused(now, one.items), now
	case void:
		return isExpected(now, one.items) && now[one.items[0].Key].value == 0, now
	case maybe:
		if isExpected(now, one.items) {
			return true, written(now, one.items)
		}
		return true, now
	case write:
		after := written(now, one.items)
		return isExpected(now, one.items) && isAsTold(after, one.items, false), after
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
		if one.kind == look {
			return fmt.Sprintf("refused by key %d at version %d", one.items[0].Key, *one.items[0].Told)
		}
		return describeCall(one.call)
	},
	DescribeState: func(s interface{}) string {
		var text []string
		for key, at := range s.(state) {
			text = append(text, fmt.Sprintf("%d: version %d value %d", key, at.version, at.value))
		}
		return strings.Join(text, ", ")
	},
}

func hash(s state) uint64 {
	sum := uint64(14695981039346656037)
	for _, at := range s {
		sum = (sum ^ at.version) * 1099511628211
		sum = (sum ^ uint64(at.value)) * 1099511628211
	}
	return sum
}

func describeCall(call *Call) string {
	var text strings.Builder
	fmt.Fprintf(&text, "worker %d %s", call.Worker, call.Op)
	for _, item := range call.Items {
		fmt.Fprintf(&text, " [key %d", item.Key)
		if item.Seen != nil {
			fmt.Fprintf(&text, " seen %d", *item.Seen)
		}
		if item.Write != "" {
			fmt.Fprintf(&text, " %s", item.Write)
		}
		if item.Value != 0 {
			fmt.Fprintf(&text, " value %d", item.Value)
		}
		if item.Told != nil {
			fmt.Fprintf(&text, " told %d", *item.Told)
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
