package history

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

func TestAskAgainWhileTheClusterHasNoLeader(t *testing.T) {
	t.Parallel()
	nc := bustest.Start(t).Connect(t)
	answers := []string{
		`{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`,
		`{"cluster":{"name":"c"},"message":{"seq":6}}`,
		`{"cluster":{"name":"c","leader":"n1"},"message":{"seq":7}}`,
	}
	_, err := nc.Subscribe("leader", func(msg *nats.Msg) {
		_ = msg.Respond([]byte(answers[0]))
		answers = answers[1:]
	})
	if err != nil {
		t.Fatal(err)
	}
	var reply struct {
		Message struct {
			Seq uint64 `json:"seq"`
		} `json:"message"`
	}
	if err := ask(t.Context(), nc, "leader", nil, &reply); err != nil || reply.Message.Seq != 7 {
		t.Errorf("ask: %+v, %v", reply, err)
	}
}

// A cluster that has no leader until nobody waits any longer is told of as what it is.
func TestAskTellsOfAClusterWithoutALeader(t *testing.T) {
	t.Parallel()
	nc := bustest.Start(t).Connect(t)
	for subject, answer := range map[string]string{
		"unavailable": `{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`,
		"leaderless":  `{"cluster":{"name":"c"},"message":{"seq":6}}`,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		asked := 0
		if _, err := nc.Subscribe(subject, func(msg *nats.Msg) {
			if asked++; asked == 2 {
				cancel() // who asks again has read the first answer
				return
			}
			_ = msg.Respond([]byte(answer))
		}); err != nil {
			t.Fatal(err)
		}
		var reply struct{}
		if err := ask(ctx, nc, subject, nil, &reply); !topology.IsUnavailable(err) {
			t.Errorf("%s: %v", subject, err)
		}
	}
}
