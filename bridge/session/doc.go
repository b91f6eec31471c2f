// Package session speaks to one browser at a time: it answers "who is there, what do
// they ask, and may they?".
//
//	node      what the sessions and the HTTP API of a process share
//	session   one browser: reads frames, asks the bus, owns nothing that grows while it is slow
//	access    who may read, send and appear where
//	track     an entry of presence that is held for a session; device is one, too
//	moved     ends the connections of sessions that go on elsewhere
//	waits     ends the waits of entries whose sessions did not come back
//	inherit   settles what a bridge of our name left
//	requester asks services and streams, again while nobody answers
//	sweeper   looks after the deadlines of all sessions; pulse judges whether a peer is there
//
// What a session is told comes from package hub, through the outlet that each has.
package session
