package chat

import (
	"testing"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

func TestOpenThenPost(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	estest.Replica(t, bus, Run)
	estest.Replica(t, bus, Run)
	caller := estest.NewCaller(t, bus)
	channel := subjects.Channel{Kind: "room", ID: "42"}
	first := caller.Do(es.Call{Channel: channel, Command: "open", From: "ana", Key: "k1", Body: chat.Open{Members: []string{"luis"}}})
	second := caller.Do(es.Call{Channel: channel, Command: "post", From: "luis", Key: "k2", Body: chat.Post{Text: "hola"}})
	if second <= first {
		t.Errorf("post at %d, opened at %d", second, first)
	}
	caller.Refused(schemas.Forbidden, es.Call{Channel: channel, Command: "post", From: "eve", Key: "k3", Body: chat.Post{Text: "hi"}})
	t.Log(caller.Facts(channel))
}
