package chat

import (
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/services/internal/es"
)

const urgent = "urgent"

// heeding returns the decider with messages marked for those of the room who do
// not want to be disturbed. Whoever notifies people of a message leaves them out;
// what is urgent is for them, too.
func heeding(d es.Decider[Room], quiet func(users []string) []string) es.Decider[Room] {
	decide := d.Decide
	d.Decide = func(r Room, c es.Command) ([]es.Event, error) {
		events, err := decide(r, c)
		for i, event := range events {
			if message, ok := event.Data.(chat.NewMessage); ok && message.Priority != urgent {
				message.Silent = quiet(r.Members)
				events[i].Data = message
			}
		}
		return events, err
	}
	return d
}
