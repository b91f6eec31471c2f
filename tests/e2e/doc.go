// Package e2e answers "is the promise kept?": recorded traffic goes through real
// WebSockets to real bridges, clients are cut and come back elsewhere, leaders of
// streams are killed, and at the end every client's log is held against the
// stream.
//
//	go test ./tests/e2e -v -args -seed 7 -size 1 -duration 60s -kills 9
//
// The same can be said by LATIDO_E2E_SEED, _SIZE, _DURATION and _KILLS. The
// recordings lie in ../shared/data as seen from the project's root, or where
// LATIDO_DATA_SET says; without them the replays are skipped.
//
// Besides the tests the package holds the recordings ([ParseTranscript], [ParseTrace]).
package e2e
