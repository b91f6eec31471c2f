package presence

import (
	"fmt"
	"testing"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/tests/kit"
)

// system is a whole system, in one process.
type system struct {
	*kit.Stage

	stack *stack.Stack
}

// run runs a whole system until the test ends.
func run(t *testing.T, cfg stack.Config) system {
	t.Helper()
	s := kit.NewStage(t, kit.Config{})
	return system{s, s.Start(cfg)}
}

func (s system) token(user, role string) string {
	return s.Secret.Token(kit.Identity{User: user, Name: "Dr. " + user, Role: role, Picture: "https://pictures.example/" + user})
}

// open connects; a device makes the user seen.
func (s system) open(user, device string) browser { return s.openAs(user, "", device) }

func (s system) openAs(user, role, device string) browser {
	s.T.Helper()
	hello := bridge.Hello{Token: s.token(user, role)}
	if device != "" {
		hello.Device = &bridge.Device{Kind: device}
	}
	return browser{kit.Welcomed(s.T, s.Address(), hello)}
}

// request asks over HTTP and returns the status and the decoded answer.
func (s system) request(method, path, user, kind, body string) (int, kit.Frame) {
	s.T.Helper()
	asked := kit.Request{Method: method, Path: path, Body: body, Header: map[string]string{"Content-Type": kind}}
	if user != "" {
		asked.Token = s.token(user, "")
	}
	answer, err := kit.Ask(s.Ctx, s.Address(), asked)
	s.Must(err)
	if answer.Body == nil {
		s.T.Fatalf("%s %s: %d: %s", method, path, answer.Status, answer.Raw)
	}
	return answer.Status, answer.Body
}

// browser is a page that looks who is there.
type browser struct{ *kit.RawClient }

// await reads presence of a channel until the user's card fits; nil when the user
// has left.
func (b browser) await(t *testing.T, channel, user string, fits func(card map[string]any) bool) {
	t.Helper()
	b.Expect(fmt.Sprintf("%s on %s", user, channel), func(f kit.Frame) bool {
		if f["op"] != "presence" || f["channel"] != channel {
			return false
		}
		for _, part := range []string{"state", "joins", "updates", "leaves"} {
			members, _ := f[part].([]any)
			for _, member := range members {
				m, _ := member.(map[string]any)
				card, _ := m["meta"].(map[string]any)
				if m["user"] == user && fits(card) {
					return true
				}
			}
		}
		return false
	})
}

func status(want string) func(map[string]any) bool {
	return func(card map[string]any) bool { return card["status"] == want }
}

func left(card map[string]any) bool { return card == nil }
