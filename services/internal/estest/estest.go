// Package estest states what a decider promises, in rows that need no bus and
// no clock: given what has happened, when somebody asks, then this happens, or
// it is refused. Only tests import it.
package estest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// Now is when commands come, unless a row says otherwise.
var Now = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// Row is one promise. It ends in Then, in Refused, or in both; in neither when what
// was asked for is so already.
type Row struct {
	Name    string
	Given   []es.Event
	When    es.Command
	Then    []es.Event
	Refused schemas.Code
}

// By is a command of a user to the channel "1" of the decider's kind.
func By(user string, body es.CommandBody) es.Command {
	return es.Command{Meta: es.Meta{From: user, Key: "k1", Now: Now}, Body: body}
}

// As is a command of a user whose token carries the role.
func As(role, user string, body es.CommandBody) es.Command {
	command := By(user, body)
	command.Role = role
	return command
}

// Service is a command of one of Latido's services.
func Service(name string, body es.CommandBody) es.Command {
	return As(subjects.RoleService, "service:"+name, body)
}

// Facts lists events.
func Facts(events ...es.Event) []es.Event { return events }

// Check runs every row. It also holds the decider to what the shell relies on:
// that states are never changed in place, that facts come back from JSON as they
// went, and that they fit their schemas.
func Check[S any](t *testing.T, decider es.Decider[S], rows []Row) {
	t.Helper()
	for _, row := range rows {
		t.Run(strings.ReplaceAll(row.Name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			check(t, decider, row)
		})
	}
}

func check[S any](t *testing.T, decider es.Decider[S], row Row) {
	t.Helper()
	if row.When.Channel == (subjects.Channel{}) {
		row.When.Channel = subjects.Channel{Kind: decider.Kind, ID: "1"}
	}
	checkCommand(t, decider, row.When.Body)
	state := fold(decider, row.Given)
	got, err := decider.Decide(state, row.When)
	switch {
	case row.Refused != 0 && err == nil:
		t.Fatalf("got %s, want refused: %s", show(got), row.Refused.Reason())
	case row.Refused != 0 && schemas.RefusalOf(err).Code != row.Refused:
		t.Fatalf("got %v, want refused: %s", err, row.Refused.Reason())
	case row.Refused == 0 && err != nil:
		t.Fatalf("got %v, want %s", err, show(row.Then))
	case !reflect.DeepEqual(got, row.Then) && len(got)+len(row.Then) > 0:
		t.Fatalf("got %s, want %s", show(got), show(row.Then))
	}
	for _, event := range append(row.Given, got...) {
		checkFact(t, decider, event)
	}
	for _, event := range got {
		if event.Channel == (subjects.Channel{}) {
			decider.Evolve(state, event)
		}
	}
	checkCarried(t, decider, state)
	checkEnds(t, decider, append(row.Given, got...))
	if again := fold(decider, row.Given); !reflect.DeepEqual(again, state) {
		t.Errorf("the state was changed in place: %s, was %s", show(state), show(again))
	}
}

func fold[S any](decider es.Decider[S], events []es.Event) S {
	var state S
	for _, event := range events {
		state = decider.Evolve(state, event)
	}
	return state
}

// checkCommand finds the command whose body has this type.
func checkCommand[S any](t *testing.T, decider es.Decider[S], body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, decode := range decider.Commands {
		if decoded, err := decode(text); err == nil && reflect.TypeOf(decoded) == reflect.TypeOf(body) {
			return
		}
	}
	t.Errorf("no command of kind %s has a body of type %T", decider.Kind, body)
}

func checkFact[S any](t *testing.T, decider es.Decider[S], event es.Event) {
	t.Helper()
	text, err := json.Marshal(event.Data)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := schemas.Event(decider.Kind, event.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(text); err != nil {
		t.Errorf("%s %s: %v", event.Name, text, err)
	}
	decode, known := decider.Facts[event.Name]
	if !known {
		if event.Channel == (subjects.Channel{}) {
			t.Errorf("%s is not among the facts", event.Name)
		}
		return
	}
	if back, err := decode(text); err != nil || !reflect.DeepEqual(back, event.Data) {
		t.Errorf("%s comes back as %#v (%v), went as %#v", event.Name, back, err, event.Data)
	}
}

// checkEnds sees to it that the catalog, by which bridges go, names the facts after
// which somebody has no role any more.
func checkEnds[S any](t *testing.T, decider es.Decider[S], events []es.Event) {
	t.Helper()
	members := decider.Members
	if members == nil || members.Bucket != "" {
		return
	}
	var state S
	users := []string{"", "who never was anybody"}
	for _, event := range events {
		if event.Channel != (subjects.Channel{}) {
			continue
		}
		next := decider.Evolve(state, event)
		ended := subjects.Catalog[decider.Kind].Ends[event.Name].Of([]byte(show(event.Data)))
		users = append(users, members.Changed(event)...)
		for _, user := range users {
			has, had := members.Role(next, user) != "", members.Role(state, user) != ""
			if is := ended.Has(user); had && !has && !is || has && is {
				t.Errorf("%s %s: by the catalog it ends the membership of %q: %t; member before: %t, after: %t", event.Name, show(event.Data), user, is, had, has)
			}
		}
		state = next
	}
}

// checkCarried sees to it that a state which travels as JSON arrives whole.
func checkCarried[S any](t *testing.T, decider es.Decider[S], state S) {
	t.Helper()
	var back S
	if err := json.Unmarshal([]byte(show(state)), &back); decider.Carry && (err != nil || !reflect.DeepEqual(back, state)) {
		t.Errorf("the state is carried as %s and comes back as %s (%v)", show(state), show(back), err)
	}
}

func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
