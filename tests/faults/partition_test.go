package faults

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/subjects/topology"
)

// TestPartition is F21: a bridge cannot reach NATS while its peers stay with it.
// They are told so when it is noticed, and that it is over; none of them sees
// anybody go. Others see its members go only when the partition outlasts the
// lease, once, and come back once.
func TestPartition(t *testing.T) {
	t.Parallel()
	const long = topology.LeaseTTL + 6*time.Second // others take it for dead by then
	for name, test := range map[string]struct {
		lasts  time.Duration
		breaks func(*Cable)
		longer bool
	}{
		"severed, shorter than the lease": {4 * time.Second, (*Cable).Sever, false},
		"severed, longer than the lease":  {long, (*Cable).Sever, true},
		"silent, shorter than the lease":  {4 * time.Second, (*Cable).Silence, false},
		"silent, longer than the lease":   {long, (*Cable).Silence, true},
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
	strait            *Cable
	islanders, others []*Peer
	within, outside   *Peer // observers
}

func newPartition(t *testing.T) *partition {
	t.Helper()
	s := newStage(t)
	p := &partition{stage: s, strait: s.cable(s.nc.ConnectedAddr())}
	island := s.process("bridge", "island", "nats://"+p.strait.Addr())
	mainland := s.bridge("mainland")
	channels := append(rooms(5), afterwards)
	p.within, p.outside = s.observer("within", island.http, channels...), s.observer("outside", mainland.http, channels...)
	p.islanders, p.others = s.crowd("islander", 5, island.http, rooms(5)), s.crowd("other", 5, mainland.http, rooms(5))
	return p
}

// afterwards is where an islander shows itself when the partition is over: whoever
// sees that has seen everything before it.
const afterwards = "app:afterwards"

func (p *partition) run(name string, lasts time.Duration, breaks func(*Cable), longer bool) {
	p.t.Helper()
	islanders, others := seats(p.islanders), seats(p.others)
	everybody := slices.Concat(islanders, others)
	p.truth(time.Now(), everybody, p.within, p.outside)
	turn(p.within, p.outside)
	breaks(p.strait)
	broken := time.Now()
	var gone time.Duration
	var owed Owed
	if longer {
		gone = p.truth(broken, others, p.outside)
		p.stored(broken, others)
		p.must(p.within.Told(p.ctx, 1, 0))
		owed = Owed{Came: Each(islanders), Went: Each(islanders)}
	}
	wait(p.ctx, time.Until(broken.Add(lasts)))

	p.strait.Mend()
	mended := time.Now()
	p.must(p.islanders[0].Show(p.ctx, afterwards))
	message := on(afterwards, islanders[:1])
	back := p.truth(mended, slices.Concat(everybody, message), p.outside, p.within)
	back = max(back, p.stored(mended, slices.Concat(everybody, message)))
	told := p.healed()
	wrong := p.judge(p.within, Owed{Came: Each(message)})
	owed.Came = Each(slices.Concat(message, slices.Collect(maps.Keys(owed.Came))))
	wrong += p.judge(p.outside, owed)
	table.add(row{
		fault: "F21 partition", did: fmt.Sprintf("%s: %.0f s", name, mended.Sub(broken).Seconds()), presences: len(everybody),
		owed: len(owed.Came) + len(owed.Went) + len(message), wrong: wrong, gone: gone, back: back,
		note: fmt.Sprintf("told degraded %d times, restored %d times", told.Degraded, told.Restored),
	})
}

// healed blocks until each islander that was told of the partition was told of its
// end, on the connection it had all the time.
func (p *partition) healed() (told Tally) {
	p.t.Helper()
	for _, peer := range append(p.islanders, p.within) {
		told = peer.Tally()
		p.must(peer.Told(p.ctx, told.Degraded, told.Degraded))
		if told.Connections != 1 {
			p.t.Errorf("%s needed %d connections", peer.cfg.User, told.Connections)
		}
	}
	return p.within.Tally()
}
