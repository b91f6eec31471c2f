package api

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/eventstream"
	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/native"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/subjects/identity"
)

// streamView is how all streams take what is told to many.
var streamView hub.View

// channelsOfStream bounds the channels of one stream, since each id has the positions
// of all of them, and returns in a header.
const channelsOfStream = 50

// postTicket gives a ticket for one stream.
func (s *Server) postTicket(c *fiber.Ctx) error {
	if err := knows(c); err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(bridge.Ticket{Ticket: s.tickets.give(bearer(c), s.node.Hub.Leases.Now()), ExpiresIn: int(ticketLife / time.Second)})
}

// getStream answers with events for as long as its client listens: the connection
// leaves Fiber, as those of sockets do, and becomes a session that only listens.
func (s *Server) getStream(c *fiber.Ctx) error {
	if c.Method() != fiber.MethodGet {
		return schemas.Refuse(schemas.MethodNotAllowed, "a stream is read with GET")
	}
	if err := knowsAll(c, "channel", "channel", "presence", "since", "epoch", "at", "last", "last_event_id", "ticket"); err != nil {
		return err
	}
	last := c.Get("Last-Event-ID")
	if last == "" {
		last = c.Query("last_event_id")
	}
	place, err := eventstream.ReadID(strings.Clone(last))
	if err != nil {
		return err
	}
	id, key, err := s.listener(c, place.Key)
	if err != nil {
		return err
	}
	subscriptions, err := subscriptionsOf(c, place)
	if err != nil {
		return err
	}
	subscriptions, ended, err := s.mayListen(c.UserContext(), id, subscriptions, last != "")
	if err != nil {
		s.node.Door.Charge(payerOf(c), admission.Refused)
		return err
	}
	codec := eventstream.New(key, subscriptions)
	first := wire.Batch{wire.Hello{Token: id.Token()}}
	for _, subscription := range subscriptions {
		first = append(first, subscription)
	}
	begin := append(streamHead(c), codec.Welcome()...)
	for _, notice := range ended {
		codec.Encode(nil, notice, func(message []byte, _ bool) { begin = append(begin, message...) })
	}
	opened := opened{codec: codec, first: first, view: streamView, begin: begin}
	client := s.client(c)
	c.Context().HijackSetNoResponse(true)
	c.Context().Hijack(func(conn net.Conn) { s.node.Accept(unwrap(opened, conn), client) })
	return nil
}

// streamHead is the head of the response, and how a stream begins. The response ends
// with the connection (RFC 9112, section 6.3).
func streamHead(c *fiber.Ctx) []byte {
	header := &c.Response().Header
	header.Set(fiber.HeaderContentType, "text/event-stream")
	header.Set(fiber.HeaderCacheControl, "no-store")
	header.Set("X-Accel-Buffering", "no")
	const unknown = -2 // bytes, to fasthttp
	header.SetContentLength(unknown)
	header.Del(fiber.HeaderTransferEncoding) // "identity" is no coding any more
	retry := time.Second + rand.N(2*time.Second)
	return append(slices.Clone(header.Header()), eventstream.Beginning(retry)...)
}

// listener is who opens a stream: whose token comes in the header, or whose ticket.
func (s *Server) listener(c *fiber.Ctx, returning string) (id identity.Identity, key string, err error) {
	token := strings.Clone(bearer(c))
	if ticket := c.Query("ticket"); token == "" && ticket != "" {
		if token, key, err = s.tickets.take(c.UserContext(), ticket, returning, s.node.Hub.Leases.Now()); err != nil {
			return id, "", err
		}
	}
	if token == "" {
		return id, "", schemas.Refuse(schemas.Unauthenticated, "the header Authorization: Bearer <token> is needed, or a ticket")
	}
	if id, err = s.node.Verifier.Verify(token); err == nil {
		payerOf(c).User = s.node.Door.User(id.User)
	}
	return id, key, err
}

// subscriptionsOf reads what a stream is to hold: of the channel in its path, and of
// those in its query, what came after the reader's place. Of a channel on which it has
// none, since is for the one in the path, and last for all.
func subscriptionsOf(c *fiber.Ctx, place eventstream.Place) ([]wire.Subscribe, error) {
	_, first, err := caller(c)
	if err != nil {
		return nil, err
	}
	channels := []string{first}
	for _, more := range c.Context().QueryArgs().PeekMulti("channel") {
		if name := string(more); !slices.Contains(channels, name) {
			channels = append(channels, name)
		}
	}
	presence := c.Query("presence")
	if presence != "" && presence != "true" && presence != "false" {
		return nil, schemas.Refuse(schemas.InvalidData, "presence: true or false")
	}
	since, err := positionOf(c)
	if err != nil {
		return nil, err
	}
	if since != nil {
		if err := eventstream.CheckEpoch(since.Epoch); err != nil {
			return nil, err
		}
	}
	wanted := wire.Subscribe{Presence: presence == "true"}
	if last := c.Query("last"); last != "" {
		if wanted.Count, wanted.Age, err = native.DecodeLast(last); err != nil {
			return nil, err
		}
	}
	subscriptions := make([]wire.Subscribe, len(channels))
	for i, name := range channels {
		wanted.Ref, wanted.Channel = strconv.Itoa(i+1), name
		wanted.Since = place.Of(name)
		if wanted.Since == nil && i == 0 && since != nil {
			wanted.Since = (*wire.Position)(since)
		}
		subscriptions[i] = wanted
	}
	return subscriptions, nil
}

// mayListen refuses a stream before it begins. One that returns goes on without the
// channels that its user has no more right to, as long as any is left, and is told of
// the others that they have ended.
func (s *Server) mayListen(ctx context.Context, id identity.Identity, wanted []wire.Subscribe, returns bool) (granted []wire.Subscribe, ended []wire.Unsubscribed, err error) {
	if most := min(channelsOfStream, s.node.Limits.Channels); len(wanted) > most {
		return nil, nil, schemas.Refuse(schemas.TooManyChannels, "at most %d channels per stream", most)
	}
	if s.node.Draining() {
		return nil, nil, session.ErrDraining
	}
	var refusal error
	for _, subscription := range wanted {
		name, kind, err := s.node.Resolve(subscription.Channel)
		if err != nil {
			return nil, nil, err
		}
		_, err = s.node.MayRead(ctx, id, name, kind)
		switch {
		case err == nil:
			granted = append(granted, subscription)
		case returns && schemas.RefusalOf(err).Code == schemas.Forbidden:
			refusal = named(err, subscription.Channel)
			ended = append(ended, wire.Unsubscribed{Channel: subscription.Channel, Code: int(schemas.Revoked), Reason: schemas.Revoked.Reason()})
		default:
			return nil, nil, named(err, subscription.Channel)
		}
	}
	if len(granted) == 0 {
		return nil, nil, refusal
	}
	return granted, ended, nil
}

// named is a refusal that says which channel of several it is about.
func named(err error, channel string) error {
	refusal, is := errors.AsType[schemas.Refusal](err)
	if !is {
		return err
	}
	refusal.Message = channel + ": " + refusal.Message
	return refusal
}
