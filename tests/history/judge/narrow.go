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
	var kept []porcupine.Operation
	for _, op := range ops {
		if one := op.Input.(step); one.kind != maybe || !told.isDenied(one.items) {
			kept = append(kept, op)
		}
	}
	for again := true; again; {
		again = told.cut(kept)
	}
	for _, op := range kept {
		if op.Call > op.Return {
			return ops // no order, as it seems: let the search say so
		}
	}
	return kept
}

type place struct {
	key     int
	version uint64
}

// told is what completed calls say.
type told struct {
	written map[place]bool  // by a call that came back
	read    map[place]int64 // value
	version map[int64]place // of each value that was read
	last    [keysMax]uint64 // version
}

func newTold(ops []porcupine.Operation) *told {
	t := &told{written: map[place]bool{}, read: map[place]int64{}, version: map[int64]place{}}
	for _, op := range ops {
		one := op.Input.(step)
		for _, item := range one.items {
			if item.Told == nil {
				continue
			}
			at := place{item.Key, *item.Told}
			if at.version > t.last[item.Key] {
				t.last[item.Key] = at.version
			}
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
	}
	return t
}

// isWritten: a delete of nothing writes nothing.
func isWritten(item Item) bool {
	return item.Write == "put" || (item.Write == "delete" && item.Seen != nil && *item.Told == *item.Seen+1)
}

// isDenied: others tell that a call that never came back was not done.
func (t *told) isDenied(items []Item) bool {
	for _, item := range items {
		if _, isRead := t.version[item.Value]; item.Write == "put" && isRead {
			return false
		}
	}
	for _, item := range items {
		if item.Write == "put" && !t.hasRoom(item) {
			return true
		}
	}
	return false
}

// hasRoom: is there a version that it may have written, unseen by all?
func (t *told) hasRoom(item Item) bool {
	first, last := uint64(1), t.last[item.Key]
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

// rank of what an item tells, among all of its key: a write of version v before all that see v, after all that see
// v - 1. 0: it tells nothing.
func (t *told) rank(one step, item Item) uint64 {
	if one.kind == maybe {
		if at, isRead := t.version[item.Value]; item.Write == "put" && isRead {
			return 2 * at.version
		}
		return 0
	}
	if item.Told == nil || one.kind == refuse || one.kind == void {
		return 0
	}
	if one.kind == write && isWritten(item) {
		return 2 * *item.Told
	}
	return 2**item.Told + 1
}

// cut makes each interval end no later than what comes after it, and begin no sooner than what comes before it. Says
// whether anything changed.
func (t *told) cut(ops []porcupine.Operation) bool {
	changed := false
	for key := 0; key < keysMax; key++ {
		size := 2*t.last[key] + 3
		begins, ends := make([]int64, size), make([]int64, size) // the latest begin, the earliest end of each rank
		for i := range ends {
			begins[i], ends[i] = math.MinInt64, math.MaxInt64
		}
		visit := func(do func(op *porcupine.Operation, rank uint64)) {
			for i := range ops {
				one := ops[i].Input.(step)
				for _, item := range one.items {
					if rank := t.rank(one, item); item.Key == key && rank != 0 {
						do(&ops[i], rank)
					}
				}
			}
		}
		visit(func(op *porcupine.Operation, rank uint64) {
			begins[rank] = max(begins[rank], op.Call)
			ends[rank] = min(ends[rank], op.Return)
		})
		for i := 1; i < len(begins); i++ {
			begins[i] = max(begins[i], begins[i-1])
		}
		for i := len(ends) - 1; i > 0; i-- {
			ends[i-1] = min(ends[i-1], ends[i])
		}
		visit(func(op *porcupine.Operation, rank uint64) {
			begin, end := max(op.Call, begins[rank-1]), min(op.Return, ends[rank+1])
			changed = changed || begin != op.Call || end != op.Return
			op.Call, op.Return = begin, end
		})
	}
	return changed
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
