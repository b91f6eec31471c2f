package es

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// Headers of message schedules, which nats.go has no names for.
const (
	headerSchedule       = "Nats-Schedule"
	headerScheduleTarget = "Nats-Schedule-Target"
	headerScheduler      = "Nats-Scheduler"
	headerScheduleNext   = "Nats-Schedule-Next"
)

const (
	// commandDue is sent to a channel at its deadline.
	commandDue = "due"
	// deadline names a channel's one message schedule.
	deadline = "deadline"
)

// schedule returns what is appended: the facts and, when the state after them has
// a deadline, the schedule for it in the same batch. When the state before had
// one and the new one has none, the first fact cancels it.
func (a *aggregates[S]) schedule(r request, before, after S, messages []*nats.Msg) []*nats.Msg {
	if a.decider.Deadline == nil {
		return messages
	}
	if next := a.decider.Deadline(after, r.Now); !next.IsZero() {
		message := reminder(r.Channel, next)
		message.Header.Set(jetstream.MsgIDHeader, r.id+"/"+deadline)
		return append(slices.Clip(messages), message)
	}
	if !a.decider.Deadline(before, time.Time{}).IsZero() {
		messages[0].Header.Set(headerScheduler, r.Channel.Due(deadline))
		messages[0].Header.Set(headerScheduleNext, "purge")
	}
	return messages
}

// reminder is the message schedule of a deadline. It replaces the channel's
// earlier one, and outlives the stream's age limit.
func reminder(channel subjects.Channel, at time.Time) *nats.Msg {
	return &nats.Msg{Subject: channel.Due(deadline), Data: []byte("{}"), Header: nats.Header{
		headerSchedule:         {"@at " + at.UTC().Format(time.RFC3339Nano)},
		headerScheduleTarget:   {channel.Fired(deadline)},
		jetstream.MsgTTLHeader: {"never"},
	}}
}

// firing turns what the schedules produce into commands. They wait in the stream
// while nobody is there to take them.
func (a *aggregates[S]) firing() reaction {
	kind := a.decider.Kind
	return reaction{
		name: kind + "-due", kind: kind, parse: subjects.ParseFired, read: a.read, react: a.fire, unread: a.unread,
	}
}

// fire judges a channel at its deadline and sees to it that the next one is
// scheduled, even when nothing happened.
func (a *aggregates[S]) fire(ctx context.Context, f fact) error {
	from := "service:" + a.decider.Kind
	body, err := a.decider.Commands[commandDue]([]byte("{}"))
	if err != nil {
		return err
	}
	key := deadline + "-" + strconv.FormatUint(f.seq, 10)
	meta := Meta{Channel: f.Channel, From: from, Role: subjects.RoleService, Key: key, Now: time.Now().UTC()}
	_, err = a.handle(ctx, request{
		Command: Command{Meta: meta, Body: body}, name: commandDue, body: []byte("{}"),
		id: subjects.MessageID(f.Channel, from, key), digest: digest(commandDue, []byte("{}")), header: nats.Header{},
	})
	if err != nil {
		return fmt.Errorf("due %s: %w", f.Channel, err)
	}
	// Whoever schedules after this look knows better than we do.
	last, err := history.Last(ctx, a.nc, a.stream, f.Channel.Due(deadline))
	if err != nil {
		return err
	}
	known, err := a.refresh(ctx, f.Channel)
	if err != nil {
		return err
	}
	next := a.decider.Deadline(known.state, meta.Now)
	if next.IsZero() {
		return nil
	}
	message := reminder(f.Channel, next)
	message.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
	if _, err := a.append(ctx, []*nats.Msg{message}); !errors.Is(err, errConflict) {
		return err
	}
	return nil
}
