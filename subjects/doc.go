// Package subjects is the map of the bus: it answers "named what?".
//
// Every subject, stream, bucket and header of Latido is spelled here and
// nowhere else. A channel name such as "room:42" is what clients subscribe to;
// this package turns it into the subjects of its roles and back:
//
//	cmd.<kind>.<token(id)>.<command>            request/reply to the kind's owner, of a user
//	svc.<service>.<kind>.<token(id)>.<command>  the same, of the service named
//	evt.<kind>.<token(id)>                      facts, written by the owner only
//	feed.<kind>.<token(id)>                     the same facts, republished with their sequence
//	live.<kind>.<token(id)>                     ephemeral broadcast, never stored
//	due.<kind>.<token(id)>.<what>               message schedules (deadlines)
//	ctl.bridge.session                          of bridges to all: a session goes on through a newer connection
//
// The package imports the standard library only. Its subpackages speak NATS:
// topology declares the streams and buckets, history reads a channel's facts.
package subjects
