package hub

import (
	"context"
	"fmt"
	"math"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

const (
	membersStream = "KV_" + subjects.BucketMembers
	membersKeys   = "$KV." + subjects.BucketMembers + "."
	// everyone is the user whose membership makes a channel public.
	everyone = ""
)

// Membership is why somebody may read a channel: of whom the bucket said so, the
// reader or [everyone], and the channel's fact that it said so after. A fact with a
// higher number may have ended it before the bucket says so.
type Membership struct {
	user  string
	since uint64
}

// Lasting is what no fact ends: the right to a channel by other rules, or by a value
// of the bucket that names no fact.
var Lasting = Membership{since: math.MaxUint64}

// endedBy says whether an entry is a fact that ended the membership.
func (m Membership) endedBy(e *entry) bool {
	return e.sequence > m.since && e.ends.Has(m.user)
}

// Membership asks the leader, which alone knows of a membership that was given a
// moment ago, whether a user belongs to a channel, or everyone does. A value that names
// a fact behind the end of the channel's stream is of a past that is gone.
func (h *Hub) Membership(ctx context.Context, name subjects.Channel, user string) (m Membership, found bool, err error) {
	for _, who := range []string{user, everyone} {
		stored, found, err := history.LastMessage(ctx, h.Bus.Publish, membersStream, membersKeys+name.Member(who))
		if err != nil {
			return m, false, fmt.Errorf("membership: %w", err)
		}
		value := subjects.ReadMembership(stored.Data)
		switch {
		case !found || stored.Header.Get("KV-Operation") != "" || value.Role == "":
		case value.Seq == 0:
			return Lasting, true, nil
		default:
			stands, err := h.checker.reached(ctx, h.kinds[name.Kind].Stream, value.Seq)
			if err != nil {
				return m, false, fmt.Errorf("membership: %w", err)
			}
			if stands {
				return Membership{user: who, since: value.Seq}, true, nil
			}
		}
	}
	return m, false, nil
}

// ends says whose memberships an event of a kind ends.
func ends(kind subjects.Kind, event wire.Event) subjects.Ended {
	ending, found := kind.Ends[event.Event]
	if !found || event.Encoding != "" {
		return subjects.Ended{}
	}
	return ending.Of(event.Data)
}

// end stops the readers whose membership a fact has ended. The lock is held.
func (ch *Channel) end(e *entry) {
	for _, cursors := range ch.cursors {
		for _, c := range cursors {
			if c.stop == 0 && c.member.endedBy(e) {
				c.stopAt(e.sequence)
			}
		}
	}
}

// stopAt has nothing told behind the fact with a sequence, 0 for none, which ended the
// reader's membership, until it is known what the bucket says of it since.
func (c *place) stopAt(sequence uint64) {
	c.stop = sequence
	if sequence > 0 {
		c.at.out.doubts = append(c.at.out.doubts, c.reader)
	}
}

// stopped says that the cursor has told all that its reader may be told.
func (c *place) stopped() bool { return c.stop > 0 && c.sequence >= c.stop }

// Admit takes what the bucket says of the reader now. If that is from before the fact
// that stopped the cursor the bucket is late, and what it says next is heard of.
func (c *Cursor) Admit(m Membership) {
	ch := c.channel
	ch.mu.Lock()
	defer ch.unlock()
	if c.stage != attached || c.stop > m.since && m.user == c.member.user {
		return
	}
	c.member = m
	c.stopAt(ch.ring.end(m))
	c.outlet.Flush()
}
