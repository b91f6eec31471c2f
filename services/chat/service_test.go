package chat

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

var channel = subjects.Channel{Kind: "room", ID: "order 42.*>"}

func call(user, command, key string, body any) es.Call {
	return es.Call{Channel: channel, Command: command, From: user, Proof: estest.Proof(user, ""), Key: key, Body: body}
}

func opening(members ...string) es.Call {
	return call("ana", "open", "open", chat.Open{Members: members})
}

// start runs two replicas.
func start(t *testing.T) estest.Caller {
	t.Helper()
	bus := bustest.Start(t)
	estest.Replica(t, bus, Run)
	estest.Replica(t, bus, Run)
	return estest.NewCaller(t, bus)
}

func TestPostsOfManyAreStoredOnceEach(t *testing.T) {
	t.Parallel()
	caller := start(t)
	const users, posts = 8, 50
	members := make([]string, users)
	for i := range members {
		members[i] = fmt.Sprintf("user %d", i)
	}
	caller.Do(opening(members...))
	var group errgroup.Group
	for _, user := range members {
		group.Go(func() error {
			for i := range posts {
				post := call(user, "post", fmt.Sprint(i), chat.Post{Text: fmt.Sprint(user, "/", i)})
				first, err := caller.Ask(post)
				if err != nil {
					return err
				}
				if again, err := caller.Ask(post); err != nil || again != first {
					return fmt.Errorf("again: %d, %w; want %d", again, err, first)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, fact := range caller.Facts(channel)[1:] {
		texts = append(texts, string(fact.Data))
	}
	slices.Sort(texts)
	if got := len(texts); got != users*posts || len(slices.Compact(texts)) != got {
		t.Errorf("%d messages stored, want %d, each once", got, users*posts)
	}
}

func TestAKeyNamesOneCommand(t *testing.T) {
	t.Parallel()
	caller := start(t)
	first := caller.Do(opening("luis"))
	hola := caller.Do(call("luis", "post", "k1", chat.Post{Text: "hola"}))
	for range 4 { // whichever replica takes it
		caller.Refused(schemas.KeyReused, call("luis", "post", "k1", chat.Post{Text: "adiós"}))
		caller.Refused(schemas.KeyReused, call("luis", "invite", "k1", chat.Invite{User: "eve"}))
		if again := caller.Do(call("luis", "post", "k1", chat.Post{Text: "hola"})); again != hola {
			t.Errorf("again at %d, want %d", again, hola)
		}
		if again := caller.Do(opening("luis")); again != first {
			t.Errorf("opened again at %d, want %d", again, first)
		}
	}
	if other := caller.Do(call("ana", "post", "k1", chat.Post{Text: "adiós"})); other == hola {
		t.Error("two users' keys collide")
	}
}

// TestARepetitionIsAnsweredWithItsMembership: the replica that stored the fact
// may be dead, or slower than its twin that is asked again.
func TestARepetitionIsAnsweredWithItsMembership(t *testing.T) {
	t.Parallel()
	caller := start(t)
	first := caller.Do(opening("luis"))
	for range 8 { // whichever replica takes it
		if _, err := caller.JS.Publish(t.Context(), "$KV."+subjects.BucketMembers+"."+channel.Member("luis"), []byte(`{"role":"","seq":0}`)); err != nil {
			t.Fatal(err)
		}
		if again := caller.Do(opening("luis")); again != first {
			t.Errorf("opened again at %d, want %d", again, first)
		}
		if got := caller.Role(channel, "luis"); got != "member" {
			t.Fatalf("luis is %q after the answer", got)
		}
	}
}

// TestAMembershipThatNobodyCanReadIsWrittenAnew: an operator may have written it.
func TestAMembershipThatNobodyCanReadIsWrittenAnew(t *testing.T) {
	t.Parallel()
	caller := start(t)
	first := caller.Do(opening("luis"))
	for _, value := range []string{"member", `{"role":"member","seq":"1"}`, "\xff"} {
		if _, err := caller.JS.Publish(t.Context(), "$KV."+subjects.BucketMembers+"."+channel.Member("luis"), []byte(value)); err != nil {
			t.Fatal(err)
		}
		if again := caller.Do(opening("luis")); again != first {
			t.Errorf("opened again at %d, want %d", again, first)
		}
		if got := caller.Role(channel, "luis"); got != "member" {
			t.Fatalf("luis is %q after the answer", got)
		}
	}
}

func TestOneOfManyOpensTheRoom(t *testing.T) {
	t.Parallel()
	caller := start(t)
	refusals := make(chan error, 32)
	var group errgroup.Group
	for i := range cap(refusals) {
		group.Go(func() error {
			_, err := caller.Ask(call(fmt.Sprintf("user %d", i), "open", "k", chat.Open{Members: []string{}}))
			refusals <- err
			return nil
		})
	}
	_ = group.Wait()
	close(refusals)
	winners := 0
	for err := range refusals {
		if err == nil {
			winners++
		} else if got := schemas.RefusalOf(err).Code; got != schemas.Exists {
			t.Errorf("loser got %v", err)
		}
	}
	if winners != 1 || len(caller.Facts(channel)) != 1 {
		t.Errorf("%d winners, facts %v; want one", winners, caller.Names(channel))
	}
}

func TestMembersAreWrittenBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	caller := start(t)
	role := func(user, want string) {
		t.Helper()
		if got := caller.Role(channel, user); got != want {
			t.Errorf("role of %s = %q, want %q", user, got, want)
		}
	}
	caller.Do(opening("luis"))
	role("ana", "member")
	role("luis", "member")
	role("", "")
	for i := range 5 {
		caller.Do(call("luis", "leave", fmt.Sprint("leave", i), chat.Leave{}))
		role("luis", "")
		for attempt := 0; ; attempt++ { // a replica may post on what it remembers, for a second
			_, err := caller.Ask(call("luis", "post", fmt.Sprintf("post %d %d", i, attempt), chat.Post{Text: "hola"}))
			if errors.Is(err, schemas.Refusal{Code: schemas.Forbidden}) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		caller.Do(call("ana", "invite", fmt.Sprint("invite", i), chat.Invite{User: "luis"}))
		role("luis", "member")
		caller.Do(call("luis", "post", fmt.Sprint("posted", i), chat.Post{Text: "hola"}))
	}
}

// A service that died between a fact and its projection leaves members out of
// the bucket; whoever is there next makes up for it, and revives nobody.
func TestMembersAreHealed(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	caller := estest.NewCaller(t, bus)
	caller.Store(channel, es.NewEvent(chat.RoomOpened{Members: []string{"ana", "luis"}, By: "ana", Public: true}))
	caller.Store(channel, es.NewEvent(chat.MemberLeft{User: "luis"}))
	caller.Store(channel, es.NewEvent(chat.MemberJoined{User: "eve"}))
	estest.Replica(t, bus, Run)
	caller.AwaitRole(channel, "eve", "member") // the last fact
	caller.AwaitRole(channel, "ana", "member")
	caller.AwaitRole(channel, "", "member")
	if got := caller.Role(channel, "luis"); got != "" {
		t.Errorf("luis left, and is %q", got)
	}
}

// The healing consumer may be deleted under way, until it is declared again.
func TestHealingSurvivesItsConsumer(t *testing.T) {
	t.Parallel()
	caller := start(t)
	caller.Do(opening("luis"))
	if err := caller.JS.DeleteConsumer(t.Context(), subjects.StreamRoom, "room-members"); err != nil {
		t.Fatal(err)
	}
	if err := topology.Ensure(t.Context(), caller.JS, topology.Config{}); err != nil {
		t.Fatal(err)
	}
	caller.Store(channel, es.NewEvent(chat.MemberJoined{User: "eve"}))
	caller.AwaitRole(channel, "eve", "member")
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	caller := start(t)
	caller.Refused(schemas.InvalidData, call("ana", "open", "k", map[string]any{"members": "luis"}))
	caller.Refused(schemas.InvalidData, call("ana", "post", "k", map[string]any{"text": "hola", "colour": "red"}))
	caller.Refused(schemas.Unauthenticated, call("", "open", "k", chat.Open{Members: []string{}}))
	if names := caller.Names(channel); names != nil {
		t.Errorf("stored %v", names)
	}
}
