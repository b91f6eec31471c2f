// Package services holds Latido's services, each in a folder of its own. It
// answers "decided by whom?": every fact on the bus was decided here, by the one
// service that owns its kind of channel.
//
// A service imports services/internal/es, schemas and subjects, and never
// another service: they speak over the bus, so that each may run in a process of
// its own, in any number. This package has no code; its tests are the promises
// that take several services to keep.
package services
