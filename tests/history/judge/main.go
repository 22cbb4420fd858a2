// Judges recorded histories: is there an order of the calls, each between its begin and its end, in which one process
// alone would have been told the same? (Linearizability; porcupine searches the order.)
//
//	judge [-expect Ok|Illegal] [-timeout 20s] [-kept DIR] [-v] HISTORY...
//
// Exit status 0 if every round is linearizable; with -expect Illegal if some round is not, as with a guard switched off.
// "Unknown", a search that took too long, is as bad as Illegal. What is not linearizable is kept in DIR: the round's history,
// and porcupine's picture of it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// verdict of one round.
type verdict struct {
	round    *Round
	result   porcupine.CheckResult
	problems []string // of the round, as the recorder or stepsOf found
	first    string   // Illegal: the call that no order explains
	took     time.Duration
}

// check asks in the order of what it takes: with what is known of the order beforehand; each key for itself, which must
// have an order if all together have one; all of it.
func check(ops []porcupine.Operation, timeout time.Duration) porcupine.CheckResult {
	if porcupine.CheckOperationsTimeout(model, narrow(ops), timeout) == porcupine.Ok {
		return porcupine.Ok
	}
	for key := 0; key < keysMax; key++ {
		if porcupine.CheckOperationsTimeout(model, ofKey(ops, key), timeout) == porcupine.Illegal {
			return porcupine.Illegal
		}
	}
	return porcupine.CheckOperationsTimeout(model, ops, timeout)
}

// ofKey: what was done to one key, as if there were no other.
func ofKey(ops []porcupine.Operation, key int) []porcupine.Operation {
	var kept []porcupine.Operation
	for _, op := range ops {
		one := op.Input.(step)
		var items []Item
		for _, item := range one.items {
			if item.Key == key {
				items = append(items, item)
			}
		}
		if len(items) == 0 {
			continue
		}
		one.items = items
		op.Input = one
		kept = append(kept, op)
	}
	return kept
}

func judge(round *Round, timeout time.Duration) verdict {
	began := time.Now()
	v := verdict{round: round, result: porcupine.Illegal, problems: round.Problems}
	ops, err := operations(round)
	if err != nil {
		v.problems = append(v.problems, err.Error())
	} else {
		v.result = check(ops, timeout)
		if v.result == porcupine.Illegal {
			v.first = firstUnexplained(round, timeout)
		}
	}
	if len(v.problems) > 0 {
		v.result = porcupine.Illegal
	}
	v.took = time.Since(began)
	return v
}

// upTo: the history as it stood at an instant; what had not come back yet may have been done or not.
func upTo(round *Round, instant int64) *Round {
	before := &Round{Lives: round.Lives}
	for _, call := range round.Calls {
		if call.Begin > instant {
			continue
		}
		if call.End != nil && *call.End > instant {
			call.End, call.Status = nil, ""
		}
		before.Calls = append(before.Calls, call)
	}
	return before
}

// firstUnexplained: every beginning of a linearizable history is linearizable, so there is a first call whose answer
// makes it Illegal.
func firstUnexplained(round *Round, timeout time.Duration) string {
	var ended []*Call
	for i := range round.Calls {
		if round.Calls[i].End != nil {
			ended = append(ended, &round.Calls[i])
		}
	}
	sort.Slice(ended, func(a, b int) bool { return *ended[a].End < *ended[b].End })
	at := sort.Search(len(ended)-1, func(i int) bool {
		ops, err := operations(upTo(round, *ended[i].End))
		return err != nil || check(ops, timeout) != porcupine.Ok
	})
	call := ended[at]
	return fmt.Sprintf("from %d to %d ns: %s", call.Begin, *call.End, describeCall(call))
}

// judgeAll judges every round, or, if one Illegal is enough, as many as it takes.
func judgeAll(rounds []*Round, timeout time.Duration, isOneEnough bool) []verdict {
	var verdicts []verdict
	var lock sync.Mutex
	next := func() *Round {
		lock.Lock()
		defer lock.Unlock()
		if len(rounds) == 0 {
			return nil
		}
		first := rounds[0]
		rounds = rounds[1:]
		return first
	}
	done := func(v verdict) {
		lock.Lock()
		defer lock.Unlock()
		verdicts = append(verdicts, v)
		if isOneEnough && v.result == porcupine.Illegal {
			rounds = nil
		}
	}
	var workers sync.WaitGroup
	for i := 0; i < runtime.NumCPU(); i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for round := next(); round != nil; round = next() {
				done(judge(round, timeout))
			}
		}()
	}
	workers.Wait()
	sort.Slice(verdicts, func(a, b int) bool { return verdicts[a].round.Number < verdicts[b].round.Number })
	return verdicts
}

func keep(v verdict, folder string, timeout time.Duration) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	name := filepath.Join(folder, fmt.Sprintf("seed-%d-round-%d", v.round.Seed, v.round.Number))
	file, err := os.Create(name + ".jsonl")
	if err != nil {
		return err
	}
	defer file.Close()
	if err := WriteRound(file, v.round); err != nil {
		return err
	}
	fmt.Printf("  kept: %s.jsonl\n", name)
	ops, err := operations(v.round)
	if err != nil {
		return nil // said already; no picture
	}
	_, info := porcupine.CheckOperationsVerbose(model, ops, timeout)
	if err := porcupine.VisualizePath(model, info, name+".html"); err != nil {
		return err
	}
	fmt.Printf("  kept: %s.html\n", name)
	return nil
}

func (v verdict) print() {
	maybes := 0
	for _, call := range v.round.Calls {
		if call.End == nil {
			maybes++
		}
	}
	fmt.Printf("round %d seed %d: %d processes, %d keys, %d calls (%d maybe), %d kills, %d stops: %s in %d ms\n",
		v.round.Number, v.round.Seed, v.round.Processes, v.round.Keys, len(v.round.Calls), maybes, v.round.Kills,
		v.round.Stops, v.result, v.took.Milliseconds())
	for _, problem := range v.problems {
		fmt.Printf("  %s\n", problem)
	}
	if v.first != "" {
		fmt.Printf("  no order explains, %s\n", v.first)
	}
}

// sum prints one line over all rounds and says how many had which result.
func sum(verdicts []verdict) map[porcupine.CheckResult]int {
	count := map[porcupine.CheckResult]int{}
	calls, kills, stops, slowest := 0, 0, 0, time.Duration(0)
	for _, v := range verdicts {
		count[v.result]++
		calls += len(v.round.Calls)
		kills += v.round.Kills
		stops += v.round.Stops
		if v.took > slowest {
			slowest = v.took
		}
	}
	fmt.Printf("%d rounds, %d calls, %d kills, %d stops: %d Ok, %d Illegal, %d Unknown; the slowest took %d ms\n",
		len(verdicts), calls, kills, stops, count[porcupine.Ok], count[porcupine.Illegal], count[porcupine.Unknown],
		slowest.Milliseconds())
	return count
}

func main() {
	expect := flag.String("expect", "Ok", "Ok: of every round; Illegal: of one at least")
	timeout := flag.Duration("timeout", 20*time.Second, "for one round; then it is Unknown")
	kept := flag.String("kept", "", "folder for what is Illegal")
	isVerbose := flag.Bool("v", false, "print every round")
	flag.Parse()

	var rounds []*Round
	for _, name := range flag.Args() {
		file, err := os.Open(name)
		if err == nil {
			var more []*Round
			more, err = ReadRounds(file)
			rounds = append(rounds, more...)
			file.Close()
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(2)
		}
	}
	if len(rounds) == 0 {
		fmt.Fprintln(os.Stderr, "no history")
		os.Exit(2)
	}
	verdicts := judgeAll(rounds, *timeout, *expect == "Illegal")
	for _, v := range verdicts {
		if *isVerbose || v.result != porcupine.Ok {
			v.print()
		}
		if v.result == porcupine.Illegal && *kept != "" {
			if err := keep(v, *kept, *timeout); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}
	count := sum(verdicts)
	isGood := count[porcupine.Ok] == len(verdicts)
	if *expect == "Illegal" {
		isGood = count[porcupine.Illegal] > 0
	}
	if !isGood {
		fmt.Printf("not as expected: %s\n", *expect)
		os.Exit(1)
	}
}
