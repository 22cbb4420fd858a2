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
		{"one whose value is read under another key", killed + get("1", "100", "7", "20"), illegal},
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

// Histories by hand, of one key. Worker 1 wrote value 10, version 1, at time 20, and claims at 30: epoch 1.
func TestClaimsByHand(t *testing.T) {
	call := func(op, worker, begin, end, more, status, items string) string {
		return `{"op":"` + op + `","client":` + worker + `,"worker":` + worker + `,"begin":` + begin + `,"end":` + end +
			more + `,"status":"` + status + `","items":[{"key":0,"status":"` + status + `",` + items + `}]}` + "\n"
	}
	killed := func(op, worker, begin, items string) string {
		return `{"op":"` + op + `","client":` + worker + `,"worker":` + worker + `,"begin":` + begin +
			`,"items":[{"key":0,` + items + `}]}` + "\n"
	}
	stamp := func(version, epoch string) string { return `"told":` + version + `,"epoch":` + epoch }
	get := func(begin, version, epoch, value string) string {
		return call("gets", "9", begin, begin, "", "KS_OK", stamp(version, epoch)+`,"value":`+value)
	}
	const lease, forced = `,"lease":1000000`, `,"forced":true` // 1 ms
	const under1 = `"grant":1,"grant_of":1,`
	const put20 = `"seen":1,"seen_epoch":1,"write":"put","value":20`
	const dead = `{"op":"life","worker":1,"alive":50,"dead":60}` + "\n"
	written := call("commit", "1", "10", "20", "", "KS_OK", `"seen":0,"write":"put","value":10,`+stamp("1", "0"))
	claim := call("claim", "1", "30", "31", "", "KS_OK", stamp("1", "1"))
	leased := call("claim", "1", "30", "31", lease, "KS_OK", stamp("1", "1"))
	done := call("commit", "1", "40", "45", "", "KS_OK", under1+put20+","+stamp("2", "1"))
	release := call("release", "1", "40", "45", "", "KS_OK", under1+`"release":true,`+stamp("1", "2"))
	renew := call("renew", "1", "900000", "900010", lease, "KS_OK", under1+stamp("1", "1"))
	claim3 := func(begin, epoch string) string {
		return call("claim", "3", begin, begin, "", "KS_OK", stamp("1", epoch))
	}
	held := func(op, begin, epoch, owner string) string {
		seen := `"seen":1,"seen_epoch":0,"write":"put","value":30,`
		if op == "claim" {
			seen = ""
		}
		return call(op, "3", begin, begin, "", "KS_HELD", seen+stamp("1", epoch)+`,"owner":`+owner)
	}
	fenced := func(worker, begin, items, told string) string {
		return call("commit", worker, begin, begin, "", "KS_FENCED", items+`,"write":"put","value":40,`+told)
	}
	optimistic := func(seenEpoch, told string) string {
		return call("commit", "3", "48", "49", "", "KS_OK",
			`"seen":1,"seen_epoch":`+seenEpoch+`,"write":"put","value":30,`+told)
	}
	reclaim := func(begin, end, more, status, told string) string {
		return call("reclaim", "3", begin, end, more, status, `"grant":1,`+told)
	}

	const ok, illegal = porcupine.Ok, porcupine.Illegal
	for _, c := range []struct {
		name    string
		history string
		want    porcupine.CheckResult
	}{
		{"a commit under a claim", claim + done + get("46", "2", "1", "20"), ok},
		{"one whose claim was given back", release + claim + call("commit", "1", "47", "48", "", "KS_OK",
			under1+put20+","+stamp("2", "2")), illegal},
		{"one whose claim was given back is fenced", claim + release + fenced("1", "47", under1+`"seen":1`, stamp("1", "2")), ok},
		{"one is fenced whose claim stands", claim + fenced("1", "47", under1+`"seen":1`, stamp("1", "1")), illegal},
		{"a thief", claim + call("commit", "2", "40", "45", "", "KS_OK", under1+put20+","+stamp("2", "1")), illegal},
		{"a thief who is found out", claim + call("commit", "2", "40", "45", "", "KS_E_GRANT", under1+put20), ok},
		{"an owner who is taken for a thief", claim + call("commit", "1", "40", "45", "", "KS_E_GRANT", under1+put20), illegal},
		{"a thief after the end of the claim",
			claim + release + call("commit", "2", "47", "48", "", "KS_E_GRANT", under1+put20), illegal},
		{"two owners, one after the other", claim + release + claim3("50", "3"), ok},
		{"two at a time", claim + claim3("50", "3") + call("gets", "1", "70", "71", "", "KS_OK", stamp("1", "3")+`,"value":10`),
			illegal},
		{"two of one epoch", claim + claim3("50", "1"), illegal},
		{"a claim that nobody saw", claim + get("32", "1", "0", "10"), illegal},
		{"held by who holds it", claim + held("commit", "40", "1", "1") + done, ok},
		{"held by another", claim + held("commit", "40", "1", "2") + done, illegal},
		{"held by nobody", held("commit", "40", "0", "1"), illegal},
		{"held before anybody claimed", held("claim", "25", "1", "1") + claim, illegal},
		{"held by who gave it back", claim + release + held("claim", "50", "1", "1"), illegal},
		{"held by the dead", dead + claim + held("claim", "70", "1", "1"), illegal},
		{"held by who is dying", dead + claim + held("claim", "55", "1", "1"), ok},
		{"held after its lease", leased + held("claim", "1100000", "1", "1"), illegal},
		{"held after its lease, renewed", leased + renew + held("claim", "1100000", "1", "1"), ok},
		{"reclaimed of the dead", dead + claim + claim3("70", "3"), ok},
		{"reclaimed of the living", dead + claim + claim3("45", "3"), illegal},
		{"reclaimed after its lease", leased + claim3("1100000", "3") + call("renew", "1", "1200000", "1200001", lease,
			"KS_FENCED", under1+stamp("1", "3")), ok},
		{"reclaimed before", leased + claim3("500000", "3") + call("renew", "1", "1200000", "1200001", lease,
			"KS_FENCED", under1+stamp("1", "3")), illegal},
		{"reclaimed after its lease, renewed", leased + renew + claim3("1100000", "3") + call("renew", "1", "1200000",
			"1200001", lease, "KS_FENCED", under1+stamp("1", "3")), illegal},
		{"renewed after it was reclaimed", leased + claim3("1100000", "3") + call("renew", "1", "1200000", "1200001", lease,
			"KS_OK", under1+stamp("1", "1")), illegal},
		{"taken by force", claim + reclaim("33", "35", forced, "KS_OK", stamp("1", "2")) +
			fenced("1", "47", under1+`"seen":1`, stamp("1", "2")), ok},
		{"taken of the living without force", claim + reclaim("33", "35", "", "KS_OK", stamp("1", "2")) +
			fenced("1", "47", under1+`"seen":1`, stamp("1", "2")), illegal},
		{"taken, and there still", claim + reclaim("33", "35", forced, "KS_OK", stamp("1", "1")), illegal},
		{"not taken of the living", claim + reclaim("33", "35", "", "KS_HELD", stamp("1", "1")+`,"owner":1`) + done, ok},
		{"committed from before somebody's claim", claim + release + optimistic("0", stamp("2", "2")), illegal},
		{"and fenced", claim + release + fenced("3", "48", `"seen":1`, stamp("1", "2")), ok},
		{"from after it", claim + release + optimistic("2", stamp("2", "2")), ok},
		{"and fenced all the same", claim + release + fenced("3", "48", `"seen":1,"seen_epoch":2`, stamp("1", "2")), illegal},
		{"over another's claim", claim + optimistic("1", stamp("2", "1")), illegal},
		{"a killed claim that was not made", killed("claim", "1", "30", `"value":0`) + get("40", "1", "0", "10"), ok},
		{"one that was made, and reclaimed", killed("claim", "1", "30", `"value":0`) + get("40", "1", "1", "10") +
			claim3("50", "3"), ok},
		{"one that was made by nobody", get("40", "1", "1", "10"), illegal},
		{"a killed release that was done", claim + killed("release", "1", "40", under1+`"release":true`) +
			get("50", "1", "2", "10"), ok},
		{"a killed commit with release that was done by half", claim +
			killed("commit", "1", "40", under1+put20+`,"release":true`) + get("50", "2", "1", "20"), illegal},
	} {
		t.Run(c.name, func(t *testing.T) {
			rounds, err := ReadRounds(strings.NewReader(`{"round":1}` + "\n" + written + c.history))
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
			if call.Status != "KS_OK" || last.Told == nil || call.Op == "claim" || call.Op == "renew" {
				return false // the next one may be of a commit that never came back
			}
			*last.Told++
			return true
		})
		alter("an epoch ahead", at, func(call *Call) bool {
			last := &call.Items[len(call.Items)-1]
			if call.Status != "KS_OK" || last.Epoch == nil {
				return false
			}
			*last.Epoch += 1000 // the next one may be somebody's who does not tell
			return true
		})
		alter("another's claim", at, func(call *Call) bool {
			item := &call.Items[0]
			if item.Grant == 0 || item.GrantOf != call.Worker || call.Status != "KS_OK" {
				return false
			}
			call.Worker, item.GrantOf = call.Worker+1000, call.Worker+1000
			return true
		})
		alter("a true refusal for another", at, func(call *Call) bool {
			item := &call.Items[0]
			if call.Op == "reclaim" || (call.Status != "KS_HELD" && call.Status != "KS_FENCED") || item.Epoch == nil {
				return false
			}
			if call.Status == item.Status {
				call.Status, item.Status = "KS_CONFLICT", "KS_CONFLICT"
				return true
			}
			return false
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
