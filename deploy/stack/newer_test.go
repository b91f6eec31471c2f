package stack_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// newerBus is a bus whose first stream was laid out by a version to come.
func newerBus(tb testing.TB) string {
	tb.Helper()
	bus := bustest.Start(tb)
	js, err := jetstream.New(bus.Connect(tb), bustest.Patient)
	if err != nil {
		tb.Fatal(err)
	}
	stream := topology.Streams(topology.Config{})[0]
	for key := range stream.Metadata {
		stream.Metadata[key] = "99"
	}
	if _, err := js.UpdateStream(tb.Context(), stream); err != nil {
		tb.Fatal(err)
	}
	return bus.URL()
}
