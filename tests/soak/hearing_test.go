package soak

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/latido/latido/schemas/bridge"
)

// word is a live event: the n-th of a user.
type word struct {
	By string `json:"by"`
	N  int    `json:"n"`
}

// hearing is what one client heard live. Each user numbers their words.
type hearing struct {
	on atomic.Bool

	mu                   sync.Mutex
	last                 map[string]int // by user
	heard, missed, wrong int            // wrong: again, or out of order
	example              string
}

func (h *hearing) take(event *bridge.Event) {
	if event.Channel != radio || event.Event != "word" {
		return
	}
	var w word
	if err := json.Unmarshal(event.Data, &w); err != nil {
		w.N = -1
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard++
	switch last := h.last[w.By]; {
	case w.N <= last:
		h.wrong++
		h.example = fmt.Sprintf("%s: %d after %d", w.By, w.N, last)
	case w.N > last+1:
		h.missed += w.N - last - 1
		h.example = fmt.Sprintf("%s: %d after %d", w.By, w.N, last)
	}
	h.last[w.By] = max(h.last[w.By], w.N)
}

// reached says whether everything has been heard that was spoken.
func (h *hearing) reached(spoken map[string]int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for by, n := range spoken {
		if h.last[by] < n {
			return false
		}
	}
	return true
}
