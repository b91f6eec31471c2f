package presence

import (
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// User is whether a user is there, as the facts of their channel have it.
type User struct {
	Online bool
	// Since is when the observation was made that led to the last change.
	Since time.Time
}

var user = es.Decider[User]{
	Kind:     "user",
	Commands: map[string]es.Decoder{"observe": es.As[presence.Observe]},
	Facts:    map[string]es.Decoder{"online": es.As[presence.Online], "offline": es.As[presence.Offline]},
	Decide:   decide,
	Evolve:   evolve,
}

// decide turns observations into changes. Every replica observes by itself and
// some lag: what is no news, or older news than is known, changes nothing.
func decide(u User, c es.Command) ([]es.Event, error) {
	seen, ok := c.Body.(presence.Observe)
	switch {
	case !ok:
		return nil, schemas.Refuse(schemas.UnknownCommand, "a user does not know %T", c.Body)
	case c.Role != subjects.RoleService:
		return nil, schemas.Refuse(schemas.Forbidden, "only services observe")
	case seen.Online == u.Online || !seen.At.After(u.Since):
		return nil, nil
	case seen.Online:
		return []es.Event{{Name: "online", Data: presence.Online{}}}, nil
	}
	return []es.Event{{Name: "offline", Data: presence.Offline{LastSeen: seen.At}}}, nil
}

// observationKey is the key of an observation: its time, which evolve reads
// back, since the facts themselves do not all tell it. Two replicas that saw the
// same change send the same command.
func observationKey(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

func evolve(u User, event es.Event) User {
	since, err := time.Parse(time.RFC3339Nano, event.Key)
	if err != nil {
		since = u.Since
	}
	switch event.Data.(type) {
	case presence.Online:
		return User{Online: true, Since: since}
	case presence.Offline:
		return User{Online: false, Since: since}
	}
	return u
}
