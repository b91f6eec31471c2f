package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// diskInterval is how often is looked whether the streams can be written.
	diskInterval = 2 * time.Second
	// diskRoom is how many bytes must be free before the streams are opened again.
	diskRoom = 4 << 20
	// diskLeast is what must be free, or a start that fails does so for want of room.
	diskLeast = 64 << 10
)

var errDiskFull = errors.New("the disk is full")

// disk has the embedded server take again after its disk was full. A stream that
// could not write something says no more: it answers no publish, whatever is freed,
// until it is opened anew. What it acknowledged is stored.
type disk struct {
	server *server.Server
	folder string
	log    *slog.Logger

	mu   sync.Mutex
	full error
}

// state is why nothing can be stored at present.
func (d *disk) state() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.full
}

// blocks is why a start cannot go on: nothing can be stored, or would be.
func (d *disk) blocks() error {
	if d == nil {
		return nil
	}
	if full := d.state(); full != nil {
		return full
	}
	if free, _, err := space(d.folder); err == nil && free < diskLeast {
		return errDiskFull
	}
	return nil
}

// run watches until ctx ends.
func (d *disk) run(ctx context.Context) error {
	ticker := time.NewTicker(diskInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		full := d.look()
		d.mu.Lock()
		news := (full == nil) != (d.full == nil)
		d.full = full
		d.mu.Unlock()
		switch {
		case news && full != nil:
			d.log.Error("nothing is stored", "cause", full)
		case news:
			d.log.Info("there is room again")
		}
	}
}

// look opens the streams anew when one is stuck and there is room again.
func (d *disk) look() error {
	if !d.stuck() {
		return nil
	}
	config := d.server.JetStreamConfig()
	if config == nil {
		return errDiskFull
	}
	free, _, err := space(config.StoreDir)
	if err != nil {
		return fmt.Errorf("free space: %w", err)
	}
	if free < diskRoom {
		return errDiskFull
	}
	config.StoreDir = filepath.Dir(config.StoreDir) // the server puts a folder of its own below
	if err := errors.Join(d.server.DisableJetStream(), d.server.EnableJetStream(config)); err != nil {
		return fmt.Errorf("open the streams anew: %w", err)
	}
	return nil
}

// stuck tells that a stream cannot be written.
func (d *disk) stuck() bool {
	for _, found := range d.server.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if found.Type == server.HealthzErrorStream {
			return true
		}
	}
	return false
}
