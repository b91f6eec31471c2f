package session

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
)

// standing is what a session is on one channel besides what it is everywhere: by what
// came with its subscription, and for as long as that lasts. The zero value adds
// nothing.
type standing struct {
	token *identity.Identity // whose token came
	proof *wire.Proof        // what was proven
}

// stand reads what comes with a subscription. What does not come stays as it was.
func (s *session) stand(r wire.Subscribe, before standing) (standing, error) {
	after := standing{before.token, cmp.Or(r.Proof, before.proof)}
	if r.Token == "" {
		return after, nil
	}
	id, err := s.node.Verifier.Verify(r.Token)
	after.token = &id
	return after, err
}

// of is who a session of an identity is on the channel. It is refused once the token
// of the subscription has expired.
func (st standing) of(id identity.Identity, name subjects.Channel) (identity.Identity, error) {
	if st.token != nil {
		if id = *st.token; !time.Now().Before(id.Expires) {
			return id, errTokenOver
		}
	}
	if proof := st.proof; proof != nil && id.Grants != nil && time.Now().Before(proof.Expires) {
		id.Grants = append(slices.Clip(id.Grants), identity.Grant{
			Pattern: literally.Replace(name.String()), Read: proof.Read, Write: proof.Write, Presence: proof.Presence,
		})
	}
	return id, nil
}

var errTokenOver = schemas.Refuse(schemas.TokenExpired, "the token of the subscription has expired")

// literally makes of a name the pattern that matches it alone, see [path.Match].
var literally = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// standingOn is the session's standing on a channel: that of its subscription.
func (s *session) standingOn(name subjects.Channel) standing {
	c := s.outlet.Follows(name.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.standings[c]
}

// setStanding is called before a cursor is kept. It ends when the cursor is let go.
func (s *session) setStanding(c *hub.Cursor, st standing) {
	if st == (standing{}) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.standings == nil {
		s.standings = make(map[*hub.Cursor]standing)
	}
	s.standings[c] = st
}

// release lets go of a cursor that the outlet does not hold, or not any more.
func (s *session) release(c *hub.Cursor) {
	s.mu.Lock()
	delete(s.standings, c)
	s.mu.Unlock()
	s.node.Hub.Release(c.Channel())
}

// whoOn is who the session is on a channel.
func (s *session) whoOn(name subjects.Channel) (identity.Identity, error) {
	return s.standingOn(name).of(s.who(), name)
}

// whoIn is whoOn by a channel's name, which may be none.
func (s *session) whoIn(channel string) (identity.Identity, error) {
	name, err := subjects.ParseChannel(channel)
	if err != nil {
		return s.who(), nil
	}
	return s.whoOn(name)
}

// leaveAs ends what the session is on a channel as somebody else.
func (s *session) leaveAs(ctx context.Context, name subjects.Channel, now string) error {
	s.mu.Lock()
	t := s.tracks[name.String()]
	s.mu.Unlock()
	if t == nil || t.member.User == now {
		return nil
	}
	return s.removeEntry(ctx, name.String())
}

// sweepStandings has the subscriptions checked whose token has expired, or what was
// proven for them, which is forgotten.
func (s *session) sweepStandings(now time.Time) {
	var doubtful []subjects.Channel
	s.mu.Lock()
	for c, st := range s.standings {
		proofOver := st.proof != nil && !now.Before(st.proof.Expires)
		if proofOver {
			st.proof = nil
			s.standings[c] = st
		}
		if proofOver || st.token != nil && !now.Before(st.token.Expires) {
			doubtful = append(doubtful, c.Channel().Name)
		}
	}
	s.mu.Unlock()
	for _, name := range doubtful {
		s.node.Hub.Doubt(name, s)
	}
}
