package ops

import (
	"slices"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/ops"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// Request is the state of one client's request for an operator.
type Request struct {
	Stage    Stage
	Client   string
	Operator string
	Urgent   bool
	Offered  []string // to these operators
}

// Stage is how far a request has come.
type Stage int

// A request's life. The zero value is a request that nobody made.
const (
	Unmade Stage = iota
	Open
	Withdrawn
	Accepted
	Assigned
)

// Roles of tokens.
const (
	roleOperator   = "operator"
	roleSupervisor = "supervisor"
)

const urgent = "urgent"

// offersMost bounds to how many a request is offered one by one.
const offersMost = 200

// broadcast is where all operators hear of requests.
var broadcast = subjects.Channel{Kind: "ops", ID: subjects.Broadcast}

var request = es.Decider[Request]{
	Kind:     "ops",
	Commands: es.Commands(ops.Request{}, ops.Offer{}, ops.Accept{}, ops.Withdraw{}, ops.Assign{}),
	Facts:    es.Facts(ops.Requested{}, ops.Offered{}, ops.Accepted{}, ops.Withdrawn{}, ops.Assigned{}),
	Decide:   decide,
	Evolve:   evolve,
	Members:  &es.Members[Request]{Changed: changed, Role: Request.role},
}

func decide(r Request, c es.Command) ([]es.Event, error) {
	switch body := c.Body.(type) {
	case ops.Request:
		return ask(r, c.Meta, body)
	case ops.Offer:
		return offer(r, c.Meta, body)
	case ops.Accept:
		return accept(r, c.Meta)
	case ops.Withdraw:
		return withdraw(r, c.Meta)
	case ops.Assign:
		return assign(r, c.Meta, body)
	}
	return nil, schemas.Refuse(schemas.UnknownCommand, "a request does not know %T", c.Body)
}

func ask(r Request, m es.Meta, c ops.Request) ([]es.Event, error) {
	switch {
	case m.Channel == broadcast:
		return nil, forbidden
	case m.Channel.ID == "":
		return nil, schemas.Refuse(schemas.InvalidData, "a request needs an id")
	case r.Stage != Unmade:
		return nil, schemas.Refuse(schemas.Exists, "the request was made already")
	}
	return []es.Event{
		es.NewEvent(ops.Requested{
			Client: m.From, Zona: c.Zona, Precio: c.Precio, Lat: c.Lat, Lng: c.Lng, Notes: c.Notes, Priority: c.Priority,
		}),
		es.NewEvent(ops.NewRequest{
			ID: m.Channel.ID, Zona: c.Zona, Precio: c.Precio, Lat: c.Lat, Lng: c.Lng, Notes: c.Notes, Priority: c.Priority,
		}).On(broadcast),
	}, nil
}

// offer asks one operator. Whoever accepts first still gets the request.
func offer(r Request, m es.Meta, c ops.Offer) ([]es.Event, error) {
	switch {
	case m.Role != subjects.RoleService && m.Role != roleSupervisor || r.Stage == Unmade:
		return nil, forbidden
	case r.Stage == Withdrawn:
		return nil, withdrawn
	case r.Stage != Open:
		return nil, taken
	case slices.Contains(r.Offered, c.Operator):
		return nil, nil
	case len(r.Offered) == offersMost:
		return nil, schemas.Refuse(schemas.Conflict, "offered to %d operators already", offersMost)
	}
	return []es.Event{
		es.NewEvent(ops.Offered(c)),
		es.NewEvent(ops.RequestOffered{ID: m.Channel.ID, Operator: c.Operator}).On(broadcast),
	}, nil
}

// accept has one winner: the append checks that the request is still open.
func accept(r Request, m es.Meta) ([]es.Event, error) {
	switch {
	case m.Role != roleOperator || r.Stage == Unmade:
		return nil, forbidden
	case r.Stage == Withdrawn:
		return nil, withdrawn
	case r.Operator == m.From:
		return nil, nil
	case r.Stage != Open:
		return nil, taken
	}
	return []es.Event{
		es.NewEvent(ops.Accepted{Operator: m.From}),
		es.NewEvent(ops.RequestTaken{ID: m.Channel.ID}).On(broadcast),
	}, nil
}

func withdraw(r Request, m es.Meta) ([]es.Event, error) {
	switch {
	case r.Stage == Unmade || r.Client != m.From:
		return nil, forbidden
	case r.Stage == Withdrawn:
		return nil, nil
	case r.Stage != Open:
		return nil, taken
	}
	return []es.Event{
		es.NewEvent(ops.Withdrawn{Client: r.Client}),
		es.NewEvent(ops.RequestWithdrawn{ID: m.Channel.ID}).On(broadcast),
	}, nil
}

func assign(r Request, m es.Meta, c ops.Assign) ([]es.Event, error) {
	switch {
	case m.Role != subjects.RoleService || r.Stage == Unmade:
		return nil, forbidden
	case r.Stage == Assigned:
		return nil, nil
	case r.Stage != Accepted:
		return nil, schemas.Refuse(schemas.Conflict, "nobody has accepted the request")
	}
	return es.Happens(ops.Assigned{
		Client: r.Client, Operator: r.Operator, Room: c.Room, Tracking: c.Tracking,
	}), nil
}

// What a stranger is told is the same whether the request exists or not.
var (
	forbidden = schemas.Refuse(schemas.Forbidden, "this is not yours to do")
	taken     = schemas.Refuse(schemas.Taken, "an operator has taken the request")
	withdrawn = schemas.Refuse(schemas.Withdrawn, "the client withdrew the request")
)

func evolve(r Request, event es.Event) Request {
	switch fact := event.Data.(type) {
	case ops.Requested:
		return Request{Stage: Open, Client: fact.Client, Urgent: fact.Priority == urgent}
	case ops.Offered:
		r.Offered = append(slices.Clip(r.Offered), fact.Operator)
	case ops.Accepted:
		r.Stage, r.Operator = Accepted, fact.Operator
	case ops.Withdrawn:
		r.Stage = Withdrawn
	case ops.Assigned:
		r.Stage = Assigned
	}
	return r
}

// role is what the bucket "members" says of a user. Who serves their own
// request stays its client. Nobody belongs to a request that was withdrawn.
func (r Request) role(user string) string {
	switch {
	case user == "" || r.Stage == Withdrawn:
		return ""
	case user == r.Client:
		return "client"
	case user == r.Operator:
		return roleOperator
	}
	return ""
}

func changed(event es.Event) []string {
	switch fact := event.Data.(type) {
	case ops.Requested:
		return []string{fact.Client}
	case ops.Accepted:
		return []string{fact.Operator}
	case ops.Withdrawn:
		return []string{fact.Client}
	}
	return nil
}
