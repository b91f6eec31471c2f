package faults

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
	"github.com/latido/latido/tests/kit"
)

// published is how many facts are stored after the crash.
const published = 1000

// TestACrashWhileStreamsAreMade is F25: the process that embeds NATS is killed while
// it makes its streams for the first time, runs again, stores facts, is killed, and
// runs once more. Every acknowledged fact is there.
func TestACrashWhileStreamsAreMade(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(*seed, 25))
	made := 0
	for round := range 3 * *rounds {
		made += crash(t, round, random)
	}
	table.add(row{
		fault: "F25 crash while streams are made", did: fmt.Sprintf("%d times, then %d facts and another crash", 3**rounds, published),
		note: fmt.Sprintf("%d streams were made before the crashes", made),
	})
}

// crash returns how many streams were made before the first crash.
func crash(t *testing.T, round int, random *rand.Rand) (made int) {
	t.Helper()
	data, listen := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", bustest.FreePorts(t, 1)[0])
	start := func(life string) *kit.Process {
		return kit.Launch(t, kit.Program{Node: fmt.Sprint(life, round), Arguments: []string{"--data", data, "--nats-listen", listen}})
	}
	streams := func() int {
		folders, _ := filepath.Glob(filepath.Join(data, "jetstream", "*", "streams", "*"))
		return len(folders)
	}
	first := start("first")
	for after := random.IntN(11); streams() <= after; {
		select {
		case <-first.Ready: // faster than we can look
			after = -1
		case <-first.Ended:
			t.Fatal("the first life ended by itself")
		default:
		}
	}
	kit.Wait(t.Context(), time.Duration(random.IntN(3000))*time.Microsecond)
	first.Kill()
	made = streams()

	second := start("second")
	second.Serves(t)
	js := connect(t, listen)
	subject := []string{"evt.room.1", "evt.ops.1", "evt.global.1", "evt.user.1", "evt.group.1", "evt.app.1", "evt.tracking.1"}
	acks := make([]jetstream.PubAckFuture, published)
	for i := range acks {
		var err error
		if acks[i], err = js.PublishAsync(subject[i%len(subject)], []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			t.Fatal(err)
		}
	}
	second.Kill()

	third := start("third")
	third.Serves(t)
	if stored := count(t, connect(t, listen)); stored != published {
		t.Errorf("round %d: %d of %d facts after a crash at %d streams", round, stored, published, made)
	}
	third.Kill()
	return made
}

// count is how many facts all streams hold.
func count(t *testing.T, js jetstream.JetStream) (facts uint64) {
	t.Helper()
	for _, declared := range topology.Streams(topology.Config{}) {
		stream, err := js.Stream(t.Context(), declared.Name)
		if err != nil {
			t.Fatal(err)
		}
		facts += stream.CachedInfo().State.Msgs
	}
	return facts
}

func connect(t *testing.T, address string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("nats://" + address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
