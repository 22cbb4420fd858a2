package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Round is one store's life, with all that was called on it.
type Round struct {
	Number    int      `json:"round"`
	Seed      uint64   `json:"seed"`
	Processes int      `json:"processes"`
	Keys      int      `json:"keys"`
	Kills     int      `json:"kills"`
	Stops     int      `json:"stops"`
	Problems  []string `json:"problems"` // what the recorder itself found wrong
	Calls     []Call   `json:"-"`
	Lives     []Life   `json:"-"`
}

// Life of a worker: at one instant it lived for sure, at another it was dead. 0: not known.
type Life struct {
	Op     string `json:"op"` // life
	Worker int    `json:"worker"`
	Alive  int64  `json:"alive,omitempty"` // ns
	Dead   int64  `json:"dead,omitempty"`
}

// Call is one call of one process. Without an end it never came back: it may have taken effect, or will, or never does.
type Call struct {
	Op     string `json:"op"` // gets: each item for itself; snapshot: all at one instant; multi; of one item the rest
	Client int    `json:"client"`
	Worker int    `json:"worker"` // an incarnation of the client
	Begin  int64  `json:"begin"`  // ns
	End    *int64 `json:"end,omitempty"`
	Status string `json:"status,omitempty"`
	Lease  int64  `json:"lease,omitempty"`  // claim, renew: ns; 0: until the owner dies
	Forced bool   `json:"forced,omitempty"` // reclaim: also of who lives
	Items  []Item `json:"items"`
}

// Item is what a call says or hears of one key. Epochs are told without the store's incarnation.
type Item struct {
	Key       int     `json:"key"`
	Seen      *uint64 `json:"seen,omitempty"` // the version that is expected
	SeenEpoch uint64  `json:"seen_epoch,omitempty"`
	Grant     uint64  `json:"grant,omitempty"`    // the epoch of the claim it acts under, or means to end; 0: none
	GrantOf   int     `json:"grant_of,omitempty"` // the worker that was granted it
	Write     string  `json:"write,omitempty"`    // put, delete
	Release   bool    `json:"release,omitempty"`
	Value     int64   `json:"value,omitempty"` // id of the value put or read; 0: none
	Told      *uint64 `json:"told,omitempty"`  // the version told: the new one, or that of now
	Epoch     *uint64 `json:"epoch,omitempty"` // the same of the epoch
	Owner     int     `json:"owner,omitempty"` // KS_HELD: the worker that is told to hold the key
	Status    string  `json:"status,omitempty"`
}

// ReadRounds reads JSON lines: a line with "round" opens a round, the others are its lives and calls.
func ReadRounds(from io.Reader) ([]*Round, error) {
	var rounds []*Round
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		line := lines.Bytes()
		var round Round
		if err := json.Unmarshal(line, &round); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if round.Number != 0 {
			rounds = append(rounds, &round)
			continue
		}
		var call Call
		if err := json.Unmarshal(line, &call); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if len(rounds) == 0 {
			return nil, fmt.Errorf("line %d: a call before any round", number)
		}
		last := rounds[len(rounds)-1]
		if call.Op == "life" {
			var life Life
			if err := json.Unmarshal(line, &life); err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			last.Lives = append(last.Lives, life)
			continue
		}
		last.Calls = append(last.Calls, call)
	}
	return rounds, lines.Err()
}

// WriteRound writes what ReadRounds reads.
func WriteRound(to io.Writer, round *Round) error {
	lines := json.NewEncoder(to)
	if err := lines.Encode(round); err != nil {
		return err
	}
	for i := range round.Lives {
		if err := lines.Encode(&round.Lives[i]); err != nil {
			return err
		}
	}
	for i := range round.Calls {
		if err := lines.Encode(&round.Calls[i]); err != nil {
			return err
		}
	}
	return nil
}
