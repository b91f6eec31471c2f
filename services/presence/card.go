package presence

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
)

// A card shows a user to others. It is an entry of presence on the channels
// subjects.GroupPresence and subjects.UserPresence, so that bridges tell it as
// they tell any presence. Every replica compares the cards that are there with
// those that should be, and mends them; the bucket's revisions let one win.

// refreshCards is how long a card stands before it is written again, far from the
// age at which the bucket drops it.
const refreshCards = topology.PresenceAge / 3

// posted is a card as it stands in the bucket. What it was made from names revisions of
// groups only, because a replica that runs sees no others; they may be of markers that
// are gone since, so what is known also counts from the revision that the bucket had at
// the beginning.
type posted struct {
	revision uint64
	written  time.Time
	card     json.RawMessage
	asOf     presence.AsOf
	removed  bool // for a while the bucket says so, and then nothing
}

// correction is a card to write, or to remove when it has no value, if the bucket
// is as it was seen.
type correction struct {
	key      string
	revision uint64
	value    []byte
}

// card takes a change of a card in. The lock is held.
func (v *view) card(c change, user string) {
	cards := v.person(user).cards
	if c.removed() {
		cards[c.key] = posted{revision: c.revision, written: c.at, removed: true}
		return
	}
	var written presence.Entry
	_ = json.Unmarshal(c.value, &written) // an odd one is replaced
	card := posted{revision: c.revision, written: c.at, card: written.Meta}
	if written.AsOf != nil {
		card.asOf = *written.AsOf
	}
	cards[c.key] = card
}

// look is how a user is, for others. The lock is held.
func (p *person) look(user string, state User) presence.Card {
	card := presence.Card{ID: user, Status: state.public(), LastSeen: state.LastSeen, Devices: []presence.Device{}}
	if card.Status == statusOffline {
		return card
	}
	card.LastSeen = time.Time{}
	told := state.told()
	card.CustomMessage, card.Until = told.Message, told.Until
	for _, key := range p.newest() {
		s := p.sessions[key]
		card.Name, card.Avatar = cmp.Or(card.Name, s.Name), cmp.Or(card.Avatar, s.About.Avatar)
		if s.Device == "" {
			continue
		}
		card.Devices = append(card.Devices, presence.Device{Ref: s.Ref, Kind: s.Device, Status: s.About.Activity, LastActive: s.About.LastActive})
		if s.About.LastActive.After(card.LastActive) {
			card.LastActive = s.About.LastActive
		}
	}
	slices.SortFunc(card.Devices, func(a, b presence.Device) int { return cmp.Compare(a.Ref, b.Ref) })
	return card
}

// newest lists the keys of the sessions, the newest first: of several names every
// look finds the same.
func (p *person) newest() []string {
	return slices.SortedFunc(maps.Keys(p.sessions), func(a, b string) int {
		return cmp.Or(p.sessions[b].Since.Compare(p.sessions[a].Since), cmp.Compare(a, b))
	})
}

// away reports whether the user touches none of their devices. Sessions that are
// no device do not tell.
func (p *person) away() bool {
	devices := 0
	for _, s := range p.sessions {
		if s.Device == "" {
			continue
		}
		if devices++; s.About.Activity != statusAway {
			return false
		}
	}
	return devices > 0
}

// observation is what the decider must hear of a user, if anything.
func (v *view) observation(user string, opened time.Time) (seen presence.Observe, facts uint64, news bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.people[user]
	if p == nil {
		return seen, 0, false
	}
	seen = presence.Observe{Online: len(p.sessions) > 0, Away: p.away(), At: p.seen}
	news = seen.Online != p.state.Online || seen.Online && seen.Away != p.state.Away
	if news && !seen.At.After(p.state.Since) && opened.After(seen.At) {
		seen.At = opened // they came, went or changed while nobody kept
	}
	return seen, p.facts, news
}

// changes lists what must be done to a user's cards.
func (v *view) changes(user string, now time.Time) []correction {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.people[user]
	if p == nil {
		return nil
	}
	var list []correction
	wanted := v.wanted(user, p)
	for key, written := range p.cards {
		if _, stays := wanted[key]; !stays && !written.removed && v.knows(p, written.asOf) {
			list = append(list, correction{key: key, revision: written.revision})
		}
	}
	for key, value := range wanted {
		written := p.cards[key]
		fresh := bytes.Equal(written.card, value.Meta) && now.Sub(written.written) < refreshCards
		if fresh || !v.knows(p, written.asOf) {
			continue
		}
		value.AsOf = &presence.AsOf{Facts: value.AsOf.Facts, Members: max(value.AsOf.Members, written.asOf.Members)}
		text, err := json.Marshal(value)
		if err != nil {
			continue // a card holds nothing that does not encode
		}
		list = append(list, correction{key: key, revision: written.revision, value: text})
	}
	return list
}

// knows reports whether we know at least what a card was made from.
func (v *view) knows(p *person, of presence.AsOf) bool {
	return p.facts >= of.Facts && v.members >= of.Members
}

// wanted are the cards that a user should have, by key. Who is offline has none.
func (v *view) wanted(user string, p *person) map[string]presence.Entry {
	card := p.look(user, p.state)
	if card.Status == statusOffline || len(p.sessions) == 0 {
		return nil
	}
	meta, err := json.Marshal(card)
	if err != nil {
		return nil
	}
	ref := cardRef(user)
	value := presence.Entry{
		User: user, Ref: ref, Name: card.Name, Meta: meta, Since: p.state.Since, Node: subjects.NodePresence,
		AsOf: &presence.AsOf{Facts: p.facts, Members: v.grouped},
	}
	wanted := map[string]presence.Entry{cardKey(subjects.UserPresence(user), user): value}
	for group := range p.groups {
		wanted[cardKey(subjects.GroupPresence(group), user)] = value
	}
	return wanted
}

// cardKey is the key of a user's card on a channel.
func cardKey(on subjects.Channel, user string) string {
	return subjects.PresenceKey(subjects.NodePresence, on.Seat(user, cardRef(user)))
}

// aged lists the users with cards that are to be written again, and forgets cards of
// which the bucket says nothing any more.
func (v *view) aged(now time.Time) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var users []string
	for user, p := range v.people {
		maps.DeleteFunc(p.cards, func(_ string, card posted) bool { return card.removed && now.Sub(card.written) > 2*topology.MarkerTTL })
		for _, card := range p.cards {
			if !card.removed && now.Sub(card.written) >= refreshCards {
				users = append(users, user)
				break
			}
		}
	}
	return users
}

// cardRef stands where a session's reference does; clients tell members by it, so
// it differs from user to user.
func cardRef(user string) string {
	sum := sha256.Sum256([]byte("latido card " + user))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}
