// Package faults answers "what is true after it broke?": real bridges, each a
// process of its own, lose their life, their bus or their clients, and at the end
// everybody's list of who is there is held against the bucket and against the
// sessions that are open.
//
//	go test ./tests/faults -v -args -seed 7 -size 10000 -duration 60s -skew 5m
//
// The same can be said by LATIDO_FAULTS_SEED, _SIZE, _DURATION and _SKEW. A table
// at the end says what was done, what was told, and how many seconds the lists
// needed until they were true. No test fails for being slow: it fails when a list
// is wrong at last, or when somebody was told what never happened.
//
// It has tests only.
package faults
