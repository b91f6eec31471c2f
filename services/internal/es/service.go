package es

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
)

const (
	workers = 64  // commands that a process decides at once
	backlog = 512 // commands that may wait for one worker; more are told 4506 busy
)

// Serving is logged when a service takes commands.
const Serving = "serving"

// Service is what one of Latido's services consists of.
type Service struct {
	Name        string
	Version     string // semantic version
	Description string
	Kinds       []Kind
	// Stats, when set, is shown with the endpoint of the name, by "nats micro stats".
	Stats map[string]func() map[string]int64
}

// Kind is a [Decider], whatever its state.
type Kind interface {
	open(b *bus) opened
}

// opened is a kind at work, the type of its state forgotten.
type opened struct {
	kind      string
	commands  []string
	serve     func(context.Context, request) (answer, error)
	remember  nats.MsgHandler // of the feed
	reactions []reaction
	unread    *unread
}

// process is a running service.
type process struct {
	*bus
	service   micro.Service
	pool      *pool
	feeds     []*nats.Subscription
	following sync.WaitGroup
}

// Run runs the service until ctx ends; verifier tells who the users are that command
// it. Then it takes no more commands, finishes
// those it has taken, and returns when all that it started has ended.
func Run(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger, s Service) error {
	log = log.With("service", s.Name)
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("run %s: %w", s.Name, err)
	}
	p := &process{bus: &bus{nc: nc, js: js, verifier: verifier, log: log}, pool: newPool(workers, backlog)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := p.start(ctx, s); err != nil && ctx.Err() == nil {
		cancel()
		return errors.Join(fmt.Errorf("run %s: %w", s.Name, err), p.stop())
	}
	<-ctx.Done()
	if err := p.stop(); err != nil {
		return fmt.Errorf("stop %s: %w", s.Name, err)
	}
	return nil
}

// start opens every kind, then answers commands, then reacts. Only the end of ctx
// ends what follows the bus.
func (p *process) start(ctx context.Context, s Service) (err error) {
	var reactions []reaction
	kinds := make([]opened, len(s.Kinds))
	for i, kind := range s.Kinds {
		kinds[i] = kind.open(p.bus)
		feed, err := p.nc.Subscribe(pattern("feed", kinds[i].kind), kinds[i].remember)
		if err != nil {
			return err
		}
		p.feeds = append(p.feeds, feed)
		reactions = append(reactions, kinds[i].reactions...)
	}
	if err := p.answerCommands(s, kinds); err != nil {
		return err
	}
	if err := p.listening(ctx); err != nil {
		return err
	}
	for _, r := range reactions {
		p.following.Go(func() { p.follow(ctx, r) })
	}
	p.log.Info(Serving)
	return nil
}

// listening returns when the server knows what is subscribed to, however long it
// is away.
func (p *process) listening(ctx context.Context) error {
	for {
		flushing, cancel := context.WithTimeout(ctx, attempt)
		err := p.nc.FlushWithContext(flushing)
		cancel()
		if err == nil || ctx.Err() != nil || p.nc.IsClosed() {
			return err
		}
		p.log.Warn("the bus is away, waiting for it", "cause", err)
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

func (p *process) answerCommands(s Service, kinds []opened) (err error) {
	endpoints := make(map[string]*endpoint) // by subject
	for _, kind := range kinds {
		for _, command := range kind.commands {
			for subject, services := range map[string]bool{
				subjects.CommandPattern(kind.kind, command):        false,
				subjects.ServiceCommandPattern(kind.kind, command): true,
			} {
				endpoints[subject] = &endpoint{
					bus: p.bus, pool: p.pool, name: kind.kind + "-" + command, command: command, services: services, serve: kind.serve,
					unread: kind.unread,
				}
			}
		}
	}
	p.service, err = micro.AddService(p.nc, micro.Config{
		Name: s.Name, Version: s.Version, Description: s.Description, QueueGroup: s.Name,
		StatsHandler: func(e *micro.Endpoint) any {
			counts := endpoints[e.Subject].counts()
			if more := s.Stats[e.Name]; more != nil {
				maps.Copy(counts, more())
			}
			return counts
		},
	})
	if err != nil {
		return err
	}
	for subject, e := range endpoints {
		if err := p.service.AddEndpoint(e.name, e, micro.WithEndpointSubject(subject)); err != nil {
			return fmt.Errorf("endpoint %s: %w", e.name, err)
		}
	}
	return nil
}

// stop drains: what the server has sent is handed to the pool, what the pool
// has taken is finished. A command that comes later than that is told to try
// again, and another replica takes it.
func (p *process) stop() error {
	var errs []error
	if p.service != nil {
		errs = append(errs, p.service.Stop())
		flushing, cancel := context.WithTimeout(context.Background(), attempt)
		defer cancel()
		_ = p.nc.FlushWithContext(flushing) // a lost bus has nothing left to send
	}
	p.pool.close()
	p.following.Wait()
	for _, feed := range p.feeds {
		if err := feed.Unsubscribe(); !errors.Is(err, nats.ErrConnectionClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// pattern is the subject filter for one role on every channel of a kind.
func pattern(role, kind string) string { return role + "." + kind + ".*" }
