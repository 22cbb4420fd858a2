package main

import (
	"math"

	"github.com/anishathalye/porcupine"
)

// Versions of a key only grow, and most calls tell one. So most of the order is known before any search, and a search
// that knows it takes milliseconds where it took seconds: one that does not tries a killed process's commit, or a
// stopped one's, at each of hundreds of places.
//
// narrow takes freedom away, never gives any: it drops calls that never came back, and cuts intervals shorter. So an
// order that is found afterwards is one of the whole history. If none is found, ask again without it (judge does).
func narrow(ops []porcupine.Operation) []porcupine.Operation {
	told := newTold(ops)
	kept := told.possible(ops)
	for {
		for told.cut(kept) {
		}
		fewer := withoutVain(kept)
		if len(fewer) == len(kept) {
			break
		}
		kept = fewer
		told.count(kept)
	}
	for _, op := range kept {
		if op.Call > op.Return {
			return ops // no order, as it seems: let the search say so
		}
	}
	return kept
}

// withoutVain: an end of a claim that would have come too late was none.
func withoutVain(ops []porcupine.Operation) []porcupine.Operation {
	var kept []porcupine.Operation
	for _, op := range ops {
		if op.Input.(step).kind != over || op.Call <= op.Return {
			kept = append(kept, op)
		}
	}
	return kept
}

// told is what completed calls say.
type told struct {
	written map[place]bool // versions, by a call that came back
	read    map[place]int64
	version map[int64]place // of each value that was read
	moved   map[place]bool  // epochs, by a call that came back
	ends    map[place]int   // by the epoch that ended: how many steps may have done it
	bids    [keysMax]bool   // a claim was seen that nobody was told of
	last    [2][keysMax]uint64
}

// The two numbers of a key that only grow.
const (
	versions = iota
	epochs
)

func newTold(ops []porcupine.Operation) *told {
	t := &told{written: map[place]bool{}, read: map[place]int64{}, version: map[int64]place{}, moved: map[place]bool{}}
	for _, op := range ops {
		one := op.Input.(step)
		for i := range one.items {
			if item := &one.items[i]; !isGuess(one) {
				t.note(one, item)
			}
		}
	}
	for key := 0; key < keysMax; key++ {
		for epoch := uint64(1); epoch <= t.last[epochs][key]; epoch += 2 {
			t.bids[key] = t.bids[key] || !t.moved[place{key, epoch}]
		}
	}
	return t
}

// isGuess: what the step's items tell was told of another one.
func isGuess(one step) bool {
	switch one.kind {
	case maybe, bid, maybeRenewed, over, forced:
		return true
	}
	return false
}

func (t *told) note(one step, item *Item) {
	if item.Epoch != nil {
		at := place{item.Key, *item.Epoch}
		t.last[epochs][item.Key] = maxOf(t.last[epochs][item.Key], at.number)
		if one.kind == claimed || (one.kind == write && item.Release) {
			t.moved[at] = true
		}
	}
	if item.Told == nil {
		return
	}
	at := place{item.Key, *item.Told}
	t.last[versions][item.Key] = maxOf(t.last[versions][item.Key], at.number)
	if one.kind == write && isWritten(item) {
		t.written[at] = true
	}
	if one.kind == read {
		t.read[at] = item.Value
		if item.Value != 0 {
			t.version[item.Value] = at
		}
	}
}

// isWritten: a delete of nothing writes nothing.
func isWritten(item *Item) bool {
	return item.Write == "put" || (item.Write == "delete" && item.Seen != nil && *item.Told == *item.Seen+1)
}

// possible leaves out what others tell was not done, and what nobody saw.
func (t *told) possible(ops []porcupine.Operation) []porcupine.Operation {
	var kept []porcupine.Operation
	for _, op := range ops {
		one := op.Input.(step)
		item := &one.items[0]
		isDenied := false
		switch one.kind {
		case maybe:
			isDenied = t.isDenied(one.items)
		case bid:
			isDenied = !t.bids[item.Key]
		case maybeRenewed, forced:
			isDenied = !t.isEndUntold(item.Key, item.Grant)
		case over:
			isDenied = !t.isEndUntold(item.Key, epochOf(one))
			if epochOf(one) == 0 {
				isDenied = !t.bids[item.Key]
			}
		}
		if !isDenied {
			kept = append(kept, op)
		}
	}
	t.count(kept)
	return kept
}

// epochOf the claim that a step ends; 0: not known.
func epochOf(one step) uint64 {
	if one.kind == forced {
		return one.items[0].Grant
	}
	if one.kind == over && one.call.Status == "KS_OK" && !one.isBid {
		return *one.items[0].Epoch
	}
	return 0
}

// isEndUntold: this claim is over, and nobody was told to have ended it.
func (t *told) isEndUntold(key int, epoch uint64) bool {
	return t.last[epochs][key] > epoch && !t.moved[place{key, epoch + 1}]
}

func (t *told) count(ops []porcupine.Operation) {
	t.ends = map[place]int{}
	for _, op := range ops {
		one := op.Input.(step)
		if epoch := epochOf(one); epoch != 0 {
			t.ends[place{one.items[0].Key, epoch}]++
		}
		for i := range one.items {
			if item := &one.items[i]; one.kind == maybe && item.Release {
				t.ends[place{item.Key, item.Grant}]++
			}
		}
	}
}

// isDenied: others tell that a call that never came back was not done.
func (t *told) isDenied(items []Item) bool {
	for i := range items {
		if _, isRead := t.version[items[i].Value]; items[i].Write == "put" && isRead {
			return false
		}
	}
	for i := range items {
		item := &items[i]
		if item.Write == "put" && !t.hasRoom(item) {
			return true
		}
		if item.Release && !t.isEndUntold(item.Key, item.Grant) {
			return true
		}
	}
	return false
}

// hasRoom: is there a version that it may have written, unseen by all?
func (t *told) hasRoom(item *Item) bool {
	first, last := uint64(1), t.last[versions][item.Key]
	if item.Seen != nil {
		first = *item.Seen + 1
		if first < last {
			last = first
		}
	}
	for version := first; version <= last; version++ {
		at := place{item.Key, version}
		if _, isRead := t.read[at]; !isRead && !t.written[at] {
			return true
		}
	}
	return false
}

// rank of what an item tells, among all of its key: what moves a number to n before all that see n, after all that see
// n - 1. 0: it tells nothing. isSure: it was done, so others may be measured by it.
func (t *told) rank(number int, one step, item *Item) (rank uint64, isSure bool) {
	switch {
	case one.kind == maybe && number == versions:
		if at, isRead := t.version[item.Value]; item.Write == "put" && isRead && at.key == item.Key {
			return 2 * at.number, true
		}
		return 0, false
	case one.kind == over && number == epochs:
		if epoch := epochOf(one); epoch != 0 {
			return 2 * (epoch + 1), t.ends[place{item.Key, epoch}] == 1
		}
		return 0, false
	case isGuess(one):
		return 0, false
	case number == versions:
		return rankOf(item.Told, one.kind == write && isWritten(item)), true
	}
	return rankOf(item.Epoch, one.kind == claimed || (one.kind == write && item.Release)), true
}

func rankOf(told *uint64, isMove bool) uint64 {
	switch {
	case told == nil:
		return 0
	case isMove:
		return 2 * *told
	}
	return 2**told + 1
}

// cut makes each interval end no later than what comes after it, and begin no sooner than what comes before it. Says
// whether anything changed.
func (t *told) cut(ops []porcupine.Operation) bool {
	changed := false
	for key := 0; key < keysMax; key++ {
		changed = t.cutBy(versions, key, ops) || changed
		changed = t.cutBy(epochs, key, ops) || changed
	}
	return changed
}

func (t *told) cutBy(number, key int, ops []porcupine.Operation) bool {
	changed := false
	size := 2*t.last[number][key] + 3
	begins, ends := make([]int64, size), make([]int64, size) // the latest begin, the earliest end of each rank
	for i := range ends {
		begins[i], ends[i] = math.MinInt64, never
	}
	visit := func(do func(op *porcupine.Operation, rank uint64, isSure bool)) {
		for i := range ops {
			one := ops[i].Input.(step)
			for at := range one.items {
				item := &one.items[at]
				if item.Key != key {
					continue
				}
				if rank, isSure := t.rank(number, one, item); rank != 0 {
					do(&ops[i], rank, isSure)
				}
			}
		}
	}
	visit(func(op *porcupine.Operation, rank uint64, isSure bool) {
		if isSure {
			begins[rank] = max(begins[rank], op.Call)
			ends[rank] = min(ends[rank], op.Return)
		}
	})
	for i := 1; i < len(begins); i++ {
		begins[i] = max(begins[i], begins[i-1])
	}
	for i := len(ends) - 1; i > 0; i-- {
		ends[i-1] = min(ends[i-1], ends[i])
	}
	visit(func(op *porcupine.Operation, rank uint64, _ bool) {
		begin, end := max(op.Call, begins[rank-1]), min(op.Return, ends[rank+1])
		changed = changed || begin != op.Call || end != op.Return
		op.Call, op.Return = begin, end
	})
	return changed
}

func maxOf(a, b uint64) uint64 {
	if a > b {
		return a
	}
	return b
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

func max(a, b int64) int64 {
	if a > b {
		return a
	}
	return b
}
