package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/latido/latido/tests/load/floor"
)

func run(ctx context.Context, args []string) error {
	var line commandLine
	parsed, goOn, err := line.parse(args, os.Stdout, os.Stderr)
	if err != nil || !goOn {
		return err
	}
	if parsed.Selected().Name == "floor" {
		return line.Floor.run(ctx)
	}
	return line.run(ctx)
}

func (c *floorCommand) run(ctx context.Context) error {
	address, err := netip.ParseAddrPort(c.Address)
	if err != nil {
		return err
	}
	journal, err := os.Create(c.Journal)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }() // nobody reads it
	if _, err := raiseDescriptors(); err != nil {
		return err
	}
	listening, err := floor.Listen(address, journal, c.Flush)
	if err != nil {
		return err
	}
	return listening.Run(ctx)
}

// raiseDescriptors allows as many open files as the system lets this process have.
func raiseDescriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("file descriptors: %w", err)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("file descriptors: %w", err)
	}
	return int(min(limit.Max, 1<<20)), nil
}

// collectRarely lets garbage lie: a collection would be a pause in the middle of a
// measurement. The limit is for the long run.
func collectRarely() {
	const most = 2 << 30
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(most)
}
