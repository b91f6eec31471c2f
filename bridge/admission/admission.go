// Package admission answers "how much of it?" for everything that comes to a
// bridge: it is the one doorman whom the socket, HTTP and every dialect pass. It
// measures rates per session, user and address, counts what goes on at once, and
// bounds the bytes that wait to be read. It knows no socket.
//
// It imports bridge/wire and schemas.
package admission

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/latido/latido/schemas"
)

// Limits are per bridge. All are needed.
type Limits struct {
	Publishes        int // and calls per second, of a session
	UserPublishes    int // of a user, over all sessions and HTTP
	AddressPublishes int // of an address
	Work             int // units of [Cost] per second, of a session
	UserWork         int
	AddressWork      int
	Pending          int // connections that have not said who they are
	AddressPending   int // of an address
}

const (
	publishBurst = time.Second
	// workBurst is generous: a page may open hundreds of channels, and ask each
	// for its last events, in the moment it loads.
	workBurst = time.Minute
	// strainPerSecond and strainBurst are a hard stop, far beyond all limits: a
	// session that is refused that often, or sends that much nobody asked for, is
	// closed.
	strainPerSecond = 50
	strainBurst     = 20 * time.Second
	// known bounds the users and addresses that are remembered, twice.
	known = 1 << 16
	// readsOfUser is how many reads of history a user has in work or waiting for
	// the bridge's own bound, so that nobody fills it.
	readsOfUser = 2
	// connectionsOfAddress bounds the connections of an address that speak HTTP, or
	// nothing yet.
	connectionsOfAddress = 1000
	// requestsOfAddress bounds the HTTP requests of an address in work.
	requestsOfAddress = 256
	// answersAtOnce and answersOfUser bound the bytes of answers over HTTP that
	// wait to be read by their clients.
	answersAtOnce = 64 << 20
	answersOfUser = 8 << 20
	// busyPause is when to come back after what is bounded by number.
	busyPause = time.Second
)

// level is who is limited, and how.
type level struct {
	who             string
	publishes, work Allowance
}

// Door is the doorman of one bridge.
type Door struct {
	limits    Limits
	levels    [3]level // session, user, address
	strain    Allowance
	users     *accounts[string]
	addresses *accounts[netip.Prefix]
	pending   atomic.Int64
	answers   atomic.Int64
}

// New returns a door with limits.
func New(l Limits) *Door {
	return &Door{
		limits: l,
		levels: [3]level{
			{"session", Per(l.Publishes, publishBurst), Per(l.Work, workBurst)},
			{"user", Per(l.UserPublishes, publishBurst), Per(l.UserWork, workBurst)},
			{"address", Per(l.AddressPublishes, publishBurst), Per(l.AddressWork, workBurst)},
		},
		strain:    Per(strainPerSecond, strainBurst),
		users:     newAccounts[string](known, readsOfUser),
		addresses: newAccounts[netip.Prefix](known, 0),
	}
}

// Payer is on whose accounts a request goes; what is nil is not limited.
type Payer struct{ Session, User, Address *Account }

// accounts are in the order of the door's levels.
func (p *Payer) accounts() [3]*Account { return [3]*Account{p.Session, p.User, p.Address} }

// LimitedError is a refusal that passes by itself.
type LimitedError struct {
	Refusal schemas.Refusal
	After   time.Duration // when to come back
}

func (l *LimitedError) Error() string { return l.Refusal.Error() }
func (l *LimitedError) Unwrap() error { return l.Refusal }

func limited(after time.Duration, code schemas.Code, format string, args ...any) *LimitedError {
	return &LimitedError{Refusal: schemas.Refuse(code, format, args...), After: after}
}

// Take lets a request in and charges it to every account of its payer, or to
// none and says with a *[LimitedError] when to come back.
func (d *Door) Take(p *Payer, cost Cost) error {
	now := time.Now().UnixNano()
	payers := p.accounts()
	for i, account := range payers {
		if account == nil {
			continue
		}
		wait, what := account.take(now, &d.levels[i], cost)
		if wait == 0 {
			continue
		}
		for j, paid := range payers[:i] {
			if paid != nil {
				paid.giveBack(&d.levels[j], cost)
			}
		}
		return limited(wait, schemas.RateLimited, "too %s by this %s: again in %v", what, d.levels[i].who, wait.Round(time.Millisecond))
	}
	return nil
}

func (a *Account) take(now int64, l *level, cost Cost) (wait time.Duration, what string) {
	if cost.Publishes > 0 {
		if wait := a.publishes.Take(now, l.publishes, cost.Publishes); wait > 0 {
			return wait, "many publishes and calls"
		}
	}
	if cost.Work > 0 {
		if wait := a.work.Take(now, l.work, cost.Work); wait > 0 {
			a.publishes.giveBack(l.publishes, cost.Publishes)
			return wait, "much work is asked for"
		}
	}
	return 0, ""
}

func (a *Account) giveBack(l *level, cost Cost) {
	a.publishes.giveBack(l.publishes, cost.Publishes)
	a.work.giveBack(l.work, cost.Work)
}

// Charge adds what a request cost more than it seemed to.
func (d *Door) Charge(p *Payer, work int) {
	now := time.Now().UnixNano()
	for i, account := range p.accounts() {
		if account != nil {
			account.work.Charge(now, d.levels[i].work, work)
		}
	}
}

// Strained notes a refusal, or a frame that nobody asked for, of one connection,
// and says whether it is one too many.
func (d *Door) Strained(m *Meter) bool { return m.Take(time.Now().UnixNano(), d.strain, 1) > 0 }

// User returns the account of a user.
func (d *Door) User(name string) *Account { return d.users.of(name) }

// Address returns the account of an address, nil for one that is not limited: an
// unknown one, and that of this machine, which may stand for everybody behind a
// proxy that tells no addresses.
func (d *Door) Address(address netip.Addr) *Account {
	if prefix, ok := network(address); ok {
		return d.addresses.of(prefix)
	}
	return nil
}

// network is the part of an address that one customer holds: of IPv6 a /64 (RFC
// 4291 section 2.5.4), within which addresses are free to make up.
func network(address netip.Addr) (netip.Prefix, bool) {
	address = address.Unmap()
	if !address.IsValid() || address.IsLoopback() {
		return netip.Prefix{}, false
	}
	bits := 32
	if address.Is6() {
		bits = 64
	}
	prefix, err := address.WithZone("").Prefix(bits)
	return prefix, err == nil
}

// Read bounds what a user reads from history at once: it waits until there is
// room, and returns what gives it back.
func Read(ctx context.Context, user *Account) (done func(), err error) {
	if user == nil || user.reading == nil {
		return func() {}, nil
	}
	select {
	case user.reading <- struct{}{}:
		return func() { <-user.reading }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
