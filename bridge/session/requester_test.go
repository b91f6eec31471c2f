package session

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects/topology/bustest"
)

// That an earlier attempt is being stored is no answer: it is asked again until it is
// known what became of it.
func TestAnEarlierAttemptIsWaitedFor(t *testing.T) {
	t.Parallel()
	nc := bustest.Start(t).Connect(t)
	var asked atomic.Int32
	_, err := nc.Subscribe("evt.test.x", func(msg *nats.Msg) {
		answer := `{"stream":"TEST","seq":7}`
		if asked.Add(1) < 3 {
			answer = `{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"},"stream":"TEST","seq":0}`
		}
		_ = msg.Respond([]byte(answer))
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newRequester(nc)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.run(ctx) }()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	reply, err := r.request(t.Context(), nats.NewMsg("evt.test.x"))
	if err != nil {
		t.Fatal(err)
	}
	if ack, err := acknowledged(reply); err != nil || ack.Sequence != 7 {
		t.Errorf("got %+v, %v after %d attempts", ack, err, asked.Load())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
