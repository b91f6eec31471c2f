package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
)

const (
	tokenLasts  = time.Hour
	silenceSlop = 10 * time.Second // beyond the bridge's ping interval
	watchEvery  = 5 * time.Second
)

// ClientConfig is who a client is and where it may connect.
type ClientConfig struct {
	Who     Identity
	Secret  Secret
	Bridges []string // addresses; one is drawn for each connection
	Archive *Archive
	Seed    uint64
	// OnEvent is called for each event, in order, by the reader: it must not block.
	OnEvent func(*bridge.Event)
}

// Client speaks the native protocol as a good client should: it resumes its
// session and each channel from the last event received, waits with full jitter,
// draws a bridge anew, and sends what was not answered again under the same key
// after its replay did not show it. It corrects nothing the bridge does wrong:
// every stored event goes to the channel's log as it came, and what the protocol
// forbids becomes a fault.
type Client struct {
	cfg ClientConfig

	mu       Monitor // of all below
	random   *rand.Rand
	now      *connection   // nil while away
	node     string        // of the connection before
	session  string        // to resume with
	left     time.Time     // since when the client is not wholly there, or zero
	returnIn time.Duration // how long to stay away, as a draining bridge has asked
	follows  map[string]*follow
	tracked  map[string]any    // what is shown on each channel
	pending  map[string]bool   // keys of requests without an answer
	stored   map[string]uint64 // those of them that came back as events
	tally    Tally
	faults   []error
}

// Tally is what happened to a client.
type Tally struct {
	Connections, Cuts, Elsewhere int           // Elsewhere: came back on another bridge
	Refusals                     int           // connections that were refused for now
	Degraded, Restored, Drains   int           // notices
	Away                         time.Duration // the longest time until all was asked for again
	Recovered                    int           // requests whose answer was lost and that the replay showed
}

// NewClient returns a client that does nothing until Run.
func NewClient(cfg ClientConfig) *Client {
	return &Client{
		cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 1)),
		follows: map[string]*follow{}, tracked: map[string]any{}, pending: map[string]bool{}, stored: map[string]uint64{},
	}
}

// User is the client's user id.
func (c *Client) User() string { return c.cfg.Who.User }

// Run keeps the client connected until ctx ends, then says goodbye. It may be
// run again; it then goes on from where it stood. A refusal for good is an error.
func (c *Client) Run(ctx context.Context) error {
	for attempt := 0; ctx.Err() == nil; {
		connection, err := c.connect(ctx)
		refused, is := errors.AsType[schemas.Refusal](err)
		switch {
		case is && !refused.Code.Retry():
			return err
		case err != nil:
			c.mu.Change(func() { c.tally.Refusals++ })
			c.pause(ctx, attempt)
			attempt++
			continue
		}
		attempt = 0
		c.attend(ctx, connection)
		c.stayAway(ctx)
	}
	return nil
}

func (c *Client) connect(ctx context.Context) (*connection, error) {
	var address, session string
	var batch bool
	c.mu.Change(func() {
		address = c.cfg.Bridges[c.random.IntN(len(c.cfg.Bridges))]
		session, batch = c.session, c.random.IntN(2) == 0
	})
	connection, err := dial(ctx, address, bridge.Hello{
		Token: c.cfg.Secret.Token(c.cfg.Who, tokenLasts), Client: "e2e/1", Session: session, Batch: batch,
	})
	if err != nil {
		return nil, err
	}
	c.mu.Change(func() { c.arrive(connection) })
	return connection, nil
}

func (c *Client) arrive(connection *connection) {
	c.tally.Connections++
	connection.number = c.tally.Connections
	if c.node != "" && c.node != connection.welcome.Node {
		c.tally.Elsewhere++
	}
	c.node, c.session, c.now = connection.welcome.Node, connection.welcome.Session, connection
	if user := connection.welcome.User; user != c.cfg.Who.User {
		c.faultLocked(fmt.Errorf("welcomed as %q", user))
	}
}

// attend lives through one connection: it asks for everything again and reads
// until the connection ends or ctx does.
func (c *Client) attend(ctx context.Context, connection *connection) {
	var asking sync.WaitGroup
	asking.Go(func() { c.catchUp(ctx, connection) })
	asking.Go(func() { c.guard(ctx, connection) })
	err := connection.read(c.cfg.Archive, func(notice any) { c.handle(connection, notice) }, c.fault)
	c.mu.Change(func() {
		c.now = nil
		if c.left.IsZero() {
			c.left = time.Now()
		}
		if refused, is := errors.AsType[schemas.Refusal](err); is && !refused.Code.Retry() {
			c.faultLocked(fmt.Errorf("closed: %w", err))
		}
	})
	asking.Wait()
}

// guard ends the connection when ctx does, politely, or when the bridge is silent.
func (c *Client) guard(ctx context.Context, connection *connection) {
	silence := time.Duration(connection.welcome.Ping)*time.Second + silenceSlop
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-connection.gone:
			return
		case <-ctx.Done():
			_ = connection.socket.Close(1000, "")
			return
		case <-tick.C:
			if time.Since(time.Unix(0, connection.heard.Load())) > silence {
				c.fault(fmt.Errorf("connection %d: nothing heard for %v", connection.number, silence))
				connection.cut(false)
			}
		}
	}
}

// Cut breaks the connection, if there is one, as a tunnel would.
func (c *Client) Cut(reset bool) bool {
	var connection *connection
	c.mu.Change(func() {
		if connection = c.now; connection != nil {
			c.tally.Cuts++
		}
	})
	if connection != nil {
		connection.cut(reset)
	}
	return connection != nil
}

// Forget makes the next connection a new session, as closing the page does.
func (c *Client) Forget() {
	c.mu.Change(func() { c.session, c.node, c.left = "", "", time.Time{}; clear(c.tracked) })
}

// Tally is what has happened so far.
func (c *Client) Tally() Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally
}

// here says whether the client is connected.
func (c *Client) here() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now != nil
}

// Faults are the things the protocol forbids that were seen.
func (c *Client) Faults() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]error(nil), c.faults...)
}

func (c *Client) fault(err error) { c.mu.Change(func() { c.faultLocked(err) }) }

func (c *Client) faultLocked(err error) {
	c.faults = append(c.faults, fmt.Errorf("%s %s: %w", time.Now().Format("04:05.000"), c.cfg.Who.User, err))
}

// await blocks until met, which is asked with the state locked, or ctx ends.
func (c *Client) await(ctx context.Context, met func() bool) error {
	if err := c.mu.Await(ctx, met); err != nil {
		return fmt.Errorf("%s: %w", c.cfg.Who.User, err)
	}
	return nil
}

// stayAway waits for as long as a draining bridge has asked, else a first pause.
func (c *Client) stayAway(ctx context.Context) {
	var asked time.Duration
	c.mu.Change(func() { asked, c.returnIn = c.returnIn, 0 })
	if asked == 0 {
		c.pause(ctx, 0)
		return
	}
	wait(ctx, asked)
}

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// pause waits with full jitter, longer the more attempts have failed.
func (c *Client) pause(ctx context.Context, attempt int) {
	bound := min(firstPause<<min(attempt, 10), longestPause)
	c.mu.Lock()
	drawn := time.Duration(c.random.Int64N(int64(bound)))
	c.mu.Unlock()
	wait(ctx, drawn)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
