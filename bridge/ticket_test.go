package bridge

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/topology/bustest"
)

// askTicket asks for a ticket.
func askTicket(t *testing.T, b *Bridge, user string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.Addr()+"/api/tickets", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token(t, b, user, ""))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer json.RawMessage
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", response.Status, err)
	}
	schema, err := schemas.Part("ticket")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(answer); err != nil {
		t.Error(err)
	}
	var ticket struct{ Ticket string }
	if err := json.Unmarshal(answer, &ticket); err != nil {
		t.Fatal(err)
	}
	return ticket.Ticket
}

// A ticket opens one stream, on any bridge with the same secret, and lets that one
// return by its ids, on any of them.
func TestTicket(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	other, _ := runBridge(t, bus, Config{})
	path := roomStream + "?ticket=" + askTicket(t, b, "ana")
	s := openStream(t, other, path, "")
	if s.response.StatusCode != http.StatusOK {
		t.Fatalf("%s %v", s.response.Status, s.refusal())
	}
	s.begun()
	s.begun()
	published := publish(t, bus, 3, 10)
	equal(t, "by a ticket", s.events(3), published)
	s.close()
	for name, at := range map[string]*Bridge{"where it was used": other, "where it was given": b} {
		if again := openStream(t, at, path, ""); again.response.StatusCode != http.StatusUnauthorized {
			t.Errorf("a second time, %s: %s", name, again.response.Status)
		}
	}
	forged := "x" + s.last[1:]
	if forged == s.last {
		forged = "y" + s.last[1:]
	}
	if again := openStream(t, other, path, "Last-Event-ID: "+forged+"\r\n"); again.response.StatusCode != http.StatusUnauthorized {
		t.Errorf("with an id that is not its own: %s", again.response.Status)
	}
	foreign := roomStream + "?ticket=" + askTicket(t, b, "ana")
	openStream(t, other, foreign, "").close()
	if again := openStream(t, other, foreign, "Last-Event-ID: "+s.last+"\r\n"); again.response.StatusCode != http.StatusUnauthorized {
		t.Errorf("with the id of another ticket: %s", again.response.Status)
	}
	missed := publish(t, bus, 3, 10)
	for _, b := range []*Bridge{b, other} {
		again := openStream(t, b, path, "Last-Event-ID: "+s.last+"\r\n")
		if again.response.StatusCode != http.StatusOK {
			t.Fatalf("its own return: %s", again.response.Status)
		}
		equal(t, "after its return", again.events(3), missed)
	}
	if eva := openStream(t, b, roomStream+"?ticket="+askTicket(t, b, "eva"), ""); eva.response.StatusCode != http.StatusForbidden {
		t.Errorf("by another's ticket: %s", eva.response.Status)
	}
}

// Of all who use a ticket at once, at several bridges, one does so in time.
func TestATicketIsUsedOnceInTheCluster(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	bridges := make([]*Bridge, 3)
	for i := range bridges {
		bridges[i], _ = runBridge(t, bus, Config{})
	}
	for range 10 {
		path := "/api/channels/app:x/stream?ticket=" + askTicket(t, bridges[0], "ana")
		statuses := make([]int, 2*len(bridges))
		var users sync.WaitGroup
		for i := range statuses {
			users.Go(func() {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+bridges[i%len(bridges)].Addr()+path, http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				statuses[i] = response.StatusCode
				_ = response.Body.Close()
			})
		}
		users.Wait()
		slices.Sort(statuses)
		if want := []int{200, 401, 401, 401, 401, 401}; !slices.Equal(statuses, want) {
			t.Errorf("answered %v", statuses)
		}
	}
}
