// Package simulation answers "does it hold whatever happens, in whatever order?". It
// promises what the socket promises of facts, for histories that no test of a running
// system meets twice:
//
//	nothing lost    what lies between two facts that a browser is told was no fact of
//	                the channel's, or a gap that it was told names it
//	nothing twice   but for who was told that it begins anew
//	gaps named      and none of them where nothing was removed, rolled back or renewed
//
// A history is one loop in one goroutine, without real time: many bridges and
// browsers, and one bus that is a model. The bridges take the steps of bridge/hub
// itself ([hub.Steps]); positions are judged by subjects/history itself. What the model
// decides is when things come, and what is lost: a script of events, made from a seed,
// so that the same seed is the same history, byte for byte.
//
//	go test ./tests/simulation                  the first hundred
//	go test ./tests/simulation -simulate 60s    as many as fit; -from says the first seed
//	go test ./tests/simulation -seed 17         that one, with its trace
//	go test ./tests/simulation -script FILE     one that was printed by a failure
//
// A history that breaks a promise is shrunk, as long as it breaks the same one, and
// printed as a script.
package simulation
