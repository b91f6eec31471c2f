package kit

import (
	"errors"
	"fmt"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
)

// handle takes one notice. The reader calls it, in the order of arrival.
func (c *Client) handle(connection *connection, notice any) {
	switch notice := notice.(type) {
	case *bridge.Event:
		c.receive(connection, notice)
	case *presence:
		c.Ledger.take(notice)
	case *bridge.OK:
		if !connection.answer(notice.ID, notice) {
			c.fault(fmt.Errorf("ok for %d, which is no open request", notice.ID))
		}
	case *bridge.Error:
		c.refused(connection, notice)
	case *bridge.Ping:
		if !c.cfg.Mute {
			_ = connection.send(bridge.Pong{Op: "pong"})
		}
	case *bridge.Gap:
		c.mu.change(func() { c.gap(notice) })
	case *bridge.Degraded:
		c.mu.change(func() { c.tally.Degraded++ })
	case *bridge.Restored:
		c.mu.change(func() { c.tally.Restored++ })
	case *bridge.Drain:
		c.mu.change(func() { c.tally.Drains++; c.returnIn = time.Duration(notice.ReturnIn) * time.Millisecond })
	case *bridge.Unsubscribed:
		c.fault(fmt.Errorf("unsubscribed from %s: %d %s", notice.Channel, notice.Code, notice.Reason))
	case *bridge.Welcome:
		c.fault(errors.New("second welcome"))
	}
}

// refused hands an error to its request; one without an id is about the whole
// connection, which the bridge closes with the same code.
func (c *Client) refused(connection *connection, notice *bridge.Error) {
	switch {
	case notice.ID != 0 && !connection.answer(notice.ID, notice):
		c.fault(fmt.Errorf("error %d for %d, which is no open request", notice.Code, notice.ID))
	case notice.ID == 0 && !schemas.Code(notice.Code).Retry():
		c.fault(fmt.Errorf("error %d %s: %s", notice.Code, notice.Reason, notice.Message))
	}
}

func (c *Client) receive(connection *connection, event *bridge.Event) {
	c.mu.Lock()
	f := c.follows[event.Channel]
	switch {
	case f == nil || f.on != connection:
		c.faultLocked(fmt.Errorf("connection %d: event %d of %s, which is not subscribed", connection.number, event.Seq, event.Channel))
	case event.Seq > 0:
		f.receive(connection.number, event)
	}
	if event.From == c.cfg.Who.User && c.pending[event.Key] {
		c.stored[event.Key] = event.Seq
	}
	if f != nil && f.awaited(event) {
		c.mu.wake()
	}
	c.mu.Unlock()
	if c.cfg.OnEvent != nil {
		c.cfg.OnEvent(event)
	}
}

func (c *Client) gap(notice *bridge.Gap) {
	f := c.follows[notice.Channel]
	if f == nil {
		c.faultLocked(fmt.Errorf("gap on %s, which is not subscribed", notice.Channel))
		return
	}
	f.gaps = append(f.gaps, *notice)
	f.position = notice.Position
}
