// Command load says what a server costs: CPU per delivery and per publish, memory
// per connection, delays, and whether anything was lost or came twice.
//
//	go run ./tests/load                                  every scenario, on Latido and on the floor
//	go run ./tests/load --server latido,floor,nats       beside a NATS server's own WebSocket listener
//	go run ./tests/load --scenario rooms,storm --measured 2s
//	go run ./tests/load --help
//
// It builds and starts each server as a process of its own, pinned to one core,
// and drives it from another core with one thread. Beside each server runs the
// floor, which writes frames and does nothing else: ratios to it can be compared
// between machines and between days, microseconds cannot.
//
// Each run prints one line of JSON to the standard output; progress and a table at
// the end go to the standard error. It needs Linux, and the go command.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}
