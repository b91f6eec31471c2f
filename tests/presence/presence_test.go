package presence

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latido/latido/bridge"
	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/tests/kit"
)

// A team sees which of its people are there, over HTTP and live; nobody else does.
func TestATeamSeesItsPeople(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Config{})
	ana, luis := s.open("ana", "web"), s.open("luis", "")
	luis.Call("group:team", "create", kit.Frame{"members": []string{"ana"}})
	luis.Must(kit.Frame{"op": "subscribe", "channel": "presence:group.team", "presence": true})
	luis.await(t, "presence:group.team", "ana", status("online"))
	code, got := s.request(http.MethodGet, "/api/groups/team/online", "luis", "", "")
	users, _ := got["online_users"].([]any)
	if code != http.StatusOK || got["online_count"] != 1.0 || len(users) != 1 {
		t.Fatalf("%d %v", code, got)
	}
	user, _ := users[0].(map[string]any)
	devices, _ := user["devices"].([]any)
	if user["id"] != "ana" || user["name"] != "Dr. ana" || user["avatar"] != "https://pictures.example/ana" ||
		user["status"] != "online" || user["last_active"] == nil || len(devices) != 1 {
		t.Errorf("the team sees %v", user)
	}
	for _, path := range []string{"/api/groups/team/online", "/api/groups/none/online"} {
		if code, got := s.request(http.MethodGet, path, "eve", "", ""); code != http.StatusForbidden {
			t.Errorf("eve asks %s: %d %v", path, code, got)
		}
	}
	ana.Call("user:ana", "set_status", kit.Frame{"status": "dnd", "custom_message": "focus"})
	luis.await(t, "presence:group.team", "ana", func(card map[string]any) bool { return card["status"] == "dnd" && card["custom_message"] == "focus" })
	ana.Close()
	luis.await(t, "presence:group.team", "ana", left)
	at := time.Now().UTC()
	code, got = s.request(http.MethodGet, "/api/groups/team/online?at="+url.QueryEscape(at.Add(-time.Hour).Format(time.RFC3339)), "luis", "", "")
	if code != http.StatusOK || got["online_count"] != 0.0 {
		t.Errorf("an hour ago: %d %v", code, got)
	}
	code, got = s.request(http.MethodGet, "/api/users/ana/duty?from="+url.QueryEscape(at.Add(-time.Hour).Format(time.RFC3339)), "ana", "", "")
	if seconds, _ := got["seconds"].(float64); code != http.StatusOK || seconds <= 0 {
		t.Errorf("on duty: %d %v", code, got)
	}
}

// The form of the status is judged field by field, and takes what a page sends
// while it goes away, without headers of its own.
func TestTheStatusForm(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Config{})
	ana := s.open("ana", "web")
	ana.Must(kit.Frame{"op": "subscribe", "channel": "user:ana", "last": 10})
	const path = "/api/presence/status"
	for body, field := range map[string]string{
		`{}`:                  "status",
		`{"status":"asleep"}`: "status",
		`{"status":7}`:        "status",
		`{"status":"busy","custom_message":"` + strings.Repeat("ñ", 101) + `"}`: "custom_message",
		`{"status":"busy","until":"soon"}`:                                      "until",
		`{"status":"busy","until":"2001-01-01T00:00:00Z"}`:                      "until",
	} {
		code, got := s.request(http.MethodPost, path, "ana", "application/json", body)
		if wrong, _ := got["errors"].(map[string]any); code != http.StatusUnprocessableEntity || wrong[field] == nil {
			t.Errorf("%.60s: %d %v, want 422 for %s", body, code, got, field)
		}
	}
	mine := s.token("ana", "")
	for i, sent := range []struct{ user, kind, body string }{
		{"ana", "application/json", `{"status":"busy","custom_message":"%d ` + strings.Repeat("ñ", 98) + `"}`},
		{"", "text/plain;charset=UTF-8", `{"status":"away","custom_message":"%d","token":"` + mine + `"}`},
		{"", "application/x-www-form-urlencoded", "status=offline&custom_message=%d&until=&token=" + mine},
		{"", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"status\"\r\n\r\nonline\r\n--x\r\nContent-Disposition: form-data; name=\"custom_message\"\r\n\r\n%d\r\n" +
			"--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + mine + "\r\n--x--\r\n"},
	} {
		message := fmt.Sprint(i)
		if code, got := s.request(http.MethodPost, path, sent.user, sent.kind, fmt.Sprintf(sent.body, i)); code != http.StatusOK {
			t.Fatalf("%s: %d %v", sent.kind, code, got)
		}
		ana.Expect(sent.kind, func(f kit.Frame) bool {
			data, _ := f["data"].(map[string]any)
			said, _ := data["custom_message"].(string)
			return f["event"] == "status_changed" && strings.HasPrefix(said, message)
		})
	}
	if code, got := s.request(http.MethodPost, path, "", "text/plain", `{"status":"away","token":"nonsense"}`); code != http.StatusUnauthorized {
		t.Errorf("with a wrong token: %d %v", code, got)
	}
	if code, got := s.request(http.MethodDelete, path, "ana", "", ""); code != http.StatusOK {
		t.Errorf("clear: %d %v", code, got)
	}
}

// Who watches users is told of those, also of the ones who are not there yet, and
// of no others once they watch others.
func TestWatchingUsers(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Config{})
	ana := s.open("ana", "mobile")
	luis := s.open("luis", "")
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint("user ", i)
	}
	if answer := luis.Ask(kit.Frame{"op": "watch", "users": many}); answer["code"] != 4131.0 {
		t.Errorf("101 users: %v", answer)
	}
	data, _ := luis.Must(kit.Frame{"op": "watch", "users": append(many[:98:98], "ana", "eva")}).(map[string]any)
	if looks, _ := data["users"].([]any); len(looks) != 100 {
		t.Errorf("told of %d", len(looks))
	}
	luis.await(t, "presence:user.ana", "ana", status("online"))
	eva := s.open("eva", "desktop")
	luis.await(t, "presence:user.eva", "eva", status("online"))
	eva.Call("user:eva", "set_status", kit.Frame{"status": "invisible"})
	luis.await(t, "presence:user.eva", "eva", left)
	luis.Must(kit.Frame{"op": "subscribe", "channel": "presence:user.user 1", "presence": true})
	luis.Must(kit.Frame{"op": "watch", "users": []string{"eva"}})
	luis.Must(kit.Frame{"op": "unsubscribe", "channel": "presence:user.user 1"}) // by hand it was, and still is
	ana.Call("user:ana", "set_status", kit.Frame{"status": "busy"})
	eva.Call("user:eva", "clear_status", kit.Frame{})
	luis.await(t, "presence:user.eva", "eva", status("online"))
	for _, f := range luis.Skipped() {
		if f["channel"] == "presence:user.ana" && f["updates"] != nil {
			t.Errorf("still told of ana: %v", f)
		}
	}
}

// Idle and away come by themselves, and go with the first touch of any device.
func TestAwayByItself(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Config{Limits: bridge.Limits{Idle: time.Second, Away: 2 * time.Second, Grace: 2 * time.Second}})
	phone, laptop := s.open("ana", "mobile"), s.open("ana", "web")
	luis := s.open("luis", "")
	luis.Must(kit.Frame{"op": "watch", "users": []string{"ana"}})
	luis.await(t, "presence:user.ana", "ana", status("away"))
	laptop.Send(kit.Frame{"op": "activity"})
	luis.await(t, "presence:user.ana", "ana", status("online"))
	laptop.CloseNow()
	luis.await(t, "presence:user.ana", "ana", func(card map[string]any) bool {
		devices, _ := card["devices"].([]any)
		return len(devices) == 1
	})
	phone.CloseNow() // the last one, without a goodbye: gone after its grace
	luis.await(t, "presence:user.ana", "ana", left)
	seen, _ := luis.Call("user:ana", "status", kit.Frame{}).(map[string]any)
	if seen["status"] != "offline" || seen["last_seen"] == nil {
		t.Errorf("then %v", seen)
	}
}

// When somebody was last seen is known after everything was restarted.
func TestLastSeenSurvives(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := run(t, stack.Config{Data: data})
	ana := s.open("ana", "web")
	ana.Must(kit.Frame{"op": "subscribe", "channel": "user:ana", "last": 1})
	ana.Expect("online", func(f kit.Frame) bool { return f["event"] == "online" })
	luis := s.open("luis", "")
	luis.Must(kit.Frame{"op": "watch", "users": []string{"ana"}})
	luis.await(t, "presence:user.ana", "ana", status("online"))
	ana.Close()
	luis.await(t, "presence:user.ana", "ana", left)
	before, _ := luis.Call("user:ana", "status", kit.Frame{}).(map[string]any)
	if before["last_seen"] == nil {
		t.Fatalf("before %v", before)
	}
	if err := s.stack.Close(); err != nil {
		t.Fatal(err)
	}
	again := run(t, stack.Config{Data: data})
	after, _ := again.open("luis", "").Call("user:ana", "status", kit.Frame{}).(map[string]any)
	if after["last_seen"] != before["last_seen"] {
		t.Errorf("last seen %v, was %v", after, before)
	}
}

// Who does not want to be disturbed is offered nothing and notified of nothing,
// unless it is urgent. Services hear of it a moment later.
func TestWhoWantsPeaceHasIt(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Config{})
	olga := s.openAs("olga", "operator", "web")
	boss := s.openAs("boss", "supervisor", "")
	ana := s.openAs("ana", "client", "")
	olga.Must(kit.Frame{"op": "subscribe", "channel": "ops:broadcast"})
	ana.Call("room:1", "open", kit.Frame{"members": []string{"olga"}})
	ana.Must(kit.Frame{"op": "subscribe", "channel": "room:1"})
	request := func(n int, priority string) kit.Frame {
		channel := fmt.Sprint("ops:", priority, n)
		ana.Call(channel, "request", kit.Frame{"zona": "centro", "precio": 12.5, "priority": priority})
		return boss.Ask(kit.Frame{"op": "call", "channel": channel, "command": "offer", "data": kit.Frame{"operator": "olga"}})
	}
	if answer := request(0, "normal"); answer["op"] != "ok" {
		t.Fatalf("an offer: %v", answer)
	}
	olga.Expect("the offer", func(f kit.Frame) bool {
		data, _ := f["data"].(map[string]any)
		return f["event"] == "request_offered" && data["id"] == "normal0" && data["operator"] == "olga"
	})
	olga.Call("user:olga", "set_status", kit.Frame{"status": "dnd"})
	began := time.Now()
	for n, answer := 1, kit.Frame(nil); answer["code"] != 4090.0; n++ {
		if answer = request(n, "normal"); time.Since(began) > kit.Patience {
			t.Fatalf("offered although it disturbs: %v", answer)
		}
	}
	ana.Must(kit.Frame{"op": "publish", "channel": "room:1", "event": "new_message", "data": kit.Frame{"text": "hola"}})
	said := ana.Expect("the message", func(f kit.Frame) bool { return f["event"] == "new_message" })
	if data, _ := said["data"].(map[string]any); len(data) != 2 {
		t.Errorf("a message tells %v, more than its text and attachments", data)
	}
	if answer := request(1, "urgent"); answer["op"] != "ok" {
		t.Errorf("an urgent offer: %v", answer)
	}
}

// An app gives a schema for what members of a kind of channel say.
func TestMetaFitsTheAppsSchema(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seat.json")
	schema := `{"type":"object","required":["seat"],"properties":{"seat":{"type":"integer"}},"additionalProperties":false}`
	if err := os.WriteFile(file, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	s := run(t, stack.Config{Meta: []string{"app=" + file}})
	ana := s.open("ana", "")
	if answer := ana.Ask(kit.Frame{"op": "track", "channel": "app:table", "meta": kit.Frame{"seat": "window"}}); answer["code"] != 4003.0 {
		t.Errorf("a seat by the window: %v", answer)
	}
	ana.Must(kit.Frame{"op": "track", "channel": "app:table", "meta": kit.Frame{"seat": 7}})
}
