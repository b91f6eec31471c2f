package es

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
	bucket string
	key    func(channel subjects.Channel, user string) string
}

func newMembership[S any](b *bus, declared Members[S]) *membership {
	m := &membership{bus: b, bucket: cmp.Or(declared.Bucket, subjects.BucketMembers), key: declared.Key}
	if m.key == nil {
		m.key = subjects.Channel.Member
	}
	return m
}

// set makes the user's role in the channel what a state at seq says, unless the
// entry is of a newer state, or says the same and is not older than the fact
// changed, which is why we look.
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
			if current.Seq >= seq || current.Role == role && current.Seq >= changed {
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

// project writes to the bucket what the facts changed, as the state at seq has
// it.
func (a *aggregates[S]) project(ctx context.Context, channel subjects.Channel, state S, seq uint64, facts ...fact) error {
	if a.members == nil {
		return nil
	}
	for _, f := range facts {
		for _, user := range a.decider.Members.Changed(f.Event) {
			role := a.decider.Members.Role(state, user)
			if err := a.members.set(ctx, channel, user, role, f.seq, seq); err != nil {
				return fmt.Errorf("project member: %w", err)
			}
		}
	}
	return nil
}

// heal is the reactor's way to project: a crash may have come between a fact
// and its projection. It goes by the newest state, so that facts which are read
// again bring no revoked member back.
func (a *aggregates[S]) heal(ctx context.Context, f fact) error {
	if len(a.decider.Members.Changed(f.Event)) == 0 {
		return nil
	}
	known, err := a.including(ctx, f)
	if err != nil {
		return err
	}
	return a.project(ctx, f.Channel, known.state, known.seq, f)
}
