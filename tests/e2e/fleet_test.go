package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/schemas/ops"
	"github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/tests/kit"
)

// fleet replays cab traces: each (cab, day) is an operator who reports where it
// is, each pickup is a request that all operators try to accept at once.
type fleet struct {
	*world
	speed     float64 // trace seconds per second
	operators []*operator
	working   sync.WaitGroup

	mu     sync.Mutex
	orders map[string]*order
	sent   []kit.Sent
	fixes  map[schemas.Code]int // by what they were answered, 0 for taken
}

// operator is one cab on one day.
type operator struct {
	*fleet
	name     string
	client   *kit.Client
	dispatch *kit.Client // sees where the cab is while it is free
	legs     [][]Fix
}

// order is one pickup.
type order struct {
	id      string
	leg     []Fix
	winners []string
	losers  int
}

const broadcast = "ops:broadcast"

// wholeDay is how much of a day an operator replays at size 1.
const wholeDay = 4 * time.Hour

// newFleet connects the operators: of all (cab, day) the part that size says,
// each from shortly before its first pickup on.
func newFleet(w *world, traces map[string][]Fix, size float64, over time.Duration) *fleet {
	f := &fleet{world: w, orders: map[string]*order{}, fixes: map[schemas.Code]int{}}
	shift := time.Duration(float64(wholeDay) * size)
	f.speed = float64(shift) / float64(over)
	for _, cab := range slices.Sorted(maps.Keys(traces)) {
		days, dispatch := Days(traces[cab]), w.Client(kit.ClientConfig{Who: kit.Identity{User: "dispatch of " + cab, Role: "supervisor"}})
		w.Run(dispatch)
		for _, day := range days[:max(1, int(float64(len(days))*size))] {
			o := &operator{fleet: f, dispatch: dispatch, name: fmt.Sprintf("%s/%s", cab, day[0].At.UTC().Format(time.DateOnly)), legs: shiftOf(day, shift)}
			o.client = w.Client(kit.ClientConfig{Who: kit.Identity{User: o.name, Role: "operator"}, OnEvent: o.hear})
			f.operators = append(f.operators, o)
		}
	}
	for _, o := range f.operators {
		w.Run(o.client)
	}
	for _, o := range f.operators {
		w.Check(o.client.Follow(w.Ctx, broadcast, kit.FromFirst, false))
	}
	return f
}

// shiftOf cuts the legs of a day to a shift that begins with the leg before the
// first pickup.
func shiftOf(day []Fix, shift time.Duration) [][]Fix {
	legs := Legs(day)
	first := slices.IndexFunc(legs, func(leg []Fix) bool { return leg[0].Occupied })
	legs = legs[max(first-1, 0):]
	end := slices.IndexFunc(legs, func(leg []Fix) bool { return leg[0].At.Sub(legs[0][0].At) > shift })
	if end > 0 {
		legs = legs[:end]
	}
	return legs
}

// play drives all shifts at once and returns when every order is done.
func (f *fleet) play() {
	for _, o := range f.operators {
		f.working.Go(o.drive)
	}
	f.working.Wait()
}

func (o *operator) drive() {
	for i, leg := range o.legs {
		pickup := leg[0].Occupied && (i == 0 || !o.legs[i-1][0].Occupied)
		var err error
		if pickup {
			id := fmt.Sprintf("%s.%d", o.name, leg[0].At.Unix())
			o.working.Go(func() { o.Check(o.request(id, leg)) })
			err = o.pace(o.Ctx, leg[len(leg)-1].At.Sub(leg[0].At))
		} else {
			err = o.cruise(o.Ctx, fmt.Sprintf("tracking:%s/%d", o.name, i), leg)
		}
		if !o.Check(err) {
			return
		}
	}
}

// cruise reports a leg on a track of the operator's own, which dispatch follows.
func (o *operator) cruise(ctx context.Context, channel string, leg []Fix) error {
	open := tracking.Open{Operator: o.name, Watchers: []string{o.dispatch.User()}}
	if _, _, err := o.client.Call(ctx, channel, "open", open); err != nil {
		return fmt.Errorf("open %s: %w", channel, err)
	}
	if err := o.dispatch.Follow(ctx, channel, kit.FromFirst, false); err != nil {
		return err
	}
	if err := o.report(ctx, channel, leg); err != nil {
		return err
	}
	_, _, err := o.client.Call(ctx, channel, "close", tracking.Close{})
	return err
}

// report sends a leg's fixes at the replay's speed and compares each answer with
// what the rule says.
func (o *operator) report(ctx context.Context, channel string, leg []Fix) error {
	stamped := Stamp(leg, time.Now())
	var track Track
	newest := uint64(0)
	for i, fix := range stamped {
		if i > 0 {
			if err := o.pace(ctx, leg[i].At.Sub(leg[i-1].At)); err != nil {
				return err
			}
		}
		seq, key, err := o.client.Publish(ctx, channel, "coords_update", fix)
		refused, is := errors.AsType[schemas.Refusal](err)
		if err != nil && !is {
			return err
		}
		want, told := track.Judge(fix), err == nil && seq > newest
		if !answersTo(want, refused.Code, told, time.Since(fix.At)) {
			return fmt.Errorf("fix %d of %s: answered %d at %d, which does not fit %v in %+v", i, channel, refused.Code, seq, fix, track)
		}
		if refused.Code == schemas.Implausible {
			track.Doubted(fix)
		}
		if told {
			newest = seq
			track.Told(fix)
			o.acknowledged(kit.Sent{User: o.name, Channel: channel, Key: key, Seq: seq})
		}
		o.mu.Lock()
		o.fixes[refused.Code]++
		o.mu.Unlock()
	}
	return nil
}

// tooOld is when the service may call a fix stale for its age; a fix gets that
// old only when its operator was cut off meanwhile.
const tooOld = 55 * time.Second

func answersTo(want Possibility, code schemas.Code, told bool, age time.Duration) bool {
	switch code {
	case schemas.Implausible:
		return want == Impossible || want == Borderline
	case schemas.Duplicate, schemas.OutOfOrder:
		return want == Stale
	case schemas.Stale:
		return age > tooOld
	case 0:
		return want == Borderline || want == Possible && told || want == Still && !told
	default:
		return false
	}
}

// request is the life of one order as its client sees it.
func (o *operator) request(id string, leg []Fix) error {
	o.mu.Lock()
	o.orders[id] = &order{id: id, leg: leg}
	o.mu.Unlock()
	rider := o.Client(kit.ClientConfig{Who: kit.Identity{User: "rider " + id, Role: "client"}})
	o.Run(rider)
	channel := "ops:" + id
	body := ops.Request{Zona: "San Francisco", Precio: float64(len(leg)), Lat: &leg[0].Lat, Lng: &leg[0].Lng}
	seq, key, err := rider.Call(o.Ctx, channel, "request", body)
	if err != nil {
		return fmt.Errorf("request %s: %w", id, err)
	}
	o.acknowledged(kit.Sent{User: rider.User(), Channel: channel, Key: key, Seq: seq})
	if err := rider.Follow(o.Ctx, channel, kit.FromFirst, false); err != nil {
		return err
	}
	assigned, err := assignedTo(o.Ctx, rider, channel)
	if err != nil {
		return err
	}
	return o.greet(o.Ctx, rider, assigned, "¿Dónde está?")
}

// hear tries to accept whatever is offered. It is called by the reader.
func (o *operator) hear(event *bridge.Event) {
	var offered ops.NewRequest
	if event.Event != "new_request" || json.Unmarshal(event.Data, &offered) != nil {
		return
	}
	o.working.Go(func() { o.Check(o.accept(offered.ID)) })
}

func (o *operator) accept(id string) error {
	channel := "ops:" + id
	seq, key, err := o.client.Call(o.Ctx, channel, "accept", ops.Accept{})
	if errors.Is(err, schemas.Refusal{Code: schemas.Taken}) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.orders[id].losers++
		return nil
	}
	if err != nil {
		return fmt.Errorf("accept %s: %w", id, err)
	}
	o.acknowledged(kit.Sent{User: o.name, Channel: channel, Key: key, Seq: seq})
	o.mu.Lock()
	won := o.orders[id]
	won.winners = append(won.winners, o.name)
	o.mu.Unlock()
	if err := o.client.Follow(o.Ctx, channel, kit.FromFirst, false); err != nil {
		return err
	}
	assigned, err := assignedTo(o.Ctx, o.client, channel)
	if err != nil {
		return err
	}
	if err := o.greet(o.Ctx, o.client, assigned, "Ya voy"); err != nil {
		return err
	}
	return o.report(o.Ctx, assigned.Tracking, won.leg)
}

func assignedTo(ctx context.Context, client *kit.Client, channel string) (ops.Assigned, error) {
	event, err := client.Event(ctx, channel, "assigned")
	if err != nil {
		return ops.Assigned{}, err
	}
	var assigned ops.Assigned
	err = json.Unmarshal(event.Data, &assigned)
	return assigned, err
}

// greet follows the order's channels and says something in its room.
func (o *operator) greet(ctx context.Context, client *kit.Client, assigned ops.Assigned, text string) error {
	for _, channel := range []string{assigned.Room, assigned.Tracking} {
		if err := client.Follow(ctx, channel, kit.FromFirst, false); err != nil {
			return err
		}
	}
	seq, key, err := client.Publish(ctx, assigned.Room, "new_message", chat.Post{Text: text})
	if err != nil {
		return err
	}
	o.acknowledged(kit.Sent{User: client.User(), Channel: assigned.Room, Key: key, Seq: seq})
	return nil
}

func (f *fleet) acknowledged(s kit.Sent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, s)
}

// pace lets a time of the trace pass at the replay's speed.
func (f *fleet) pace(ctx context.Context, recorded time.Duration) error {
	ticker := time.NewTicker(max(time.Duration(float64(recorded)/f.speed), time.Microsecond))
	defer ticker.Stop()
	select {
	case <-ticker.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// judge compares what the clients were told with what is stored: one taker each.
func (f *fleet) judge(truth kit.Truth, into *counts) {
	f.T.Helper()
	into.messages += len(f.sent)
	into.requests += len(f.orders)
	into.fixes, into.impossible, into.stale = f.fixes[0], f.fixes[schemas.Implausible], f.fixes[schemas.Stale]
	for _, wrong := range kit.JudgeSent(truth, f.sent) {
		f.T.Error(wrong)
	}
	offered, taken := map[string]int{}, map[string]int{}
	for _, fact := range truth[broadcast] {
		var about ops.RequestTaken
		f.Check(json.Unmarshal(fact.Data, &about))
		switch fact.Event {
		case "new_request":
			offered[about.ID]++
		case "request_taken":
			taken[about.ID]++
		}
	}
	for id, o := range f.orders {
		into.taken += o.losers
		told := offered[id] == 1 && taken[id] == 1
		if f.oneTaker(truth["ops:"+id], o) && told && o.losers == len(f.operators)-1 {
			into.winners++
			continue
		}
		f.T.Errorf("order %s: won by %v, %d were too late, offered %d times, told taken %d times, facts %v", id, o.winners, o.losers, offered[id], taken[id], truth["ops:"+id])
	}
}

// oneTaker says whether the order's facts are its life, with the winner that was told.
func (f *fleet) oneTaker(facts []kit.Fact, o *order) bool {
	var names []string
	var accepted ops.Accepted
	for _, fact := range facts {
		names = append(names, fact.Event)
		if fact.Event == "accepted" {
			f.Check(json.Unmarshal(fact.Data, &accepted))
		}
	}
	return slices.Equal(names, []string{"requested", "accepted", "assigned"}) && slices.Equal(o.winners, []string{accepted.Operator})
}
