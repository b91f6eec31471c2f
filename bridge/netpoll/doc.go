// Package netpoll keeps many sockets at little cost: one poller waits for all of
// them, on Linux, and a pool of a few workers serves those that have something to
// read, so that an idle connection has no goroutine and no buffer. It knows nothing
// of what is read.
package netpoll
