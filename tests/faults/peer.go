package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/tests/e2e"
)

// PeerConfig is who a peer is and where it connects.
type PeerConfig struct {
	User    string
	Device  string // web, mobile or desktop; none when empty
	Address string
	Secret  []byte
	Mute    bool // does not answer pings, and does not come back
}

// Peer is one browser. It comes back by itself, as the same session, and then
// shows itself and looks at everything again.
type Peer struct {
	Ledger Ledger

	cfg PeerConfig

	mu      e2e.Monitor // of all below
	now     *link       // nil while away
	settled bool        // on this link everything was asked for again
	session string      // to resume with
	ref     string
	shown   map[string]struct{} // channels on which it is shown
	watched map[string]struct{} // channels that it looks at
	tally   Tally
}

// Tally is what happened to a peer.
type Tally struct{ Connections, Degraded, Restored int }

// NewPeer returns a peer that does nothing until Run.
func NewPeer(cfg PeerConfig) *Peer {
	return &Peer{cfg: cfg, shown: map[string]struct{}{}, watched: map[string]struct{}{}}
}

// Run keeps the peer connected until ctx ends, then says goodbye. It returns
// what a bridge said that it must not say.
func (p *Peer) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		current, err := dial(ctx, p.cfg.Address, p.hello())
		if err != nil {
			wait(ctx, pause)
			continue
		}
		if err := p.attend(ctx, current); err != nil {
			return fmt.Errorf("%s: %w", p.cfg.User, err)
		}
		if p.cfg.Mute {
			return nil
		}
	}
	return nil
}

const (
	pause      = 50 * time.Millisecond
	tokenLasts = time.Hour
)

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (p *Peer) hello() bridge.Hello {
	claims := jwt.MapClaims{"sub": p.cfg.User, "exp": jwt.NewNumericDate(time.Now().Add(tokenLasts))}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(p.cfg.Secret)
	if err != nil {
		panic(err) // HS256 signs with any bytes
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	hello := bridge.Hello{Token: token, Session: p.session}
	if p.cfg.Device != "" {
		hello.Device = &bridge.Device{Kind: p.cfg.Device}
	}
	return hello
}

// attend lives through one connection.
func (p *Peer) attend(ctx context.Context, current *link) error {
	p.mu.Change(func() {
		p.now, p.session, p.ref = current, current.welcome.Session, current.welcome.Ref
		p.tally.Connections++
	})
	goodbye := context.AfterFunc(ctx, func() { _ = current.socket.Close(1000, "") })
	defer goodbye()
	var asking sync.WaitGroup
	asking.Go(func() { p.askAgain(ctx, current) })
	var wrong error
	_ = current.read(func(op string, line []byte) error { // however it ends, the peer comes back
		wrong = p.handle(current, op, line)
		return wrong
	})
	p.mu.Change(func() { p.now, p.settled = nil, false })
	asking.Wait()
	return wrong
}

func (p *Peer) askAgain(ctx context.Context, current *link) {
	var asking sync.WaitGroup
	p.mu.Change(func() {
		for channel := range p.watched {
			asking.Go(func() { _ = p.insist(ctx, current, watchRequest(channel)) })
		}
		for channel := range p.shown {
			asking.Go(func() { _ = p.insist(ctx, current, trackRequest(channel)) })
		}
	})
	asking.Wait()
	p.mu.Change(func() { p.settled = p.now == current })
}

func (p *Peer) handle(current *link, op string, line []byte) error {
	switch op {
	case "presence":
		var n Notice
		if err := json.Unmarshal(line, &n); err != nil {
			return err
		}
		p.Ledger.take(&n)
	case "ok":
		var ok bridge.OK
		if err := json.Unmarshal(line, &ok); err != nil {
			return err
		}
		current.answer(ok.ID, nil)
	case "error":
		id, err := refusalOf(line)
		if refusal, is := errors.AsType[schemas.Refusal](err); id == 0 && (!is || !refusal.Code.Retry()) {
			return err
		}
		current.answer(id, err)
	case "ping":
		if p.cfg.Mute {
			return nil
		}
		_ = current.write(context.Background(), bridge.Pong{Op: "pong"})
	case "degraded":
		p.mu.Change(func() { p.tally.Degraded++ })
	case "restored":
		p.mu.Change(func() { p.tally.Restored++ })
	case "event", "drain":
	default:
		return fmt.Errorf("told %.80q", line)
	}
	return nil
}

// Show shows the peer on channels until Hide, and returns when all have its entry.
func (p *Peer) Show(ctx context.Context, channels ...string) error {
	return p.do(ctx, channels, trackRequest, func(channel string) { p.shown[channel] = struct{}{} })
}

// Hide shows the peer no longer.
func (p *Peer) Hide(ctx context.Context, channel string) error {
	return p.do(ctx, []string{channel}, untrackRequest, func(channel string) { delete(p.shown, channel) })
}

// Watch writes down in the ledger who is on channels.
func (p *Peer) Watch(ctx context.Context, channels ...string) error {
	return p.do(ctx, channels, watchRequest, func(channel string) { p.watched[channel] = struct{}{} })
}

func (p *Peer) do(ctx context.Context, channels []string, request func(string) func(uint64) any, remember func(string)) error {
	for _, channel := range channels {
		p.mu.Change(func() { remember(channel) })
		for {
			var current *link
			if err := p.await(ctx, func() bool { current = p.now; return p.settled }); err != nil {
				return err
			}
			err := p.insist(ctx, current, request(channel))
			if err == nil {
				break
			}
			if !errors.Is(err, errGone) {
				return fmt.Errorf("%s on %s: %w", p.cfg.User, channel, err)
			}
			// The next link may not know yet that this one has gone.
			if err := p.await(ctx, func() bool { return p.now != current }); err != nil {
				return err
			}
		}
	}
	return nil
}

// insist repeats what is refused for now until the link ends.
func (p *Peer) insist(ctx context.Context, current *link, build func(id uint64) any) error {
	for {
		err := current.ask(ctx, build)
		if refusal, is := errors.AsType[schemas.Refusal](err); !is || !refusal.Code.Retry() {
			return err
		}
		wait(ctx, pause)
	}
}

// Back blocks until the peer has asked for everything again on its n-th connection,
// or a later one.
func (p *Peer) Back(ctx context.Context, n int) error {
	return p.await(ctx, func() bool { return p.settled && p.tally.Connections >= n })
}

// Told blocks until the peer has been told degraded and restored so often.
func (p *Peer) Told(ctx context.Context, degraded, restored int) error {
	return p.await(ctx, func() bool { return p.tally.Degraded >= degraded && p.tally.Restored >= restored })
}

// Tally is what has happened so far.
func (p *Peer) Tally() Tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tally
}

// Seats are where the peer means to be seen.
func (p *Peer) Seats() []Seat {
	p.mu.Lock()
	defer p.mu.Unlock()
	var seats []Seat
	for _, channel := range slices.Sorted(maps.Keys(p.shown)) {
		seats = append(seats, Seat{channel, p.cfg.User, p.ref})
	}
	return seats
}

// seat is where the peer is, or may be, on a channel.
func (p *Peer) seat(channel string) Seat {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Seat{channel, p.cfg.User, p.ref}
}

// await blocks until met, which is asked with the state locked, or ctx ends.
func (p *Peer) await(ctx context.Context, met func() bool) error {
	if err := p.mu.Await(ctx, met); err != nil {
		return fmt.Errorf("%s: %w", p.cfg.User, err)
	}
	return nil
}

func watchRequest(channel string) func(id uint64) any {
	return func(id uint64) any {
		return bridge.Subscribe{ID: id, Op: "subscribe", Channel: channel, Presence: true}
	}
}

func trackRequest(channel string) func(id uint64) any {
	return func(id uint64) any { return bridge.Track{ID: id, Op: "track", Channel: channel} }
}

func untrackRequest(channel string) func(id uint64) any {
	return func(id uint64) any { return bridge.Untrack{ID: id, Op: "untrack", Channel: channel} }
}
