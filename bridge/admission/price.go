package admission

import "github.com/latido/latido/bridge/wire"

// Cost is what a request takes of its sender's allowances.
type Cost struct {
	// Publishes and calls are counted one by one: that is the limit users know.
	Publishes int
	// Work is what everything else costs, in units of about 0.1 ms of one core on
	// bridge, bus and service together, which is what a publish takes. A dear
	// request must not be cheap to ask for.
	Work int
}

// Prices of what is asked over HTTP, and of what only shows while a request is
// worked on.
const (
	Connect      = 2 // a handshake, of the address
	Verify       = 2 // a token that may be no good, of the address
	HTTPRequest  = 1 // of the address, whatever is asked
	History      = 10
	PresenceList = 5
	Query        = 5 // of a service
	Ticket       = 2
	DevToken     = 5
	StreamPage   = 8 // a page that had to be read from the stream
	Refused      = 2 // a refusal asks the bus, too, and is remembered by nobody
	FreeBytes    = 4 << 10
	usersPriced  = 250
)

// Sending is what a publish or a command costs over HTTP.
var Sending = Cost{Publishes: 1}

// Price is what a request of a socket costs, and its reference. A request without
// one takes nothing that could be refused: its frames are counted as strain. held
// is how many subscriptions the session has.
func Price(request wire.Request, bytes, held int) (ref string, cost Cost) {
	size := bytes / FreeBytes
	switch r := request.(type) {
	case wire.Publish:
		return r.Ref, Cost{Publishes: 1, Work: size}
	case wire.Call:
		return r.Ref, Cost{Publishes: 1, Work: size}
	case wire.Subscribe:
		return r.Ref, Cost{Work: subscribe(r)}
	case wire.Unsubscribe:
		return r.Ref, Cost{Work: 2}
	case wire.Track:
		return r.Ref, Cost{Work: 5 + size}
	case wire.Untrack:
		return r.Ref, Cost{Work: 5}
	case wire.Count:
		return r.Ref, Cost{Work: 3}
	case wire.Watch:
		// A subscription with presence and a question each; too many are refused.
		return r.Ref, Cost{Work: 2 + 4*min(len(r.Users), usersPriced)}
	case wire.Token:
		return r.Ref, Cost{Work: 3 + held} // every subscription is checked again
	case wire.Hello, wire.Pong, wire.Activity:
	}
	return "", Cost{}
}

// subscribe is dearer with what has to be found in the stream.
func subscribe(r wire.Subscribe) int {
	work := 2
	if r.Presence {
		work++
	}
	if r.Token != "" {
		work += Verify
	}
	switch {
	case r.Since != nil:
		work++
	case r.Count > 0, r.Age > 0:
		work += 8
	}
	return work
}

// Greeting is what a hello costs its user: a device is shown to others.
func Greeting(r wire.Hello) Cost {
	if r.Device != "" {
		return Cost{Work: 5}
	}
	return Cost{Work: 2}
}
