package kit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/latido/latido/schemas/bridge"
)

// ClientConfig is who a client is and where it may connect.
type ClientConfig struct {
	Who     Identity
	Device  string   // web, mobile or desktop, to be seen as online with it; none when empty
	Bridges []string // addresses, one is drawn for each connection; none means every bridge that the stage has
	// OnEvent is called for each event, in order, by the reader: it must not block.
	OnEvent func(*bridge.Event)
	// Unsteady says that the network to the bridge is what a test breaks. Silence is
	// then nobody's fault, and the client comes back at once, so that how long others
	// wait for the truth does not depend on it.
	Unsteady bool
	// Mute does not answer pings, and does not come back.
	Mute bool

	secret  Secret
	archive *archive
	seed    uint64
}

// Client speaks the native protocol as a good client should: it resumes its
// session and each channel from the last event received, waits with full jitter,
// draws a bridge anew, and sends what was not answered again under the same key
// after its replay did not show it. It corrects nothing the bridge does wrong:
// every stored event goes to the channel's log as it came, who is there to the
// ledger, and what the protocol forbids becomes a fault.
type Client struct {
	Ledger Ledger // who is there, on the channels that it follows with presence

	cfg ClientConfig

	mu       monitor // of all below
	random   *rand.Rand
	now      *connection   // nil while away
	node     string        // of the connection before
	session  string        // to resume with
	newest   uint64        // generation of the session, as its last welcome told it
	ref      string        // by which others know the session
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

// ledgerSpread is how far bridges may differ in when they tell of a change.
const ledgerSpread = time.Second

func newClient(cfg ClientConfig) *Client {
	c := &Client{
		cfg: cfg, random: rand.New(rand.NewPCG(cfg.seed, 1)),
		follows: map[string]*follow{}, tracked: map[string]any{}, pending: map[string]bool{}, stored: map[string]uint64{},
	}
	if len(cfg.Bridges) > 1 {
		c.Ledger.spread = ledgerSpread
	}
	return c
}

// User is the client's user id.
func (c *Client) User() string { return c.cfg.Who.User }

// run keeps the client connected until ctx ends, then says goodbye. It may be
// run again; it then goes on from where it stood. A refusal for good is an error.
func (c *Client) run(ctx context.Context) error {
	for attempt := 0; ctx.Err() == nil; {
		connection, err := c.connect(ctx)
		if refused, retry := retryable(err); refused && !retry {
			return err
		}
		if err != nil {
			c.mu.change(func() { c.tally.Refusals++ })
			c.pause(ctx, attempt)
			attempt++
			continue
		}
		attempt = 0
		c.attend(ctx, connection)
		if c.cfg.Mute {
			return nil
		}
		c.stayAway(ctx)
	}
	return nil
}

func (c *Client) connect(ctx context.Context) (*connection, error) {
	hello := bridge.Hello{Token: c.cfg.secret.Token(c.cfg.Who), Client: "kit/1"}
	if c.cfg.Device != "" {
		hello.Device = &bridge.Device{Kind: c.cfg.Device}
	}
	var address string
	c.mu.change(func() {
		address = c.cfg.Bridges[c.random.IntN(len(c.cfg.Bridges))]
		hello.Session, hello.Generation, hello.Batch = c.session, c.newest, c.random.IntN(2) == 0
	})
	within := answerWithin
	if c.cfg.Unsteady {
		within = lostAfter
	}
	connection, err := greet(ctx, address, within, hello)
	if err != nil {
		return nil, err
	}
	c.mu.change(func() { c.arrive(connection) })
	return connection, nil
}

func (c *Client) arrive(connection *connection) {
	c.tally.Connections++
	connection.number = c.tally.Connections
	if c.node != "" && c.node != connection.welcome.Node {
		c.tally.Elsewhere++
	}
	c.node, c.session, c.ref, c.now = connection.welcome.Node, connection.welcome.Session, connection.welcome.Ref, connection
	if told := connection.welcome.Generation; told <= c.newest {
		c.faultLocked(fmt.Errorf("connection %d is of generation %d, not after %d", connection.number, told, c.newest))
	}
	c.newest = connection.welcome.Generation
	if user := connection.welcome.User; user != c.cfg.Who.User {
		c.faultLocked(fmt.Errorf("welcomed as %q", user))
	}
}

// attend lives through one connection: it asks for everything again and reads
// until the connection ends or ctx does.
func (c *Client) attend(ctx context.Context, connection *connection) {
	goodbye := context.AfterFunc(ctx, func() { _ = connection.leave() })
	defer goodbye()
	var asking sync.WaitGroup
	asking.Go(func() { c.catchUp(ctx, connection) })
	err := connection.attend(c.cfg.archive, func(notice any) { c.handle(connection, notice) }, c.fault)
	c.mu.change(func() {
		c.now = nil
		if c.left.IsZero() {
			c.left = time.Now()
		}
		refused, retry := retryable(err)
		if refused && !retry || errors.Is(err, errSilent) && !c.cfg.Unsteady {
			c.faultLocked(fmt.Errorf("connection %d: closed: %w", connection.number, err))
		}
	})
	asking.Wait()
}

// Cut breaks the connection, if there is one, as a tunnel would, with a reset or
// without.
func (c *Client) Cut(reset bool) bool {
	var connection *connection
	c.mu.change(func() {
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
	c.mu.change(func() { c.session, c.newest, c.node, c.left = "", 0, "", time.Time{}; clear(c.tracked) })
}

// Tally is what has happened so far.
func (c *Client) Tally() Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally
}

// Connected says whether the client is connected.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now != nil
}

// Back blocks until the client has asked for everything again on its n-th
// connection, or a later one.
func (c *Client) Back(ctx context.Context, n int) error {
	return c.await(ctx, func() bool { return c.now != nil && c.now.settled && c.tally.Connections >= n })
}

// Told blocks until the client has been told degraded and restored so often.
func (c *Client) Told(ctx context.Context, degraded, restored int) error {
	return c.await(ctx, func() bool { return c.tally.Degraded >= degraded && c.tally.Restored >= restored })
}

// Faults are the things the protocol forbids that were seen.
func (c *Client) Faults() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]error(nil), c.faults...)
}

func (c *Client) fault(err error) { c.mu.change(func() { c.faultLocked(err) }) }

func (c *Client) faultLocked(err error) {
	c.faults = append(c.faults, fmt.Errorf("%s %s: %w", time.Now().Format("04:05.000"), c.cfg.Who.User, err))
}

// await blocks until met, which is asked with the state locked, or ctx ends.
func (c *Client) await(ctx context.Context, met func() bool) error {
	if err := c.mu.await(ctx, met); err != nil {
		return fmt.Errorf("%s: %w", c.cfg.Who.User, err)
	}
	return nil
}

// stayAway waits for as long as a draining bridge has asked, else a first pause.
func (c *Client) stayAway(ctx context.Context) {
	var asked time.Duration
	c.mu.change(func() { asked, c.returnIn = c.returnIn, 0 })
	switch {
	case asked > 0:
		Wait(ctx, asked)
	case !c.cfg.Unsteady:
		c.pause(ctx, 0)
	}
}

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second

	// Of a client on an unsteady network.
	steadyPause = 50 * time.Millisecond
	lostAfter   = 5 * time.Second // a connection attempt
)

// pause waits with full jitter, longer the more attempts have failed.
func (c *Client) pause(ctx context.Context, attempt int) {
	if c.cfg.Unsteady {
		Wait(ctx, steadyPause)
		return
	}
	bound := min(firstPause<<min(attempt, 10), longestPause)
	c.mu.Lock()
	drawn := time.Duration(c.random.Int64N(int64(bound)))
	c.mu.Unlock()
	Wait(ctx, drawn)
}
