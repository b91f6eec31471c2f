package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/wire"
)

// health knows the causes for which facts cannot be stored or told. While there is
// one the sessions are degraded and the bridge is not ready; they are told so once,
// and that it is over once every channel is whole again.
type health struct {
	mu     sync.Mutex
	causes map[string]string // by what they are of
}

// Causes, by what they are of.
const (
	causeBus   = "bus"
	causeLease = "lease"
	causeDisk  = "disk"
)

// fail notes a cause, in a few words for operators.
func (h *health) fail(of, cause string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.causes == nil {
		h.causes = make(map[string]string)
	}
	h.causes[of] = cause
}

func (h *health) mend(of string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.causes, of)
}

// reason names the causes; none is "".
func (h *health) reason() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Values(h.causes)), "; ")
}

// Ready says why sessions would be ill served here, nil when they would not.
func (b *Bridge) Ready() error {
	switch {
	case !b.ready.Load():
		return errors.New("not taking sessions")
	case b.node.Hub.Degraded.Load():
		return errors.New(cmp.Or(b.health.reason(), "catching up"))
	}
	if stream := b.node.Hub.Missing(); stream != "" {
		return fmt.Errorf("the stream %s is missing", stream)
	}
	return b.node.Verifier.Ready()
}

// watchStorage asks whoever runs the bus here whether there is room to store
// anything, which a stream does not say: it falls silent.
func (b *Bridge) watchStorage() {
	switch err := b.config.Storage(); {
	case err != nil:
		b.node.SetFull(true)
		b.degrade(causeDisk, err.Error())
	case b.node.SetFull(false):
		b.mend(causeDisk)
	}
}

// degrade tells the sessions that there is a cause.
func (b *Bridge) degrade(of, cause string) {
	if b.node.Draining() {
		return // it is us who leaves
	}
	b.health.fail(of, cause)
	if b.node.Hub.Degraded.Swap(true) {
		return
	}
	b.log.Warn("degraded", "cause", cause)
	b.node.Announce(wire.Degraded{})
}

// mend notes that a cause is over.
func (b *Bridge) mend(of string) {
	b.health.mend(of)
	b.node.Hub.Start(b.restore)
}

// restore makes every channel whole after the last cause is over, and then says so.
func (b *Bridge) restore(ctx context.Context) {
	for b.health.reason() == "" {
		err := b.node.Hub.Settle(ctx)
		if err == nil || ctx.Err() != nil {
			break
		}
		b.log.Warn("restore", "error", err)
		hub.Pause(ctx, hub.RetryPause)
	}
	if ctx.Err() == nil && b.health.reason() == "" && b.node.Hub.Degraded.Swap(false) {
		b.log.Info("restored")
		b.node.Hub.FlushAll() // whoever came meanwhile is told who is there
		b.node.Announce(wire.Restored{})
		b.node.RepeatMoves()
		b.node.ConfirmDevices(ctx)
		b.node.Hub.CheckAll()
	}
}
