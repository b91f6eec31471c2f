package admission

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

var limits = Limits{
	Publishes: 10, UserPublishes: 20, AddressPublishes: 40, Work: 10, UserWork: 20, AddressWork: 40,
	Pending: 20, AddressPending: 5,
}

// admitted asks until it is refused and returns how often it was let in.
func admitted(t *testing.T, d *Door, p *Payer, cost Cost) int {
	t.Helper()
	for n := range 1_000_000 {
		if err := d.Take(p, cost); err != nil {
			if code := schemas.RefusalOf(err).Code; code != schemas.RateLimited {
				t.Fatalf("refused with %d", code)
			}
			return n
		}
	}
	t.Fatal("never refused")
	return 0
}

func TestEachLevelHolds(t *testing.T) {
	t.Parallel()
	publish, work := Cost{Publishes: 1}, Cost{Work: 1}
	for name, test := range map[string]struct {
		cost     Cost
		sessions int
		users    int
		want     int
	}{
		"a session's publishes":   {publish, 1, 1, 10},
		"a user's publishes":      {publish, 50, 1, 20},
		"an address's publishes":  {publish, 1000, 1000, 40},
		"a session's work":        {work, 1, 1, 600},
		"a user's work":           {work, 50, 1, 1200},
		"an address's work":       {work, 1000, 1000, 2400},
		"HTTP's publishes":        {publish, 0, 1, 20},
		"HTTP's work":             {work, 0, 1, 1200},
		"a stranger's work":       {work, 0, 0, 2400},
		"work of many units":      {Cost{Work: 100}, 1, 1, 6},
		"more than there ever is": {Cost{Work: 10_000}, 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := New(limits)
				address, total := d.Address(netip.MustParseAddr("192.0.2.1")), 0
				for i := range max(test.sessions, 1) {
					p := &Payer{Address: address}
					if test.sessions > 0 {
						p.Session = &Account{}
					}
					if test.users > 0 {
						p.User = d.User(strconv.Itoa(i % test.users))
					}
					total += admitted(t, d, p, test.cost)
				}
				if total != test.want {
					t.Errorf("%d were let in, want %d", total, test.want)
				}
			})
		})
	}
}

func TestWhoWaitsAsToldIsLetIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := New(limits)
		p := &Payer{Session: &Account{}, User: d.User("ana")}
		for range 100 {
			err := d.Take(p, Cost{Publishes: 1, Work: 3})
			if refused, ok := errors.AsType[*LimitedError](err); ok {
				time.Sleep(refused.After - 1)
				if d.Take(p, Cost{Publishes: 1, Work: 3}) == nil {
					t.Fatal("let in too early")
				}
				time.Sleep(time.Nanosecond)
				err = d.Take(p, Cost{Publishes: 1, Work: 3})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A refusal takes nothing, at any level.
func TestARefusalIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := New(limits)
		loud := &Payer{Session: &Account{}, User: d.User("ana"), Address: d.Address(netip.MustParseAddr("192.0.2.1"))}
		admitted(t, d, loud, Cost{Publishes: 1})
		for range 1000 {
			if d.Take(loud, Cost{Publishes: 1, Work: 1}) == nil {
				t.Fatal("let in")
			}
		}
		quiet := &Payer{Session: &Account{}, User: loud.User, Address: loud.Address}
		if got := admitted(t, d, quiet, Cost{Publishes: 1}); got != 10 {
			t.Errorf("another session of the user had %d, want the 10 that the first left it", got)
		}
		other := &Payer{Session: &Account{}, User: d.User("eva"), Address: d.Address(netip.MustParseAddr("192.0.2.2"))}
		if got := admitted(t, d, other, Cost{Publishes: 1}); got != 10 {
			t.Errorf("another user at another address had %d, want all 10", got)
		}
	})
}

func TestAddressesAreThoseOfCustomers(t *testing.T) {
	t.Parallel()
	d := New(limits)
	of := func(text string) *Account { return d.Address(netip.MustParseAddr(text)) }
	if of("2001:db8::1") != of("2001:db8::ffff:1") || of("2001:db8::1") == of("2001:db8:0:1::1") {
		t.Error("IPv6 is not taken by /64")
	}
	if of("::ffff:192.0.2.1") != of("192.0.2.1") || of("192.0.2.1") == of("192.0.2.2") {
		t.Error("IPv4 is not taken by address")
	}
	if of("127.0.0.1") != nil || of("::1") != nil || d.Address(netip.Addr{}) != nil {
		t.Error("this machine is limited by address")
	}
}

// Whoever has many addresses makes the bridge forget others, and not remember more.
func TestAccountsAreBounded(t *testing.T) {
	t.Parallel()
	table := newAccounts[int](100, 0)
	kept := table.keep(-1)
	for i := range 100_000 {
		table.of(i)
		if table.len() > 2*100+2 {
			t.Fatalf("%d accounts after %d", table.len(), i)
		}
	}
	if table.of(-1) != kept {
		t.Error("an account with an open connection was forgotten")
	}
	table.letGo(kept)
	for i := range 1000 {
		table.of(i)
	}
	if table.of(-1) == kept {
		t.Error("an account without a connection is kept for ever")
	}
}

func TestStrangersAreCounted(t *testing.T) {
	t.Parallel()
	d := New(limits)
	here := netip.MustParseAddr("192.0.2.1")
	var visits []*Visit
	enter := func(address netip.Addr, refused bool) *Visit {
		t.Helper()
		v, err := d.Enter(address)
		if (err != nil) != refused {
			t.Fatalf("stranger %d: %v", len(visits), err)
		}
		visits = append(visits, v)
		return v
	}
	for range limits.AddressPending {
		enter(here, false)
	}
	enter(here, true).Leave()
	visits[0].Welcome("ana")
	enter(here, false)
	visits[0].Leave()
	enter(here, true).Leave()
	for range limits.Pending - limits.AddressPending {
		enter(netip.MustParseAddr("127.0.0.1"), false)
	}
	enter(netip.MustParseAddr("127.0.0.1"), true)
	if d.Crowded() {
		t.Error("crowded already")
	}
	for range limits.Pending {
		enter(netip.MustParseAddr("127.0.0.1"), true)
	}
	if !d.Crowded() {
		t.Error("not crowded with twice as many as may be")
	}
	for _, v := range visits {
		v.Leave()
		v.Leave() // once counts
	}
	if got := d.pending.Load(); got != 0 {
		t.Errorf("%d are waited for when all have left", got)
	}
}

func TestAHardStopIsFarAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, strain := New(limits), &Meter{}
		for range 10 * strainPerSecond { // ten seconds at the rate which is always fine
			if d.Strained(strain) {
				t.Fatal("stopped too early")
			}
			time.Sleep(time.Second / strainPerSecond)
		}
		n := 0
		for ; !d.Strained(strain); n++ {
		}
		if n < 900 || n > 1000 {
			t.Errorf("stopped after a burst of %d", n)
		}
	})
}

func TestAnswersAreHeldUntilRead(t *testing.T) {
	t.Parallel()
	d := New(limits)
	body := make([]byte, 1<<20)
	ana := d.User("ana")
	var held []*Answer
	for {
		answer, err := d.Hold(ana, body)
		if err != nil {
			break
		}
		held = append(held, answer)
	}
	if len(held) != answersOfUser>>20 {
		t.Errorf("%d MB for one user", len(held))
	}
	if _, err := d.Hold(d.User("eva"), body); err != nil {
		t.Errorf("another user: %v", err)
	}
	for _, answer := range held {
		_, _ = answer.Close(), answer.Close()
	}
	if got := ana.answers.Load(); got != 0 {
		t.Errorf("%d bytes are still held", got)
	}
	for i := 0; ; i++ {
		if _, err := d.Hold(d.User(strconv.Itoa(i)), body); err != nil {
			if code := schemas.RefusalOf(err).Code; code != schemas.Busy || i > answersAtOnce>>20 {
				t.Errorf("after %d MB in all: %v", i, err)
			}
			return
		}
	}
}

func TestReadsOfAUserWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ana := New(limits).User("ana")
		for range readsOfUser {
			if _, err := Read(t.Context(), ana); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Read(ctx, ana); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one too many: %v", err)
		}
	})
}

// What asks for more costs more, and nothing that needs the bus is free.
func TestPrices(t *testing.T) {
	t.Parallel()
	work := func(request wire.Request) int { _, cost := Price(request, 100, 10); return cost.Work }
	rising := []wire.Request{
		wire.Subscribe{},
		wire.Subscribe{Since: &wire.Position{}},
		wire.Subscribe{Since: &wire.Position{}, Presence: true},
		wire.Subscribe{Count: 1},
		wire.Subscribe{Age: 1, Presence: true},
		wire.Watch{Users: make([]string, 100)},
	}
	for i, request := range rising[1:] {
		if work(request) <= work(rising[i]) {
			t.Errorf("%#v costs %d, and %#v no more than that: %d", rising[i], work(rising[i]), request, work(request))
		}
	}
	for _, request := range []wire.Request{wire.Unsubscribe{}, wire.Track{}, wire.Untrack{}, wire.Count{}, wire.Token{}} {
		if work(request) == 0 {
			t.Errorf("%T is free", request)
		}
	}
	large := wire.Publish{Ref: "7", Data: json.RawMessage("{}")}
	if ref, cost := Price(large, 64<<10, 0); ref != "7" || cost != (Cost{Publishes: 1, Work: 16}) {
		t.Errorf("a publish of 64 KB: %q %+v", ref, cost)
	}
}

func BenchmarkTake(b *testing.B) {
	d := New(Limits{Publishes: 1 << 30, UserPublishes: 1 << 30, AddressPublishes: 1 << 30, Work: 1 << 30, UserWork: 1 << 30, AddressWork: 1 << 30})
	p := &Payer{Session: &Account{}, User: d.User("ana"), Address: d.Address(netip.MustParseAddr("192.0.2.1"))}
	b.ReportAllocs()
	for b.Loop() {
		_, cost := Price(wire.Publish{Ref: "1"}, 100, 0)
		if d.Take(p, cost) != nil {
			b.Fatal("refused")
		}
	}
}
