package ops

import (
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/ops"
	"github.com/latido/latido/services/internal/es"
)

// respectDoNotDisturb returns the decider that offers nothing to those who do not want to be
// disturbed, unless it is urgent. They may still accept what they find.
func respectDoNotDisturb(d es.Decider[Request], doNotDisturb func(user string) bool) es.Decider[Request] {
	decide := d.Decide
	d.Decide = func(r Request, c es.Command) ([]es.Event, error) {
		events, err := decide(r, c)
		offer, ok := c.Body.(ops.Offer)
		if ok && len(events) > 0 && !r.Urgent && doNotDisturb(offer.Operator) {
			return nil, schemas.Refuse(schemas.Conflict, "the operator does not want to be disturbed")
		}
		return events, err
	}
	return d
}
