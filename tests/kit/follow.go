package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/latido/latido/schemas/bridge"
)

// Start says from where a client first reads a channel.
type Start int

const (
	// FromNow is after what the bridge says is the newest event.
	FromNow Start = iota
	// FromFirst is the whole channel, asked for as its recent history.
	FromFirst
)

// recent is more events than any channel holds that is read FromFirst.
const recent = 1000

// follow is one channel in a client. The client's mutex guards it.
type follow struct {
	channel  string
	start    Start
	presence bool

	known    bool            // the position is: the next subscription resumes
	position bridge.Position // the last event received, which is what the client acknowledges
	after    uint64          // everything above it must be in the log
	on       *connection     // where the subscription stands
	target   uint64          // where the replay on that connection ends
	missed   uint64          // events of the replay that are still to come
	goal     uint64          // somebody waits for this sequence
	wanted   string          // somebody waits for an event of this name
	log      []Reception
	gaps     []bridge.Gap
}

// Reception is one stored event as it came, again if it came again.
type Reception struct {
	Connection int
	Event      *bridge.Event
}

func (f *follow) receive(connection int, event *bridge.Event) {
	f.log = append(f.log, Reception{connection, event})
	f.position.Seq, f.known = event.Seq, true
	f.missed -= min(f.missed, 1)
}

// whole says that the replay on the connection has come to its end: the bridge may know
// of no more up to the target, which need be no event, and conflates some.
func (f *follow) whole() bool {
	return f.on != nil && (f.missed == 0 || f.position.Seq >= f.target)
}

// awaited says whether somebody may be waiting for the event that was received.
func (f *follow) awaited(event *bridge.Event) bool {
	return f.missed == 0 && event.Seq <= f.target || event.Seq == f.target || event.Seq >= f.goal && f.goal > 0 || event.Event == f.wanted
}

// answered takes the ok of a subscription, before any event that follows it.
func (f *follow) answered(connection *connection, ok *bridge.OK) {
	f.on = connection
	if ok.Position == nil {
		return // a live channel
	}
	f.target, f.missed = ok.Position.Seq, uint64(ok.Replaying)
	f.position.Epoch = ok.Position.Epoch
	if !f.known && (f.start == FromNow || f.missed == 0) {
		f.known, f.position.Seq, f.after = true, f.target, f.target
	}
}

func (f *follow) request(id uint64) bridge.Subscribe {
	request := bridge.Subscribe{ID: id, Op: "subscribe", Channel: f.channel, Presence: f.presence}
	switch {
	case f.known:
		position := f.position
		request.Since = (*bridge.Since)(&position)
	case f.start == FromFirst:
		request.Last = json.RawMessage(fmt.Sprint(recent))
	}
	return request
}

// Follow subscribes for as long as the client lives, with who is there if
// presence, and returns when the first subscription stands.
func (c *Client) Follow(ctx context.Context, channel string, start Start, presence bool) error {
	var f *follow
	var connection *connection
	err := c.await(ctx, func() bool {
		if c.now != nil && !c.now.settled {
			return false // it may be asking for this very channel
		}
		if f = c.follows[channel]; f == nil {
			f = &follow{channel: channel, start: start, presence: presence}
			c.follows[channel] = f
		}
		if f.on != c.now {
			connection = c.now
		}
		return true
	})
	if err != nil {
		return err
	}
	if connection != nil {
		if err := c.subscribe(ctx, connection, f); err != nil && !errors.Is(err, errGone) {
			return fmt.Errorf("%s: follow %s: %w", c.User(), channel, err)
		}
	}
	return c.await(ctx, func() bool { return f.on != nil && f.on == c.now })
}

// Unfollow ends the subscription on the connection there is. The position
// stays: following again goes on from it.
// It is no error when the connection is lost, or there is none.
func (c *Client) Unfollow(ctx context.Context, channel string) error {
	var connection *connection
	var f *follow
	c.mu.change(func() { connection, f = c.now, c.follows[channel] })
	if connection == nil || f == nil {
		return nil
	}
	_, err := connection.ask(ctx, func(id uint64) any {
		return bridge.Unsubscribe{ID: id, Op: "unsubscribe", Channel: channel}
	}, func(*bridge.OK) { c.mu.change(func() { f.on = nil }) })
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// catchUp asks for every channel again, from where the client stood, and shows
// the client where it was shown.
func (c *Client) catchUp(ctx context.Context, connection *connection) {
	var asking sync.WaitGroup
	ask := func(what, channel string, request func() error) {
		asking.Go(func() {
			if err := request(); err != nil && !errors.Is(err, errGone) && ctx.Err() == nil {
				c.fault(fmt.Errorf("connection %d: %s %s again: %w", connection.number, what, channel, err))
			}
		})
	}
	c.mu.change(func() {
		for channel, f := range c.follows {
			ask("follow", channel, func() error { return c.subscribe(ctx, connection, f) })
		}
		for channel, meta := range c.tracked {
			ask("track", channel, func() error { return c.persist(ctx, connection, trackRequest(channel, meta), nil) })
		}
	})
	asking.Wait()
	c.mu.change(func() {
		connection.settled = true
		if !c.left.IsZero() && c.now == connection {
			c.tally.Away = max(c.tally.Away, time.Since(c.left))
			c.left = time.Time{}
		}
	})
}

func (c *Client) subscribe(ctx context.Context, connection *connection, f *follow) error {
	return c.persist(ctx, connection, func(id uint64) any {
		c.mu.Lock()
		defer c.mu.Unlock()
		return f.request(id)
	}, func(ok *bridge.OK) { c.mu.change(func() { f.answered(connection, ok) }) })
}

// persist repeats what is refused for now until the connection ends.
func (c *Client) persist(ctx context.Context, connection *connection, build func(id uint64) any, inOrder func(*bridge.OK)) error {
	for attempt := 0; ; attempt++ {
		_, err := connection.ask(ctx, build, inOrder)
		if _, retry := retryable(err); !retry {
			return err
		}
		c.pause(ctx, attempt)
	}
}

// Reach blocks until the client has received the event with this sequence, or a
// newer one, of the channel, or knows that there is none to come.
func (c *Client) Reach(ctx context.Context, channel string, seq uint64) error {
	err := c.await(ctx, func() bool {
		f := c.follows[channel]
		f.goal = seq
		return f.position.Seq >= seq
	})
	if err != nil {
		return fmt.Errorf("reach %d of %s: %w", seq, channel, err)
	}
	return nil
}

// Event blocks until an event of this name has come on the channel.
func (c *Client) Event(ctx context.Context, channel, name string) (event *bridge.Event, err error) {
	err = c.await(ctx, func() bool {
		f := c.follows[channel]
		f.wanted = name
		at := slices.IndexFunc(f.log, func(r Reception) bool { return r.Event.Event == name })
		if at >= 0 {
			event = f.log[at].Event
		}
		return at >= 0
	})
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", name, channel, err)
	}
	return event, nil
}

// Received is how many stored events have come.
func (c *Client) Received() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, f := range c.follows {
		n += len(f.log)
	}
	return n
}

// Logs are what the client received, channel by channel.
func (c *Client) Logs() []Log {
	c.mu.Lock()
	defer c.mu.Unlock()
	var logs []Log
	for _, f := range c.follows {
		if f.known {
			logs = append(logs, Log{
				User: c.User(), Channel: f.channel, After: f.after,
				Receptions: slices.Clone(f.log), Gaps: slices.Clone(f.gaps),
			})
		}
	}
	return logs
}
