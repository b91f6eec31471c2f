// Package wire is what every dialect means: the requests a browser may make and
// the notices it may be given, as plain values.
//
// A dialect is a package that translates messages to requests and notices to
// messages, and nothing else: no I/O, no clock, no lock. It sees how a connection
// was opened and gives each session a [Codec]; what many sessions are told alike is
// encoded once for all, by the [Encoder] of their view. The bridge thinks in requests
// and notices only. Imports: the standard library.
package wire
