package presence

import (
	"testing"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
)

func at(seconds int) time.Time { return estest.Now.Add(time.Duration(seconds) * time.Second) }

// observed is a fact that somebody's observation led to.
func observed(seconds int, body es.EventBody) es.Event {
	event := es.NewEvent(body)
	event.Key = observationKey(at(seconds), "1")
	return event
}

func came(seconds int) es.Event { return observed(seconds, presence.Online{}) }

// went is a departure after two seconds.
var went = observed(2, presence.Offline{LastSeen: at(2)})

// decided is an event as it leaves the decider, which does not know the key.
func decided(event es.Event) []es.Event {
	event.Key = ""
	return []es.Event{event}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	seen := func(online bool, seconds int) es.Command {
		return estest.Service("presence", presence.Observe{Online: online, At: at(seconds)})
	}
	hidden := status(presence.StatusChanged{Status: "invisible", Chosen: true, By: byUser, At: at(2)})
	estest.Check(t, user, []estest.Row{
		{Name: "a user comes", When: seen(true, 1), Then: decided(came(1))},
		{Name: "a user goes", Given: estest.Facts(came(1)), When: seen(false, 2), Then: decided(went)},
		{Name: "a user comes again", Given: estest.Facts(came(1), went), When: seen(true, 3), Then: decided(came(3))},
		{Name: "who is there need not come", Given: estest.Facts(came(1)), When: seen(true, 2)},
		{Name: "who is not there cannot go", When: seen(false, 1)},
		{Name: "old news of a departure is no news", Given: estest.Facts(came(1), went, came(3)), When: seen(false, 2)},
		{Name: "old news of an arrival is no news", Given: estest.Facts(came(1), went), When: seen(true, 1)},
		{Name: "who is invisible was seen when they became so", Given: estest.Facts(came(1), hidden), When: seen(false, 9), Then: estest.Facts(es.NewEvent(presence.Offline{LastSeen: at(9)}))},
		{Name: "a user does not observe", When: estest.By("ana", presence.Observe{Online: true, At: at(1)}), Refused: schemas.Forbidden},
	})
}
