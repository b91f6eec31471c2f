package faults

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/tests/kit"
)

// TestPartition is F21: a bridge cannot reach NATS while its clients stay with it.
// They are told so when it is noticed, and that it is over; none of them sees
// anybody go. Others see its members go only when the partition outlasts the
// lease, once, and come back once.
func TestPartition(t *testing.T) {
	t.Parallel()
	const (
		long  = topology.LeaseTTL + 6*time.Second // others take it for dead by then
		brief = 2 * time.Second                   // however old the lease was, and if the machine stalls
	)
	for name, test := range map[string]struct {
		lasts  time.Duration
		breaks func(*kit.Proxy)
		longer bool
	}{
		"cut, shorter than the lease":     {brief, (*kit.Proxy).Cut, false},
		"cut, longer than the lease":      {long, (*kit.Proxy).Cut, true},
		"stalled, shorter than the lease": {brief, (*kit.Proxy).Stall, false},
		"stalled, longer than the lease":  {long, (*kit.Proxy).Stall, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newPartition(t).run(name, test.lasts, test.breaks, test.longer)
		})
	}
}

// partition is a bridge on an island and one on the mainland.
type partition struct {
	*stage
	proxy             *kit.Proxy
	islanders, others []*kit.Client
	within, outside   *kit.Client // observers
}

func newPartition(t *testing.T) *partition {
	t.Helper()
	s := newStage(t)
	p := &partition{stage: s, proxy: s.Proxy(s.NATS.ConnectedAddr())}
	island := s.bridge("island", "--nats-url", p.proxy.URL())
	mainland := s.bridge("mainland")
	channels := append(rooms(5), afterwards)
	p.within, p.outside = s.observer("within", island.HTTP, channels...), s.observer("outside", mainland.HTTP, channels...)
	p.islanders, p.others = s.crowd("islander", 5, island.HTTP, rooms(5)), s.crowd("other", 5, mainland.HTTP, rooms(5))
	return p
}

// afterwards is where an islander shows itself when the partition is over: whoever
// sees that has seen everything before it.
const afterwards = "app:afterwards"

func (p *partition) run(name string, lasts time.Duration, breaks func(*kit.Proxy), longer bool) {
	p.T.Helper()
	islanders, others := seats(p.islanders), seats(p.others)
	everybody := slices.Concat(islanders, others)
	p.truth(time.Now(), everybody, p.within, p.outside)
	reset(p.within, p.outside)
	breaks(p.proxy)
	broken := time.Now()
	var gone time.Duration
	var owed kit.Owed
	if longer {
		gone = p.truth(broken, others, p.outside)
		p.stored(broken, others)
		p.Must(p.within.Told(p.Ctx, 1, 0))
		owed = kit.Owed{Came: kit.Each(islanders), Went: kit.Each(islanders)}
	}
	kit.Wait(p.Ctx, time.Until(broken.Add(lasts)))

	p.proxy.Restore()
	mended := time.Now()
	p.Must(p.islanders[0].Track(p.Ctx, afterwards, nil))
	message := on(afterwards, islanders[:1])
	back := p.truth(mended, slices.Concat(everybody, message), p.outside, p.within)
	back = max(back, p.stored(mended, slices.Concat(everybody, message)))
	told := p.healed()
	wrong := p.judge(p.within, kit.Owed{Came: kit.Each(message)})
	owed.Came = kit.Each(slices.Concat(message, slices.Collect(maps.Keys(owed.Came))))
	wrong += p.judge(p.outside, owed)
	table.add(row{
		fault: "F21 partition", did: fmt.Sprintf("%s: %.0f s", name, mended.Sub(broken).Seconds()), presences: len(everybody),
		owed: len(owed.Came) + len(owed.Went) + len(message), wrong: wrong, gone: gone, back: back,
		note: fmt.Sprintf("told degraded %d times, restored %d times", told.Degraded, told.Restored),
	})
}

// healed blocks until each islander that was told of the partition was told of its
// end, on the connection it had all the time.
func (p *partition) healed() (told kit.Tally) {
	p.T.Helper()
	for _, client := range append(p.islanders, p.within) {
		told = client.Tally()
		p.Must(client.Told(p.Ctx, told.Degraded, told.Degraded))
		if told.Connections != 1 {
			p.T.Errorf("%s needed %d connections", client.User(), told.Connections)
		}
	}
	return p.within.Tally()
}
