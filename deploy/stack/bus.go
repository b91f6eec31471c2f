package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/latido/latido/subjects/topology"
)

// bus is the NATS that the parts talk over, theirs alone or shared.
type bus struct {
	url     string // for people, without passwords
	servers string // for the client
	options []nats.Option
	cfg     Config
	login   Login
	disk    *disk        // of an embedded server
	shut    func() error // ends an embedded server
	waiting atomic.Pointer[waiting]
	lost    loss         // what an embedded server may have lost since it last ran
	begun   func() error // remembers that this has been dealt with

	mu          sync.Mutex
	connections []*nats.Conn
}

// Login is a user of the embedded server.
type Login struct {
	User     string
	File     string // which holds the password
	Password string // when it was made just now
}

// openBus is the one place where a single process and a distributed system
// differ: embed a server, or connect to one.
func openBus(cfg Config) (*bus, error) {
	if cfg.Embeds() {
		return embed(cfg)
	}
	if cfg.joinsNeighbour() {
		if _, err := readSecret(cfg.Data, natsPasswordFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, &DataError{cfg.Data, reason(err)}
		}
	}
	return &bus{
		url:     cfg.redactedURL(),
		servers: cfg.NATSURL,
		options: append(options(cfg), login(cfg)...),
		cfg:     cfg,
		shut:    func() error { return nil },
	}, nil
}

// connect opens a connection of its own for a purpose, which names it in
// `nats server report connections`. It waits for the server, telling so.
func (b *bus) connect(ctx context.Context, purpose string) (*nats.Conn, error) {
	named := append([]nats.Option{nats.Name(fmt.Sprintf("latido %s %s", b.cfg.Node, purpose))}, b.options...)
	var connection *nats.Conn
	err := b.patiently(ctx, "connect to "+b.url, func() (err error) {
		connection, err = nats.Connect(b.servers, named...)
		if errors.Is(err, nats.ErrAuthorization) {
			err = fmt.Errorf("%w: give --nats-user and --nats-password, or the --data of the process on this machine that runs the server", err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connections = append(b.connections, connection)
	return connection, nil
}

// away reports whether a connection of this process is lost.
func (b *bus) away() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.connections, func(nc *nats.Conn) bool { return !nc.IsConnected() && !nc.IsClosed() })
}

// close ends what is still connected and, last of all, an embedded server.
func (b *bus) close() error {
	b.mu.Lock()
	connections := b.connections
	b.connections = nil
	b.mu.Unlock()
	for _, connection := range connections {
		connection.Close()
	}
	return b.shut()
}

// patiently repeats a call while it fails for a reason that passes, with a line for
// each try, until Config.NATSWait has passed, if that is set.
func (b *bus) patiently(ctx context.Context, what string, call func() error) error {
	began := time.Now()
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 4*time.Second) {
		err := call()
		if err == nil {
			b.waiting.Store(nil)
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		if !passing(err) && !b.mayChange(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if b.cfg.NATSWait > 0 && time.Since(began)+pause > b.cfg.NATSWait {
			return fmt.Errorf("%s: %w (waited %v): %w", what, ErrUnreachable, b.cfg.NATSWait, err)
		}
		b.waiting.Store(&waiting{what, err})
		b.cfg.Log.Warn("NATS is not ready yet, trying again", "doing", what, "in", pause, "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

// waiting is what the start waits for.
type waiting struct {
	what string
	err  error
}

// passing reports whether an error may go away by waiting: the server is not up,
// or up without having found its leader, or what others declare is not there.
func passing(err error) bool {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.Code >= http.StatusInternalServerError {
		return true
	}
	for _, temporary := range []error{
		nats.ErrNoServers, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrReconnectBufExceeded,
		syscall.ENOSPC, nats.ErrConnectionReconnecting, jetstream.ErrNoStreamResponse, context.DeadlineExceeded, topology.ErrMissing,
	} {
		if errors.Is(err, temporary) {
			return true
		}
	}
	return false
}

// mayChange reports whether a login was refused that is read anew at each attempt: the
// server may yet be another one, and its password with it.
func (b *bus) mayChange(err error) bool {
	if !refused(err) || !b.cfg.joinsNeighbour() {
		return false
	}
	_, missing := readSecret(b.cfg.Data, natsPasswordFile)
	return missing == nil
}

// refused reports whether the server did not take the login, or takes it no more.
func refused(err error) bool {
	for _, refusal := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// A server that falls silent without closing the connection, as behind a cut
// cable, is noticed by three pings without an answer: sooner than the others take
// a bridge for dead, whose lease lasts 10 s.
const (
	pingInterval     = 3 * time.Second
	pingsOutstanding = 2
)

// refusalInterval is how often it is told that a login is refused, which each attempt
// finds out again.
const refusalInterval = 30 * time.Second

// options are those of every connection. A write that meets a lost connection
// fails at once instead of waiting in a buffer: who publishes decides what then. A
// login that is refused later on is tried for as long as the process runs, since it
// may be put right at the server.
func options(cfg Config) []nats.Option {
	log := cfg.Log.With("part", "nats")
	refusals := rate.Sometimes{First: 1, Interval: refusalInterval}
	return []nats.Option{
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsOutstanding),
		nats.RetryOnFailedConnect(false),
		nats.CustomInboxPrefix(cfg.NATSInbox),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) { lost(log, nc, err) }),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("NATS is back", "connection", nc.Opts.Name, "server", nc.ConnectedUrlRedacted())
		}),
		nats.LameDuckModeHandler(func(nc *nats.Conn) { _ = nc.ForceReconnect() }),
		nats.ErrorHandler(func(nc *nats.Conn, subscription *nats.Subscription, err error) {
			if refused(err) {
				refusals.Do(func() {
					log.Error("NATS refuses the login, trying again", "connection", nc.Opts.Name, "error", err)
				})
				return
			}
			subject := ""
			if subscription != nil {
				subject = subscription.Subject
			}
			log.Error("NATS connection", "connection", nc.Opts.Name, "subject", subject, "error", err)
		}),
	}
}

// login is how a connection logs in. What a file holds is read at each attempt: the
// process that writes it may start later, or once more.
func login(cfg Config) (options []nats.Option) {
	switch {
	case cfg.joinsNeighbour():
		options = append(options, nats.UserInfoHandler(func() (user, password string) {
			password, err := readSecret(cfg.Data, natsPasswordFile)
			if err != nil {
				return "", "" // whether it is needed is for the server to say
			}
			return natsUser, password
		}))
	case cfg.NATSUser != "":
		options = append(options, nats.UserInfo(cfg.NATSUser, cfg.NATSPassword))
	}
	if cfg.NATSCreds != "" {
		options = append(options, nats.UserCredentials(cfg.NATSCreds))
	}
	return options
}

// lost tells of a connection that broke; one that was closed has no error.
func lost(log *slog.Logger, nc *nats.Conn, err error) {
	if err != nil {
		log.Warn("NATS is away, reconnecting", "connection", nc.Opts.Name, "error", err)
	}
}
