package session

import (
	"context"
	"encoding/json"

	"golang.org/x/sync/errgroup"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
)

const (
	// watchQueue orders the requests to watch of a session; no channel has this name.
	watchQueue = "watch"
	// watchesAtOnce bounds the channels that are opened at once for one request.
	watchesAtOnce = 8
)

// watch follows how some users are, and no longer those of the request before.
// Each is the presence of a channel of its own; the answer tells how all are now,
// those who are offline too. What was subscribed to by hand stays as it is.
func (s *session) watch(ctx context.Context, r wire.Watch) error {
	if len(r.Users) > s.node.Limits.Watch {
		return schemas.Refuse(schemas.TooManyChannels, "at most %d users at once", s.node.Limits.Watch)
	}
	wanted := make(map[string]struct{}, len(r.Users))
	for _, user := range r.Users {
		if err := schemas.CheckUser(user); err != nil {
			return schemas.Refuse(schemas.InvalidFrame, "%v", err)
		}
		wanted[subjects.UserPresence(user).String()] = struct{}{}
	}
	opening, all := errgroup.WithContext(ctx)
	opening.SetLimit(watchesAtOnce)
	for _, channel := range s.watchOnly(wanted) {
		opening.Go(func() error {
			return s.follow(all, wire.Subscribe{Channel: channel, Presence: true}, true, func(wire.OK) {})
		})
	}
	looks := make([]json.RawMessage, len(r.Users))
	for i, user := range r.Users {
		opening.Go(func() error {
			answer, err := s.node.Command(all, Sender{s.who(), s.ref}, wire.Call{Channel: KindUser + ":" + user, Command: "status", Data: []byte("{}")})
			looks[i] = answer.Data
			return err
		})
	}
	if err := opening.Wait(); err != nil {
		return err
	}
	data, err := json.Marshal(map[string]any{"users": looks})
	if err != nil {
		return err
	}
	s.tell(wire.OK{Ref: r.Ref, Data: data})
	return nil
}

// watchOnly ends the watching of all channels but some, and lists those of them
// that are not followed yet.
func (s *session) watchOnly(wanted map[string]struct{}) (missing []string) {
	dropped := s.outlet.Drop(func(channel string, c *hub.Cursor) bool {
		_, stays := wanted[channel]
		return c.Watching && !stays
	})
	for channel := range wanted {
		if s.outlet.Follows(channel) == nil {
			missing = append(missing, channel)
		}
	}
	for _, c := range dropped {
		s.detach(c)
	}
	return missing
}

// count tells how many are on a channel.
func (s *session) count(ctx context.Context, r wire.Count) error {
	id, err := s.whoIn(r.Channel)
	if err != nil {
		return err
	}
	ch, err := s.node.WithPresence(ctx, id, r.Channel)
	if err != nil {
		return err
	}
	defer s.node.Hub.Release(ch)
	data, err := json.Marshal(map[string]int{"count": ch.Count()})
	if err != nil {
		return err
	}
	s.tell(wire.OK{Ref: r.Ref, Data: data})
	return nil
}

// WithPresence returns a channel that knows who is on it, to be released.
func (n *Node) WithPresence(ctx context.Context, id identity.Identity, channel string) (*hub.Channel, error) {
	name, kind, err := n.Resolve(channel)
	if err != nil {
		return nil, err
	}
	if _, err := n.MayRead(ctx, id, name, kind); err != nil {
		return nil, err
	}
	ch, err := n.Hub.Acquire(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := ch.LoadPresence(ctx); err != nil {
		n.Hub.Release(ch)
		return nil, err
	}
	return ch, nil
}
