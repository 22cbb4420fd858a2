package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

const patience = 20 * time.Second

func resultOf(t *testing.T, round *Round) porcupine.CheckResult {
	t.Helper()
	ops, err := operations(round)
	if err != nil {
		return porcupine.Illegal
	}
	narrowed := porcupine.CheckOperationsTimeout(model, narrow(ops), patience)
	plain := porcupine.CheckOperationsTimeout(model, ops, patience)
	if narrowed != plain {
		t.Errorf("%s, but %s with what versions tell", plain, narrowed)
	}
	return plain
}

// Histories by hand. Key 0 and 1 are at version 1, values 10 and 11, at time 20.
const both = `{"op":"multi","client":0,"worker":1,"begin":10,"end":20,"status":"KS_OK","items":[` +
	`{"key":0,"seen":0,"write":"put","value":10,"told":1,"status":"KS_OK"},` +
	`{"key":1,"seen":0,"write":"put","value":11,"told":1,"status":"KS_OK"}]}` + "\n"

func TestByHand(t *testing.T) {
	// A transaction of worker 2 that moves both on, and takes from 30 to 90.
	const again = `{"op":"multi","client":1,"worker":2,"begin":30,"end":90,"status":"KS_OK","items":[` +
		`{"key":0,"seen":1,"write":"put","value":20,"told":2},{"key":1,"seen":1,"write":"put","value":21,"told":2}]}` + "\n"
	// The same, killed in it.
	const killed = `{"op":"multi","client":1,"worker":2,"begin":30,"items":[` +
		`{"key":0,"seen":1,"write":"put","value":20},{"key":1,"seen":1,"write":"put","value":21}]}` + "\n"
	get := func(key, begin, told, value string) string {
		return `{"op":"gets","client":2,"worker":3,"begin":` + begin + `,"end":` + begin + `,"status":"KS_OK","items":[` +
			`{"key":` + key + `,"told":` + told + `,"value":` + value + `,"status":"KS_OK"}]}` + "\n"
	}
	cut := func(told0, value0, told1, value1 string) string {
		return `{"op":"snapshot","client":3,"worker":4,"begin":40,"end":50,"status":"KS_OK","items":[` +
			`{"key":0,"told":` + told0 + `,"value":` + value0 + `,"status":"KS_OK"},` +
			`{"key":1,"told":` + told1 + `,"value":` + value1 + `,"status":"KS_OK"}]}` + "\n"
	}
	put := func(key, begin, end, seen, told, value string) string {
		return `{"op":"commit","client":4,"worker":5,"begin":` + begin + `,"end":` + end + `,"status":"KS_OK","items":[` +
			`{"key":` + key + `,"seen":` + seen + `,"write":"put","value":` + value + `,"told":` + told + `}]}` + "\n"
	}
	conflict := func(begin, seen, told string) string {
		return `{"op":"commit","client":5,"worker":6,"begin":` + begin + `,"end":` + begin + `,"status":"KS_CONFLICT",` +
			`"items":[{"key":0,"seen":` + seen + `,"write":"put","value":99,"told":` + told + `,"status":"KS_CONFLICT"}]}` +
			"\n"
	}
	skew := func(client, compared, written, value string) string {
		return `{"op":"multi","client":` + client + `,"worker":7,"begin":30,"end":90,"status":"KS_OK","items":[` +
			`{"key":` + compared + `,"seen":1,"told":1},{"key":` + written + `,"seen":1,"write":"put","value":` + value +
			`,"told":2}]}` + "\n"
	}

	const ok, illegal = porcupine.Ok, porcupine.Illegal
	for _, c := range []struct {
		name    string
		history string
		want    porcupine.CheckResult
	}{
		{"a transaction is seen before its end", again + get("0", "40", "2", "20"), ok},
		{"and not unseen again", again + get("0", "40", "2", "20") + get("0", "50", "1", "10"), illegal},
		{"nor half", again + get("0", "40", "2", "20") + get("1", "50", "1", "11"), illegal},
		{"a snapshot before it", again + cut("1", "10", "1", "11"), ok},
		{"a snapshot after it", again + cut("2", "20", "2", "21"), ok},
		{"a snapshot that is no cut", again + cut("2", "20", "1", "11"), illegal},
		{"a snapshot of another value", again + cut("1", "12", "1", "11"), illegal},
		{"two commits one after the other", put("0", "30", "90", "1", "2", "30") + put("0", "30", "90", "2", "3", "31"), ok},
		{"a lost update", put("0", "30", "90", "1", "2", "30") + put("0", "30", "90", "1", "2", "31"), illegal},
		{"a commit that nobody sees", put("0", "30", "40", "1", "2", "30") + get("0", "50", "1", "10"), illegal},
		{"a transaction beside a lost update", again + put("1", "30", "90", "1", "2", "30"), illegal},
		{"write skew", skew("6", "0", "1", "30") + skew("7", "1", "0", "31"), illegal},
		{"a conflict", again + conflict("95", "1", "2"), ok},
		{"a conflict that was none", conflict("95", "1", "1"), illegal},
		{"a conflict from before its reason", again + conflict("25", "1", "2"), illegal},
		{"a killed transaction that was not done", killed + get("0", "100", "1", "10") + get("1", "110", "1", "11"), ok},
		{"one that was done", killed + get("0", "100", "2", "20") + get("1", "110", "2", "21"), ok},
		{"one that was done long after", killed + get("0", "100", "1", "10") + get("1", "110", "2", "21"), ok},
		{"one that was done by halves", killed + get("0", "100", "2", "20") + get("1", "110", "1", "11"), illegal},
		{"one that was undone", killed + get("0", "100", "2", "20") + get("0", "110", "1", "10"), illegal},
		{"one that was done before it began", killed + get("0", "25", "2", "20"), illegal},
		{"one that was done over another's", killed + put("0", "40", "50", "1", "2", "30") + get("0", "60", "3", "20"), illegal},
	} {
		t.Run(c.name, func(t *testing.T) {
			rounds, err := ReadRounds(strings.NewReader(`{"round":1}` + "\n" + both + c.history))
			if err != nil {
				t.Fatal(err)
			}
			if got := resultOf(t, rounds[0]); got != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
		})
	}
}

// A history of real processes.
func sample(t *testing.T) *Round {
	t.Helper()
	file, err := os.Open("testdata/sample.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rounds, err := ReadRounds(file)
	if err != nil || len(rounds) != 1 {
		t.Fatal(err, len(rounds))
	}
	return rounds[0]
}

func TestSampleIsOk(t *testing.T) {
	round := sample(t)
	if got := resultOf(t, round); got != porcupine.Ok {
		t.Errorf("%s", got)
	}
	if v := judge(round, patience); v.result != porcupine.Ok {
		t.Errorf("%+v", v)
	}
}

// Each answer that is altered, one at a time, must be noticed.
func TestAlteredSampleIsIllegal(t *testing.T) {
	altered := 0
	alter := func(what string, at int, change func(call *Call) bool) {
		round := sample(t)
		if call := &round.Calls[at]; call.End == nil || !change(call) {
			return
		}
		altered++
		v := judge(round, patience)
		if v.result != porcupine.Illegal {
			t.Errorf("%s in %s: %s", what, describeCall(&round.Calls[at]), v.result)
		} else if v.first == "" && len(v.problems) == 0 {
			t.Errorf("%s: nothing is said", what)
		}
	}
	for at := range sample(t).Calls {
		alter("a refused commit that was done", at, func(call *Call) bool {
			if call.Status != "KS_CONFLICT" {
				return false
			}
			call.Status = "KS_OK"
			for i := range call.Items {
				item := &call.Items[i]
				if item.Seen != nil && item.Write == "put" {
					told := *item.Seen + 1
					item.Told = &told
				}
			}
			return true
		})
		alter("a value of nobody", at, func(call *Call) bool {
			if call.Op != "gets" && call.Op != "snapshot" {
				return false
			}
			call.Items[0].Value += 1_000_000_000
			return true
		})
		alter("a version ahead", at, func(call *Call) bool {
			last := &call.Items[len(call.Items)-1]
			if call.Status != "KS_OK" || last.Told == nil {
				return false
			}
			*last.Told++
			return true
		})
	}
	t.Logf("%d alterations", altered)
	if altered < 100 {
		t.Errorf("only %d alterations: the sample is poor", altered)
	}
}

func TestNoHistory(t *testing.T) {
	for _, text := range []string{"{", `{"op":"gets"}`, `{"round":"one"}`} {
		if _, err := ReadRounds(strings.NewReader(text)); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

func TestAnswersThatCannotBe(t *testing.T) {
	for _, line := range []string{
		`{"op":"gets","begin":1,"end":2,"status":"KS_OK","items":[{"key":0,"value":-1,"status":"KS_OK"}]}`,
		`{"op":"gets","begin":1,"end":2,"status":"KS_OK","items":[{"key":0,"status":"KS_E_CORRUPT"}]}`,
		`{"op":"snapshot","begin":1,"end":2,"status":"KS_BUSY","items":[{"key":0,"status":"KS_OK"}]}`,
		`{"op":"commit","begin":1,"end":2,"status":"KS_HELD","items":[{"key":0,"seen":0,"write":"put","value":1}]}`,
	} {
		rounds, err := ReadRounds(strings.NewReader(`{"round":1}` + "\n" + line))
		if err != nil {
			t.Fatal(err)
		}
		if v := judge(rounds[0], patience); v.result != porcupine.Illegal {
			t.Errorf("%s: %s", line, v.result)
		}
	}
}
