package contract

import (
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/tests/kit"
)

// system is a whole system.
type system struct{ *kit.Stage }

// run runs a whole system until the test ends.
func run(t *testing.T, change func(*stack.Config)) system {
	t.Helper()
	cfg := stack.Config{Sync: time.Minute}
	if change != nil {
		change(&cfg)
	}
	s := kit.NewStage(t, kit.Config{})
	s.Start(cfg)
	return system{s}
}

func (s system) token(user, role string) string {
	return s.Secret.Token(kit.Identity{User: user, Role: role})
}

// ask sends a request to the HTTP API, as ana unless the headers say otherwise.
func (s system) ask(method, path, body string, headers map[string]string) kit.Answer {
	s.T.Helper()
	answer, err := kit.Ask(s.Ctx, s.Address(), kit.Request{Method: method, Path: path, Body: body, Token: s.token("ana", "client"), Header: headers})
	s.Must(err)
	return answer
}

// allow lets pages of some origins connect.
func allow(origins ...string) func(*stack.Config) {
	return func(cfg *stack.Config) { cfg.Origins = origins }
}
