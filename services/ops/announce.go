package ops

import (
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/ops"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// announcements have no state: whatever a service wants everyone to know is so.
var announcements = es.Decider[struct{}]{
	Kind:     "global",
	Commands: es.Commands(ops.Announce{}),
	Facts:    es.Facts(ops.MaintenanceAlert{}),
	Decide:   announce,
	Evolve:   func(state struct{}, _ es.Event) struct{} { return state },
}

func announce(_ struct{}, c es.Command) ([]es.Event, error) {
	body, ok := c.Body.(ops.Announce)
	switch {
	case !ok:
		return nil, schemas.Refuse(schemas.UnknownCommand, "nobody announces %T", c.Body)
	case c.Role != subjects.RoleService:
		return nil, forbidden
	}
	events := es.Happens(ops.MaintenanceAlert(body))
	events[0].Unchecked = true
	return events, nil
}
