package admission

import (
	"net/netip"
	"sync"

	"github.com/latido/latido/schemas"
)

// Visit is one connection, from its handshake to its end.
type Visit struct {
	door    *Door
	address *Account
	network netip.Prefix // of the address; the zero value without a limit
	user    *Account

	mu      sync.Mutex
	pending bool
	over    bool
}

// Enter counts a connection that has not said who it is. When there are too many
// of those, err says so; the visit counts all the same until it leaves, since to
// be told takes a while.
func (d *Door) Enter(address netip.Addr) (*Visit, error) {
	v := &Visit{door: d, pending: true}
	waiting := d.pending.Add(1)
	ofAddress := 0
	if prefix, ok := network(address); ok {
		v.network = prefix
		v.address, ofAddress = d.arrive(prefix)
	}
	switch {
	case waiting > int64(d.limits.Pending):
		return v, limited(busyPause, schemas.TooManyConnections, "too many connections have not said hello yet")
	case ofAddress > d.limits.AddressPending:
		return v, limited(busyPause, schemas.TooManyConnections, "too many connections of this address have not said hello yet")
	}
	return v, d.Take(&Payer{Address: v.address}, Cost{Work: Connect})
}

// Connected counts a connection of a peer that speaks HTTP, or nothing yet, and says
// whether there is room for it. Disconnected ends it either way.
func (d *Door) Connected(peer netip.Addr) bool {
	prefix, ok := network(peer)
	return !ok || d.addresses.keep(prefix).connections.Add(1) <= connectionsOfAddress
}

// Disconnected is described at Connected.
func (d *Door) Disconnected(peer netip.Addr) {
	if prefix, ok := network(peer); ok {
		account := d.addresses.of(prefix) // it was kept
		account.connections.Add(-1)
		d.addresses.letGo(account)
	}
}

func (d *Door) arrive(prefix netip.Prefix) (account *Account, pending int) {
	account = d.addresses.keep(prefix)
	d.addresses.mu.Lock()
	defer d.addresses.mu.Unlock()
	account.pending++
	return account, account.pending
}

// Crowded says that so many connections wait to be told to go that one more is
// not worth a goodbye.
func (d *Door) Crowded() bool { return d.pending.Load() > 2*int64(d.limits.Pending) }

// Address is the account of the connection's address, nil without a limit.
func (v *Visit) Address() *Account { return v.address }

// Welcome takes in that the connection said who it is, and returns the account of
// its user. It is called once.
func (v *Visit) Welcome(user string) *Account {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return v.door.users.of(user)
	}
	v.settle()
	v.user = v.door.users.keep(user)
	return v.user
}

// anonymousOfAddress bounds the sessions of an address that have not signed in.
const anonymousOfAddress = 500

// WelcomeAnonymous is Welcome of who has not signed in. All of an address have one
// account, as one user has; nil of an address without a limit.
func (v *Visit) WelcomeAnonymous() (*Account, error) {
	if v.address == nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.settle()
		return nil, nil
	}
	account := v.Welcome(schemas.AnonymousPrefix + v.network.String())
	if v.door.users.opened(account) > anonymousOfAddress {
		return account, limited(busyPause, schemas.TooManySessions, "at most %d sessions of an address that have not signed in", anonymousOfAddress)
	}
	return account, nil
}

// Leave is the end of the connection.
func (v *Visit) Leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return
	}
	v.over = true
	v.settle()
	if v.address != nil {
		v.door.addresses.letGo(v.address)
	}
	if v.user != nil {
		v.door.users.letGo(v.user)
	}
}

// settle ends the time of being unknown.
func (v *Visit) settle() {
	if !v.pending {
		return
	}
	v.pending = false
	v.door.pending.Add(-1)
	if v.address != nil {
		v.door.addresses.mu.Lock()
		v.address.pending--
		v.door.addresses.mu.Unlock()
	}
}
