package kit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/latido/latido/schemas/bridge"
)

// Publish says something on a channel, once, however often the connection
// breaks. It returns where the event was stored (0 on a live channel) and the key
// it carries.
func (c *Client) Publish(ctx context.Context, channel, event string, data any) (seq uint64, key string, err error) {
	key = rand.Text()
	body, err := json.Marshal(data)
	if err != nil {
		return 0, key, err
	}
	seq, err = c.deliver(ctx, channel, key, func(id uint64) any {
		return bridge.Publish{ID: id, Op: "publish", Channel: channel, Event: event, Key: key, Data: body}
	})
	return seq, key, err
}

// Call commands a channel's owner, once, and returns where the fact was stored.
func (c *Client) Call(ctx context.Context, channel, command string, data any) (seq uint64, key string, err error) {
	key = rand.Text()
	body, err := json.Marshal(data)
	if err != nil {
		return 0, key, err
	}
	seq, err = c.deliver(ctx, channel, key, func(id uint64) any {
		return bridge.Call{ID: id, Op: "call", Channel: channel, Command: command, Key: key, Data: body}
	})
	return seq, key, err
}

// deliver repeats a request under its key until it is answered. After a
// connection that was lost it lets the channel's replay come to its end first,
// and is done if the replay shows the key.
func (c *Client) deliver(ctx context.Context, channel, key string, build func(id uint64) any) (uint64, error) {
	c.mu.change(func() { c.pending[key] = true })
	defer c.mu.change(func() { delete(c.pending, key); delete(c.stored, key) })
	for attempt := 0; ; attempt++ {
		connection, seq, err := c.ready(ctx, channel, key, attempt > 0)
		if err != nil || seq > 0 {
			return seq, err
		}
		ok, err := connection.ask(ctx, build, nil)
		if err == nil {
			return ok.Seq, nil
		}
		if refused, retry := retryable(err); refused && !retry {
			return 0, err
		} else if !refused && !errors.Is(err, errGone) {
			return 0, fmt.Errorf("%s: %s: %w", c.User(), channel, err)
		}
		c.pause(ctx, attempt)
	}
}

// ready blocks until the request may be sent, again if it was sent before, or
// its key has come back as an event.
func (c *Client) ready(ctx context.Context, channel, key string, again bool) (connection *connection, seq uint64, err error) {
	err = c.await(ctx, func() bool {
		if seq = c.stored[key]; again && seq > 0 {
			c.tally.Recovered++
			return true
		}
		seq = 0
		connection = c.now
		f := c.follows[channel]
		return connection != nil && (f == nil || f.on == connection && f.whole())
	})
	return connection, seq, err
}

// Track shows the client on a channel, again after each return, until Untrack: with
// meta, or with nothing to say when that is nil.
func (c *Client) Track(ctx context.Context, channel string, meta any) error {
	c.mu.change(func() { c.tracked[channel] = meta })
	return c.insist(ctx, trackRequest(channel, meta))
}

// Untrack shows the client no longer.
func (c *Client) Untrack(ctx context.Context, channel string) error {
	c.mu.change(func() { delete(c.tracked, channel) })
	return c.insist(ctx, func(id uint64) any { return bridge.Untrack{ID: id, Op: "untrack", Channel: channel} })
}

// insist repeats a request that may be done twice until it is answered.
func (c *Client) insist(ctx context.Context, build func(id uint64) any) error {
	for attempt := 0; ; attempt++ {
		var connection *connection
		err := c.await(ctx, func() bool { connection = c.now; return connection != nil && connection.settled })
		if err != nil {
			return err
		}
		_, err = connection.ask(ctx, build, nil)
		if err == nil {
			return nil
		}
		if _, retry := retryable(err); !retry && !errors.Is(err, errGone) {
			return fmt.Errorf("%s: %w", c.User(), err)
		}
		c.pause(ctx, attempt)
	}
}

func trackRequest(channel string, meta any) func(id uint64) any {
	return func(id uint64) any {
		track := bridge.Track{ID: id, Op: "track", Channel: channel}
		if meta != nil {
			var err error
			if track.Meta, err = json.Marshal(meta); err != nil {
				panic(err) // a test's own value
			}
		}
		return track
	}
}

// Seats are where the client means to be seen.
func (c *Client) Seats() []Seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	var seats []Seat
	for _, channel := range slices.Sorted(maps.Keys(c.tracked)) {
		seats = append(seats, c.seat(channel))
	}
	return seats
}

// Seat is where the client is, or may be, on a channel.
func (c *Client) Seat(channel string) Seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seat(channel)
}

func (c *Client) seat(channel string) Seat { return Seat{channel, c.cfg.Who.User, c.ref} }
