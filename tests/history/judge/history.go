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
}

// Call is one call of one process. Without an end it never came back: it may have taken effect, or will, or never does.
type Call struct {
	Op     string `json:"op"` // gets: each item for itself; snapshot: all at one instant; commit, multi
	Client int    `json:"client"`
	Worker int    `json:"worker"` // an incarnation of the client
	Begin  int64  `json:"begin"`  // ns
	End    *int64 `json:"end,omitempty"`
	Status string `json:"status,omitempty"`
	Items  []Item `json:"items"`
}

// Item is what a call says or hears of one key.
type Item struct {
	Key    int     `json:"key"`
	Seen   *uint64 `json:"seen,omitempty"`  // the version that is expected
	Write  string  `json:"write,omitempty"` // put, delete
	Value  int64   `json:"value,omitempty"` // id of the value put or read; 0: none
	Told   *uint64 `json:"told,omitempty"`  // the version told: the new one, or that of now
	Status string  `json:"status,omitempty"`
}

// ReadRounds reads JSON lines: a line with "round" opens a round, the others are its calls.
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
	for i := range round.Calls {
		if err := lines.Encode(&round.Calls[i]); err != nil {
			return err
		}
	}
	return nil
}
