package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/subjects"
)

// judge compares what is stored with the transcript: everyone's lines, byte by
// byte and in their order, and each acknowledged one exactly once.
func (c *crowd) judge(truth Truth, into *counts) {
	c.t.Helper()
	into.messages += int(c.acked.Load())
	for _, wrong := range JudgeSent(truth, c.sent) {
		c.t.Error(wrong)
	}
	said := map[string][]string{}
	for _, fact := range truth[c.channel] {
		if fact.Event != "new_message" {
			continue
		}
		var message chat.NewMessage
		if err := json.Unmarshal(fact.Data, &message); err != nil {
			c.t.Errorf("message %d: %v", fact.Seq, err)
		}
		said[fact.From] = append(said[fact.From], message.Text)
	}
	for _, part := range c.cast.Parts {
		if !slices.Equal(said[part.User], part.Texts) {
			c.t.Errorf("%s said %q in the transcript, %q in the stream", part.User, part.Texts, said[part.User])
		}
	}
}

// grace is how long the bridge waits for a member to return; those who were away
// nearly as long may be taken for gone.
const grace = 10 * time.Second

// judgePresence compares every watcher's list with the bucket, and what they saw
// with who really came and went.
func (c *crowd) judgePresence(into *counts) {
	c.t.Helper()
	come, gone, excused := map[string]int{}, map[string]int{}, map[string]bool{}
	for part, p := range c.persons {
		come[part.User], gone[part.User] = p.stints, p.ended
		if p.client.Tally().Away > grace-2*time.Second {
			excused[part.User] = true
			into.excused++
		}
	}
	for _, watcher := range c.watchers() {
		c.check(c.sameAsBucket(watcher))
		roster := watcher.rosterOf(c.channel)
		for user := range roster.joins {
			if roster.joins[user] <= come[user] && roster.leaves[user] <= gone[user] || excused[user] {
				continue
			}
			into.flickers++
			c.t.Errorf("%s saw %s come %d times and go %d times, who came %d times and went %d times: told\n%s\nwritten\n%s",
				watcher.User(), user, roster.joins[user], roster.leaves[user], come[user], gone[user],
				strings.Join(roster.edges[user], "\n"), c.diary.of(user))
		}
	}
}

func (c *crowd) watchers() []*Client {
	watchers := []*Client{c.host}
	for _, p := range c.persons {
		if p.client.rosterOf(c.channel).told {
			watchers = append(watchers, p.client)
		}
	}
	return watchers
}

// sameAsBucket waits until the watcher's list is the bucket's.
func (c *crowd) sameAsBucket(watcher *Client) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		stored, err := membersIn(c.ctx, c.nc, c.channel)
		if err != nil {
			return err
		}
		roster := watcher.rosterOf(c.channel)
		told := []string{}
		for ref, member := range roster.members {
			told = append(told, member.User+" "+ref)
		}
		slices.Sort(told)
		if slices.Equal(told, stored) && roster.count == len(stored) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-c.ctx.Done():
			return fmt.Errorf("%s sees %d members (count %d), the bucket has %d: %s", watcher.User(), len(told), roster.count, len(stored), difference(told, stored))
		}
	}
}

// membersIn lists "user ref" of everyone the bucket has on the channel.
func membersIn(ctx context.Context, nc *nats.Conn, name string) ([]string, error) {
	channel, err := subjects.ParseChannel(name)
	if err != nil {
		return nil, err
	}
	seats, err := Seated(ctx, nc, channel.Present())
	if err != nil {
		return nil, err
	}
	members := []string{}
	for _, seat := range seats {
		_, user, ref, err := subjects.ParseSeat(seat)
		if err != nil {
			return nil, fmt.Errorf("seat %q: %w", seat, err)
		}
		members = append(members, user+" "+ref)
	}
	slices.Sort(members)
	return members, nil
}

func difference(told, stored []string) string {
	var lines []string
	for _, member := range told {
		if !slices.Contains(stored, member) {
			lines = append(lines, "+"+member)
		}
	}
	for _, member := range stored {
		if !slices.Contains(told, member) {
			lines = append(lines, "-"+member)
		}
	}
	return strings.Join(lines[:min(len(lines), 10)], ", ")
}
