package ops

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/schemas/ops"
	"github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// assignment opens the room and the track of an accepted request, then assigns
// it. It reacts to the stored fact, so that it is made up for when the process
// that accepted has died. Each step is a command that may be repeated, and opens
// for the two of them alone, whoever was there before.
type assignment struct{ nc *nats.Conn }

func (a assignment) reactor() es.Reactor[Request] {
	return es.Reactor[Request]{Name: "ops-assignment", On: []es.EventBody{ops.Accepted{}}, React: a.react}
}

func (a assignment) react(ctx context.Context, event es.Event, r Request) error {
	if r.Stage != Accepted {
		return nil
	}
	order := event.Channel
	room := subjects.Channel{Kind: "room", ID: order.ID}
	track := subjects.Channel{Kind: "tracking", ID: order.ID}
	parties := []string{r.Client, r.Operator}
	if err := a.call(ctx, room, chat.Open{Members: parties}); err != nil {
		return fmt.Errorf("open room: %w", err)
	}
	opening := tracking.Open{Operator: r.Operator, Watchers: []string{r.Client}}
	if err := a.call(ctx, track, opening); err != nil {
		return fmt.Errorf("open tracking: %w", err)
	}
	assigning := ops.Assign{Room: room.String(), Tracking: track.String()}
	if err := a.call(ctx, order, assigning); err != nil {
		return fmt.Errorf("assign: %w", err)
	}
	return nil
}

// call sends a command once: it is its own key.
func (a assignment) call(ctx context.Context, channel subjects.Channel, body es.CommandBody) error {
	_, err := es.Call{
		Channel: channel, Command: body.CommandName(), Body: body, Key: body.CommandName(),
		From: "service:ops",
	}.Do(ctx, a.nc)
	return err
}
