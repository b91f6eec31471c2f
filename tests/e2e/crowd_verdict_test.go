package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/kit"
)

// judge compares what is stored with the transcript: everyone's lines, byte by
// byte and in their order, and each acknowledged one exactly once.
func (c *crowd) judge(truth kit.Truth, into *counts) {
	c.T.Helper()
	into.messages += int(c.acked.Load())
	for _, wrong := range kit.JudgeSent(truth, c.sent) {
		c.T.Error(wrong)
	}
	said := map[string][]string{}
	for _, fact := range truth[c.channel] {
		if fact.Event != "new_message" {
			continue
		}
		var message chat.NewMessage
		if err := json.Unmarshal(fact.Data, &message); err != nil {
			c.T.Errorf("message %d: %v", fact.Seq, err)
		}
		said[fact.From] = append(said[fact.From], message.Text)
	}
	for _, part := range c.cast.Parts {
		if !slices.Equal(said[part.User], part.Texts) {
			c.T.Errorf("%s said %q in the transcript, %q in the stream", part.User, part.Texts, said[part.User])
		}
	}
}

// grace is how long the bridge waits for a member to return; those who were away
// nearly as long may be taken for gone.
const grace = 10 * time.Second

// judgePresence compares every watcher's list with the bucket, and what they saw
// with who really came and went.
func (c *crowd) judgePresence(into *counts) {
	c.T.Helper()
	come, gone, excused := map[string]int{}, map[string]int{}, map[string]bool{}
	for part, p := range c.persons {
		come[part.User], gone[part.User] = p.stints, p.ended
		if p.client.Tally().Away > grace-2*time.Second {
			excused[part.User] = true
			into.excused++
		}
	}
	for _, watcher := range c.watchers() {
		c.Check(c.sameAsBucket(watcher))
		told := map[string][]kit.Change{}
		for _, change := range watcher.Ledger.Changes() {
			told[change.User] = append(told[change.User], change)
		}
		for user, changes := range told {
			joins := 0
			for _, change := range changes {
				if change.Came {
					joins++
				}
			}
			leaves := len(changes) - joins
			if joins <= come[user] && leaves <= gone[user] || excused[user] {
				continue
			}
			into.flickers++
			c.T.Errorf("%s saw %s come %d times and go %d times, who came %d times and went %d times: told\n%v\nwritten\n%s",
				watcher.User(), user, joins, leaves, come[user], gone[user], changes, c.log.of(user))
		}
	}
}

func (c *crowd) watchers() []*kit.Client {
	watchers := []*kit.Client{c.host}
	for _, p := range c.persons {
		if _, told := p.client.Ledger.Count(c.channel); told {
			watchers = append(watchers, p.client)
		}
	}
	return watchers
}

// sameAsBucket waits until the watcher's list is the bucket's.
func (c *crowd) sameAsBucket(watcher *kit.Client) error {
	channel, err := subjects.ParseChannel(c.channel)
	if err != nil {
		return err
	}
	for {
		stored, err := kit.Seated(c.Ctx, c.NATS, channel.Present())
		if err != nil {
			return err
		}
		here := watcher.Ledger.Here()
		count, _ := watcher.Ledger.Count(c.channel)
		if slices.Equal(here, stored) && count == len(stored) {
			return nil
		}
		if kit.Wait(c.Ctx, 100*time.Millisecond); c.Ctx.Err() != nil {
			return fmt.Errorf("%s sees (count %d) and the bucket has: %s", watcher.User(), count, kit.Difference(here, stored))
		}
	}
}
