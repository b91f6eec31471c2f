package presence

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

const (
	reporters  = 16
	reportTime = 15 * time.Second
	reportRest = time.Second // before a failed report is sent again
)

// reporter sends observations to the decider. Only the newest one of a user
// matters: what is superseded before it was sent is not sent, so that a burst
// costs one report per user, and no more than that waits.
type reporter struct {
	nc    *nats.Conn
	log   *slog.Logger
	seed  maphash.Seed
	desks [reporters]desk
}

// desk holds the unsent observations of some users.
type desk struct {
	signal chan struct{}

	mu     sync.Mutex
	unsent map[string]presence.Observe
}

func newReporter(nc *nats.Conn, log *slog.Logger) *reporter {
	r := &reporter{nc: nc, log: log, seed: maphash.MakeSeed()}
	for i := range r.desks {
		r.desks[i].signal = make(chan struct{}, 1)
		r.desks[i].unsent = make(map[string]presence.Observe)
	}
	return r
}

// report never waits.
func (r *reporter) report(user string, seen presence.Observe) {
	d := &r.desks[maphash.String(r.seed, user)%reporters]
	d.mu.Lock()
	d.unsent[user] = seen
	d.mu.Unlock()
	d.wake()
}

// run sends until ctx ends.
func (r *reporter) run(ctx context.Context) {
	var running sync.WaitGroup
	for i := range r.desks {
		running.Go(func() { r.desks[i].run(ctx, r) })
	}
	running.Wait()
}

func (d *desk) run(ctx context.Context, r *reporter) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.signal:
		}
		for user, seen := range d.take() {
			err := r.send(ctx, user, seen)
			refusal, refused := errors.AsType[schemas.Refusal](err)
			switch {
			case err == nil || ctx.Err() != nil:
			case refused && !refusal.Code.Retry():
				r.log.Error("report presence", "cause", err)
			default:
				r.log.Warn("report presence", "cause", err)
				d.putBack(user, seen)
			}
		}
	}
}

func (d *desk) take() map[string]presence.Observe {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.unsent
	d.unsent = make(map[string]presence.Observe)
	return taken
}

// putBack keeps an observation for later unless a newer one is there.
func (d *desk) putBack(user string, seen presence.Observe) {
	d.mu.Lock()
	if _, newer := d.unsent[user]; !newer {
		d.unsent[user] = seen
	}
	d.mu.Unlock()
	time.AfterFunc(reportRest, d.wake)
}

func (d *desk) wake() {
	select {
	case d.signal <- struct{}{}:
	default:
	}
}

func (r *reporter) send(ctx context.Context, user string, seen presence.Observe) error {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	_, err := es.Call{
		Channel: subjects.Channel{Kind: "user", ID: user},
		Command: "observe",
		From:    "service:presence",
		Role:    subjects.RoleService,
		Key:     observationKey(seen.At),
		Body:    seen,
	}.Do(ctx, r.nc)
	return err
}
