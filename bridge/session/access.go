package session

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
)

// errForbidden is the same whether the channel does not exist or is not for the asker.
var errForbidden = schemas.Refuse(schemas.Forbidden, "the channel does not exist or is not yours")

// Resolve reads a channel's name and finds its kind.
func (n *Node) Resolve(name string) (subjects.Channel, subjects.Kind, error) {
	channel, err := subjects.ParseChannel(name)
	if err != nil || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return channel, subjects.Kind{}, schemas.Refuse(schemas.UnknownKind, "a channel is named kind:id, in at most %d bytes of UTF-8 without U+0000", subjects.MaxChannel)
	}
	if user, named := userOf(channel); named {
		if err := schemas.CheckUser(user); err != nil {
			return channel, subjects.Kind{}, schemas.Refuse(schemas.InvalidFrame, "%s", err)
		}
	}
	kind, ok := n.Hub.Kind(channel)
	if !ok {
		return channel, kind, schemas.Refuse(schemas.UnknownKind, "there are no channels of this kind")
	}
	return channel, kind, nil
}

// userOf is the user whose inbox or presence a channel is.
func userOf(channel subjects.Channel) (user string, named bool) {
	if of, reserved := subjects.ReservedTopic(channel); reserved {
		channel = of
	}
	return channel.ID, channel.Kind == KindUser
}

// MayRead refuses whoever may not follow a channel, and says until which fact of the
// channel the others may.
func (n *Node) MayRead(ctx context.Context, id identity.Identity, name subjects.Channel, kind subjects.Kind) (hub.Membership, error) {
	if barred(id, name, kind) {
		return hub.Lasting, errForbidden
	}
	if id.Role == subjects.RoleService {
		return hub.Lasting, nil
	}
	for _, role := range kind.Roles {
		if role.Role == id.Role && (role.ID == "*" || role.ID == name.ID) {
			return hub.Lasting, nil
		}
	}
	allowed := false
	switch kind.Read {
	case subjects.SignedIn:
		allowed = true
	case subjects.Self:
		allowed = id.User == name.ID
	case subjects.Granted:
		allowed = id.Granted(name.String(), func(g identity.Grant) bool { return g.Read })
	case subjects.Members:
		member, found, err := n.Hub.Membership(ctx, name, id.User)
		if err == nil && !found {
			err = errForbidden
		}
		return member, err
	case subjects.Topic:
		return hub.Lasting, n.mayReadTopic(ctx, id, name)
	case subjects.Nobody, subjects.Service:
	}
	if !allowed {
		return hub.Lasting, errForbidden
	}
	return hub.Lasting, nil
}

// mayReadTopic refuses whoever may not see who is there: of a group its members
// alone do, of a user anyone, since who does not want that is invisible.
func (n *Node) mayReadTopic(ctx context.Context, id identity.Identity, name subjects.Channel) error {
	of, reserved := subjects.ReservedTopic(name)
	allowed := reserved || id.Granted(name.String(), func(g identity.Grant) bool { return g.Read })
	if of.Kind == KindGroup {
		_, member, err := n.Hub.Membership(ctx, of, id.User)
		if err != nil {
			return err
		}
		allowed = member
	}
	if !allowed {
		return errForbidden
	}
	return nil
}

const (
	KindUser  = "user"
	KindGroup = "group"
)

// mayBroadcast refuses whoever may not send live events to a channel. Who
// follows a channel of members has been let in already.
func (n *Node) mayBroadcast(id identity.Identity, name subjects.Channel, kind subjects.Kind, following bool) error {
	if barred(id, name, kind) {
		return errForbidden
	}
	switch kind.Write {
	case subjects.SignedIn:
		return nil
	case subjects.Granted:
		if id.Granted(name.String(), func(g identity.Grant) bool { return g.Write }) {
			return nil
		}
	case subjects.Members:
		if following {
			return nil
		}
		return schemas.Refuse(schemas.NotSubscribed, "subscribe to the channel first")
	case subjects.Service:
		if id.Role == subjects.RoleService {
			return nil
		}
	case subjects.Nobody, subjects.Self, subjects.Topic:
	}
	return errForbidden
}

// mayAppear refuses whoever may not be present on a channel. Who is there of a
// group, and how a user is, only the presence service says.
func mayAppear(id identity.Identity, name subjects.Channel, kind subjects.Kind) error {
	if _, reserved := subjects.ReservedTopic(name); reserved {
		return errForbidden
	}
	if (kind.Read == subjects.Granted || kind.Read == subjects.Topic) && !id.Granted(name.String(), func(g identity.Grant) bool { return g.Presence }) {
		return errForbidden
	}
	return nil
}

// memberChanged looks again at who follows a channel after a membership changed.
func (n *Node) memberChanged(name subjects.Channel, user string) {
	if name.Kind == KindGroup {
		n.memberChanged(subjects.GroupPresence(name.ID), user)
	}
	ch := n.Hub.Lookup(name)
	if ch == nil {
		return
	}
	n.Hub.Doubt(name, ch.Followers(user)...)
	for _, s := range n.attending(ch, user) {
		n.Hub.Doubt(name, s)
	}
}

// attending lists the sessions here of a user, or of everyone, that are present on
// a channel, whether they follow it or not.
func (n *Node) attending(ch *hub.Channel, user string) []*session {
	var sessions []*session
	for _, ref := range ch.SessionsOf(n.name, user) {
		if s := n.registry.find(ref); s != nil {
			sessions = append(sessions, s)
		}
	}
	return sessions
}
