// Package hub holds what a channel has and who has seen it: it answers "what is
// there to tell, and how far has each reader come?".
//
//	hub       one core subscription per watched channel, whoever watches it
//	channel   the contiguous tail of one channel: a ring of entries, healed before it grows
//	entry     one event, encoded at most once per dialect
//	cursor    where one reader stands in one channel: in the ring, or behind it
//	outlet    what one connection is told: frames of its own, and what lies before its cursors
//	flusher   the only writer of its outlets' sockets: joins what each has not seen yet
//	checker   finds the loss that no successor reveals, and what was removed from streams
//	rights    has readers looked at whose membership has changed
//
// It knows a reader by two methods, and nothing of sessions and HTTP.
package hub
