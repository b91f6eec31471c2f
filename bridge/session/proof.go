package session

import (
	"slices"
	"strings"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
)

// prove keeps what was proven for a channel, instead of what was before.
func (s *session) prove(name subjects.Channel, proof *wire.Proof) {
	if proof == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proofs == nil {
		s.proofs = make(map[string]wire.Proof)
	}
	s.proofs[name.String()] = *proof
}

// unprove forgets what was proven for a channel.
func (s *session) unprove(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.proofs, channel)
}

// whoOn is who the session is on a channel: with what was proven for it.
func (s *session) whoOn(name subjects.Channel) identity.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	proof, proven := s.proofs[name.String()]
	if !proven {
		return s.identity
	}
	return proving(s.identity, name, proof)
}

// proving is an identity with what is proven for a channel, as long as it holds.
func proving(id identity.Identity, name subjects.Channel, proof wire.Proof) identity.Identity {
	if id.Grants != nil && time.Now().Before(proof.Expires) {
		id.Grants = append(slices.Clip(id.Grants), identity.Grant{
			Pattern: literally.Replace(name.String()), Read: proof.Read, Write: proof.Write, Presence: proof.Presence,
		})
	}
	return id
}

// literally makes of a name the pattern that matches it alone, see [path.Match].
var literally = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// sweepProofs forgets what holds no longer, and has the subscriptions checked that it
// carried.
func (s *session) sweepProofs(now time.Time) {
	var expired []string
	s.mu.Lock()
	for channel, proof := range s.proofs {
		if !now.Before(proof.Expires) {
			expired = append(expired, channel)
			delete(s.proofs, channel)
		}
	}
	s.mu.Unlock()
	for _, channel := range expired {
		if name, err := subjects.ParseChannel(channel); err == nil {
			s.node.Hub.Doubt(name, s)
		}
	}
}
