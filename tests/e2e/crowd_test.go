package e2e

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/tests/kit"
)

// crowd replays one transcript in one room: each person is a client.
type crowd struct {
	*world
	channel string
	lines   []Line
	cast    Cast
	host    *kit.Client
	persons map[*Part]*person
	acked   atomic.Int64
	log     *presenceLog

	mu   sync.Mutex
	sent []kit.Sent
}

// person is a client that does its part step by step.
type person struct {
	*crowd
	part   *Part
	client *kit.Client
	steps  chan func(context.Context) error
	stop   func() // nil while away
	watch  bool   // who is there
	meta   map[string]string
	stints int // how often it was shown
	ended  int // how often it was shown no longer, of its own will
}

// presenceEvery: one person in so many watches who is there. Telling everyone
// about everyone is quadratic and is not what is judged.
const presenceEvery = 8

// nasty are texts that no transcript of ours holds but people write.
var nasty = []string{
	"", " ", "\x01\x1b[31m\x7f", "\r\n\n", "\u2028\u2029\ufeff", "</script><!--", `\" \\ \u0000 {"op":"event"}`,
	"👩‍👩‍👧 שלום \u202eabc", "e\u0301 é", strings.Repeat("\u200b", 100), "*", "> . $KV.presence",
}

// newCrowd opens the transcript's room for all its persons.
func newCrowd(w *world, name string, lines []Line) *crowd {
	for i, text := range nasty {
		at := i * len(lines) / len(nasty)
		lines = append(lines[:at:at], append([]Line{{Kind: Said, Nick: "Bobby Tables; >*.", Text: text}}, lines[at:]...)...)
	}
	c := &crowd{world: w, channel: "room:#ubuntu " + name, lines: lines, cast: CastOf(lines), persons: map[*Part]*person{}, log: newPresenceLog(w.Stage)}
	members := []string{}
	for i, part := range c.cast.Parts {
		members = append(members, part.User)
		c.persons[part] = &person{
			crowd: c, part: part, client: w.Client(kit.ClientConfig{Who: kit.Identity{User: part.User, Name: part.User}}),
			steps: make(chan func(context.Context) error, len(lines)), meta: map[string]string{"nick": part.User}, watch: i%presenceEvery == 0,
		}
	}
	c.host = w.Client(kit.ClientConfig{Who: kit.Identity{User: "ChanServ " + name}})
	w.Run(c.host)
	if _, _, err := c.host.Call(w.Ctx, c.channel, "open", chat.Open{Members: members, Title: name}); err != nil {
		w.T.Fatalf("open %s: %v", c.channel, err)
	}
	if err := c.host.Follow(w.Ctx, c.channel, kit.FromFirst, true); err != nil {
		w.T.Fatal(err)
	}
	return c
}

// arrive brings those who are there from the start, and starts everyone's steps.
func (c *crowd) arrive(working *sync.WaitGroup) {
	var arriving sync.WaitGroup
	for _, p := range c.persons {
		arrived := make(chan struct{})
		if p.part.There {
			p.steps <- p.come
		}
		p.steps <- func(context.Context) error { close(arrived); return nil }
		working.Go(p.work)
		arriving.Go(func() { <-arrived })
	}
	arriving.Wait()
}

// play gives each line to its person, evenly over the duration, and returns when
// all have done their part. Progress is told through the counter.
func (c *crowd) play(over time.Duration, working *sync.WaitGroup, given *atomic.Int64) {
	ticker := time.NewTicker(max(over/time.Duration(len(c.lines)), time.Microsecond))
	defer ticker.Stop()
	for i, line := range c.lines {
		select {
		case <-ticker.C:
		case <-c.Ctx.Done():
		}
		p := c.persons[c.cast.By[i]]
		p.steps <- p.step(line)
		given.Add(1)
	}
	for _, p := range c.persons {
		close(p.steps)
	}
	working.Wait()
}

func (p *person) work() {
	for step := range p.steps {
		if err := step(p.Ctx); err != nil {
			p.T.Errorf("%s: %v", p.part.User, err)
		}
	}
}

func (p *person) step(line Line) func(context.Context) error {
	switch line.Kind {
	case Said:
		return func(ctx context.Context) error { return p.say(ctx, line.Text) }
	case Joined:
		return p.come
	case Left:
		return p.leave
	case Renamed:
		return func(ctx context.Context) error { return p.rename(ctx, line.To) }
	}
	panic("a line of no kind")
}

// come connects, reads and is shown. Who comes while there has lost the connection.
func (p *person) come(ctx context.Context) error {
	if p.stop != nil {
		p.client.Cut(true)
		return nil
	}
	p.stop = p.Run(p.client)
	p.stints++
	if err := p.client.Follow(ctx, p.channel, kit.FromNow, p.watch); err != nil {
		return err
	}
	return p.client.Track(ctx, p.channel, p.meta)
}

// leave goes as somebody does who closes the page.
func (p *person) leave(ctx context.Context) error {
	if p.stop == nil {
		return nil
	}
	if err := p.client.Untrack(ctx, p.channel); err != nil {
		return err
	}
	p.ended++
	p.stop()
	p.stop = nil
	p.client.Forget()
	return nil
}

func (p *person) rename(ctx context.Context, to string) error {
	if p.stop == nil {
		return nil
	}
	p.meta = map[string]string{"nick": to}
	return p.client.Track(ctx, p.channel, p.meta)
}

// say waits for the answer, so that a person's lines keep their order.
func (p *person) say(ctx context.Context, text string) error {
	if p.stop == nil {
		if err := p.come(ctx); err != nil {
			return err
		}
	}
	seq, key, err := p.client.Publish(ctx, p.channel, "new_message", chat.Post{Text: text})
	if err != nil {
		return err
	}
	p.acked.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, kit.Sent{User: p.part.User, Channel: p.channel, Key: key, Seq: seq})
	return nil
}

// reassemble brings back whoever has left, so that every log has to be whole.
func (c *crowd) reassemble() {
	for _, p := range c.persons {
		if p.stop == nil {
			p.stop = c.Run(p.client)
		}
	}
}
