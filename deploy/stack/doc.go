// Package stack answers "run how?": it puts the parts of Latido (the bridge and
// the services) on a bus and keeps them running until they are told to stop.
//
// The same code is the whole system in one process and one container of many:
// [Config] names the parts to run and either embeds a NATS server or connects to
// one, which is decided in one function, openBus. Every part is a function
// Run(ctx) error that returns when all it started has ended, so that [Stack] can
// stop them in order: browsers are drained first, then the services finish, the
// bus goes last.
//
// The package may import everything; nothing but deploy/latido and tests imports
// it. It and bustest are the only ones that know nats-server.
package stack
