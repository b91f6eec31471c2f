package history_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology/bustest"
)

// lagging makes a stream with two facts, whose leader answers and whose Direct Get
// is left to the test: a replica that finds nothing for some answers.
func lagging(t *testing.T, answers int) (nc *nats.Conn, facts []*jetstream.RawStreamMsg) {
	t.Helper()
	nc = bustest.Start(t).Connect(t)
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LAGGING", Subjects: []string{"lagging"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ack, err := js.Publish(t.Context(), "lagging", nil)
		if err != nil {
			t.Fatal(err)
		}
		fact, err := stream.GetMsg(t.Context(), ack.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		facts = append(facts, fact)
	}
	_, err = nc.Subscribe("$JS.API.DIRECT.GET.LAGGING", func(msg *nats.Msg) {
		if answers--; answers >= 0 {
			_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"404"}}})
			return
		}
		_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{
			"Nats-Sequence":   {strconv.FormatUint(facts[1].Sequence, 10)},
			"Nats-Time-Stamp": {facts[1].Time.Format(time.RFC3339Nano)},
		}})
		_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"204"}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	return nc, facts
}

func TestBeforeDoesNotBelieveAReplicaThatLags(t *testing.T) {
	t.Parallel()
	nc, facts := lagging(t, 5)
	last := facts[1]
	for _, row := range []struct {
		subject string
		since   time.Time
		want    uint64
	}{
		{"lagging", last.Time.Add(1), last.Sequence},
		{"nothing", last.Time, 0},
		{"lagging", last.Time, last.Sequence - 1},
	} {
		after, err := history.Before(t.Context(), nc, "LAGGING", row.subject, row.since)
		if err != nil || after != row.want {
			t.Errorf("of %s before %v: %d, %v, want %d", row.subject, row.since, after, err, row.want)
		}
	}
}

func TestBeforeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	nc, facts := lagging(t, 1<<30)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if after, err := history.Before(ctx, nc, "LAGGING", "lagging", facts[1].Time); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d, %v", after, err)
	}
}
