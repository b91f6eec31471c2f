package ops

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/schemas/ops"
	"github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// assignment opens the room and the track of an accepted request, then assigns
// it. It reacts to the stored fact, so that it is made up for when the process
// that accepted has died. Each step is a command that may be repeated.
type assignment struct{ nc *nats.Conn }

func (a assignment) reactor() es.Reactor[Request] {
	return es.Reactor[Request]{Name: "ops-assignment", On: []string{"accepted"}, React: a.react}
}

func (a assignment) react(ctx context.Context, event es.Event, r Request) error {
	if r.Stage != Accepted {
		return nil
	}
	order := event.Channel
	room := subjects.Channel{Kind: "room", ID: order.ID}
	track := subjects.Channel{Kind: "tracking", ID: order.ID}
	if err := a.openRoom(ctx, room, r); err != nil {
		return fmt.Errorf("open room: %w", err)
	}
	opening := tracking.Open{Operator: r.Operator, Watchers: []string{r.Client}}
	if err := a.call(ctx, track, "open", "open", opening); err != nil && !exists(err) {
		return fmt.Errorf("open tracking: %w", err)
	}
	assigning := ops.Assign{Room: room.String(), Tracking: track.String()}
	if err := a.call(ctx, order, "assign", "assign", assigning); err != nil {
		return fmt.Errorf("assign: %w", err)
	}
	return nil
}

// openRoom lets both parties into the room, which someone may have opened
// before under the same id.
func (a assignment) openRoom(ctx context.Context, room subjects.Channel, r Request) error {
	parties := []string{r.Client, r.Operator}
	err := a.call(ctx, room, "open", "open", chat.Open{Members: parties})
	if !exists(err) {
		return err
	}
	for _, user := range parties {
		if err := a.call(ctx, room, "invite", "invite-"+user, chat.Invite{User: user}); err != nil {
			return err
		}
	}
	return nil
}

func exists(err error) bool { return errors.Is(err, schemas.Refusal{Code: schemas.Exists}) }

func (a assignment) call(ctx context.Context, channel subjects.Channel, command, key string, body any) error {
	_, err := es.Call{
		Channel: channel, Command: command, Body: body, Key: key,
		From: "service:ops", Role: subjects.RoleService,
	}.Do(ctx, a.nc)
	return err
}
