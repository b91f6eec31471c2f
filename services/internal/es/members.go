package es

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// tombstone is how long a revoked membership stays as an entry without a role:
// longer than anyone may hold on to an older state.
const tombstone = time.Minute

// membership is a projection: a bucket as one kind's facts have it.
// Writers race: the one that answers a command, its twin in another replica,
// and the reactor that heals after a crash. So an entry names the fact it is
// true of, and only a newer one replaces it.
type membership struct {
	*bus
	stream string // of the facts
	bucket string
	key    func(channel subjects.Channel, user string) string
}

func newMembership[S any](b *bus, stream string, declared Members[S]) *membership {
	m := &membership{bus: b, stream: stream, bucket: cmp.Or(declared.Bucket, subjects.BucketMembers), key: declared.Key}
	if m.key == nil {
		m.key = subjects.Channel.Member
	}
	return m
}

// set makes the user's role in the channel what a state at seq says, unless the
// entry is of a newer state, or says the same and is not older than the fact
// changed, which is why we look. One that names a fact above seq which the channel does
// not have is of a past that is gone.
func (m *membership) set(ctx context.Context, channel subjects.Channel, user, role string, changed, seq uint64) error {
	subject := "$KV." + m.bucket + "." + m.key(channel, user)
	value, err := json.Marshal(subjects.Membership{Role: role, Seq: seq})
	if err != nil {
		return err
	}
	return persist(ctx, func(ctx context.Context) error {
		for {
			current, revision, err := m.current(ctx, subject)
			if err != nil {
				return err
			}
			if current.Seq > seq {
				newer, _, err := history.Message(ctx, m.nc, m.stream, current.Seq)
				if err != nil || newer.Subject == channel.Event() {
					return err
				}
			} else if current.Role == role && current.Seq >= changed {
				return nil
			}
			message := &nats.Msg{Subject: subject, Data: value, Header: nats.Header{
				jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(revision, 10)},
			}}
			if role == "" { // what KeyValue.Delete writes, but for the body and its end
				message.Header.Set("KV-Operation", "DEL")
				message.Header.Set(jetstream.MsgTTLHeader, tombstone.String())
			}
			if _, err := m.publish(ctx, []*nats.Msg{message}); !errors.Is(err, errConflict) {
				return err
			}
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return err
			}
		}
	})
}

// current returns the user's entry, or what the last one left, as the bucket's
// leader has it.
func (m *membership) current(ctx context.Context, subject string) (entry subjects.Membership, revision uint64, err error) {
	message, _, err := history.LastMessage(ctx, m.nc, "KV_"+m.bucket, subject)
	if err != nil {
		return entry, 0, fmt.Errorf("read member: %w", err)
	}
	return subjects.ReadMembership(message.Data), message.Sequence, nil
}

// named lists whom the bucket names on a channel: who belongs to it, or did.
func (m *membership) named(ctx context.Context, channel subjects.Channel) (users []string, err error) {
	keys := "$KV." + m.bucket + "."
	err = persist(ctx, func(ctx context.Context) error {
		users = nil
		for after := uint64(0); ; {
			entry, found, err := history.NextMessage(ctx, m.nc, "KV_"+m.bucket, keys+channel.Everyone(), after)
			if err != nil || !found {
				return err
			}
			if _, user, err := subjects.ParseMember(strings.TrimPrefix(entry.Subject, keys)); err == nil {
				users = append(users, user)
			}
			after = entry.Sequence
		}
	})
	return users, err
}

// project writes to the bucket what the facts changed, as the state at seq has
// it.
func (a *aggregates[S]) project(ctx context.Context, channel subjects.Channel, state S, seq uint64, facts ...fact) error {
	if a.members == nil {
		return nil
	}
	for _, f := range facts {
		users := slices.Clone(a.decider.Members.Changed(f.Event))
		if a.saysAll(f) {
			named, err := a.members.named(ctx, channel)
			if err != nil {
				return fmt.Errorf("project members: %w", err)
			}
			users = append(users, named...)
		}
		slices.Sort(users)
		for _, user := range slices.Compact(users) {
			role := a.decider.Members.Role(state, user)
			if err := a.members.set(ctx, channel, user, role, f.seq, seq); err != nil {
				return fmt.Errorf("project member: %w", err)
			}
		}
	}
	return nil
}

// saysAll says whether a fact says who all the members are: then whoever else the bucket
// names is none, although no fact that is left says how they came in or went.
func (a *aggregates[S]) saysAll(f fact) bool {
	return f.Data != nil && len(subjects.Catalog[a.decider.Kind].Ends[f.Name].Only) > 0
}

// heal is the reactor's way to project: a crash may have come between a fact
// and its projection. It goes by the newest state, so that facts which are read
// again bring no revoked member back.
func (a *aggregates[S]) heal(ctx context.Context, f fact) error {
	if len(a.decider.Members.Changed(f.Event)) == 0 && !a.saysAll(f) {
		return nil
	}
	known, err := a.including(ctx, f)
	if err != nil {
		return err
	}
	return a.project(ctx, f.Channel, known.state, known.seq, f)
}
