package admission

import (
	"sync"
	"sync/atomic"
)

// Account is what one session, user or address has taken. The zero value has
// taken nothing.
type Account struct {
	publishes, work Meter

	connections atomic.Int32  // that speak HTTP
	requests    atomic.Int32  // of HTTP in work
	answers     atomic.Int64  // bytes of HTTP that wait to be read
	reading     chan struct{} // holds one for each of its reads of history; nil without a bound

	open    int // connections that keep the account; guarded by its table
	pending int // those of them that have not said who they are
}

// accounts holds the accounts of users, or of addresses. It is bounded whoever
// comes: those not seen for a while are forgotten, but for those of open
// connections. To be forgotten is to be given a new burst, so that the bound is
// far above what takes part within the time of a burst.
type accounts[K comparable] struct {
	most    int // kept in each of the two halves, beside those of open connections
	reading int // reads of history at once

	mu         sync.Mutex
	young, old map[K]*Account // seen since the last turn, and before it
	room       int            // in young until the next turn
}

func newAccounts[K comparable](most, reading int) *accounts[K] {
	return &accounts[K]{most: most, reading: reading, young: make(map[K]*Account), room: most}
}

// of returns the account of a key.
func (t *accounts[K]) of(key K) *Account {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.find(key)
}

// keep returns the account of a key and keeps it until it is let go.
func (t *accounts[K]) keep(key K) *Account {
	t.mu.Lock()
	defer t.mu.Unlock()
	account := t.find(key)
	account.open++
	return account
}

func (t *accounts[K]) letGo(account *Account) {
	t.mu.Lock()
	defer t.mu.Unlock()
	account.open--
}

// opened is how many connections keep an account.
func (t *accounts[K]) opened(account *Account) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return account.open
}

// find is of with the lock held.
func (t *accounts[K]) find(key K) *Account {
	if account, ok := t.young[key]; ok {
		return account
	}
	account, ok := t.old[key]
	if !ok {
		account = &Account{}
		if t.reading > 0 {
			account.reading = make(chan struct{}, t.reading)
		}
	}
	if t.room <= 0 {
		t.turn()
	}
	t.room--
	t.young[key] = account
	return account
}

// turn forgets who was not seen since the turn before.
func (t *accounts[K]) turn() {
	kept := make(map[K]*Account)
	for key, account := range t.old {
		if account.open > 0 && t.young[key] == nil {
			kept[key] = account
		}
	}
	t.old, t.young, t.room = t.young, kept, t.most
}

func (t *accounts[K]) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.young) + len(t.old)
}
