package es

import (
	"github.com/nats-io/nats.go"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
)

// address reads a command's subject. Of a service's it tells which service sent
// it: the bus lets nobody else publish there.
func (e *endpoint) address(subject string) (c subjects.Channel, service string, err error) {
	if e.services {
		service, c, _, err = subjects.ParseServiceCommand(subject)
		return c, service, err
	}
	c, _, err = subjects.ParseCommand(subject)
	return c, "", err
}

// sender is who sent a command: the service, or whoever the token is of that a
// bridge handed on. What else a bridge says about a user is not looked at.
func (e *endpoint) sender(service string, header nats.Header) (identity.Identity, error) {
	if service != "" {
		return identity.Identity{User: schemas.ServicePrefix + service, Role: subjects.RoleService}, nil
	}
	return e.verifier.Verify(header.Get(subjects.HeaderProof))
}
