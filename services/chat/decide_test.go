package chat

import (
	"testing"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
)

var (
	opened = es.NewEvent(chat.RoomOpened{Members: []string{"ana", "luis"}, By: "ana"})
	public = es.NewEvent(chat.RoomOpened{Members: []string{"ana"}, By: "ana", Public: true})
	left   = es.NewEvent(chat.MemberLeft{User: "luis"})
	shut   = es.NewEvent(chat.RoomClosed{})
)

func joined(user, by string) es.Event {
	return es.NewEvent(chat.MemberJoined{User: user, By: by})
}

func message(text string) es.Event {
	return es.NewEvent(chat.NewMessage{Text: text, Attachments: []chat.Attachment{}})
}

func posted(text string) es.Event {
	event := message(text)
	event.Unchecked = true
	return event
}

// ours is a room that a service opened.
var ours = es.NewEvent(chat.RoomOpened{Members: []string{"luis"}, By: "service:ops"})

func TestOpen(t *testing.T) {
	t.Parallel()
	estest.Check(t, room, []estest.Row{
		{
			Name: "whoever opens a room is a member of it",
			When: estest.By("ana", chat.Open{Members: []string{"luis", "ana"}, Title: "Order 42"}),
			Then: estest.Facts(es.NewEvent(chat.RoomOpened{Members: []string{"ana", "luis"}, Title: "Order 42", By: "ana"})),
		},
		{
			Name: "a service that opens a room is not a member of it",
			When: estest.Service("ops", chat.Open{Members: []string{"luis"}}),
			Then: estest.Facts(es.NewEvent(chat.RoomOpened{Members: []string{"luis"}, By: "service:ops"})),
		},
		{
			Name:  "a room is opened once",
			Given: estest.Facts(opened), When: estest.By("ana", chat.Open{}), Refused: schemas.Exists,
		},
		{
			Name:  "to open it again changes nothing for its own service",
			Given: estest.Facts(ours), When: estest.Service("ops", chat.Open{Members: []string{"luis"}}),
		},
		{
			Name:  "a service takes it from whoever was first",
			Given: estest.Facts(es.NewEvent(chat.RoomOpened{Members: []string{"eve", "luis", "mallory"}, Public: true, By: "eve"})),
			When:  estest.Service("ops", chat.Open{Members: []string{"luis", "ana"}}),
			Then: estest.Facts(es.NewEvent(chat.RoomOpened{
				Members: []string{"ana", "luis"}, By: "service:ops", Anew: true, Removed: []string{"eve", "mallory"},
			})),
		},
		{
			Name:  "a closed room is not opened again",
			Given: estest.Facts(opened, shut), When: estest.By("ana", chat.Open{}), Refused: schemas.Exists,
		},
	})
}

func TestMembership(t *testing.T) {
	t.Parallel()
	estest.Check(t, room, []estest.Row{
		{Name: "anyone joins a public room", Given: estest.Facts(public), When: estest.By("eve", chat.Join{}), Then: estest.Facts(joined("eve", ""))},
		{Name: "to join twice changes nothing", Given: estest.Facts(public, joined("eve", "")), When: estest.By("eve", chat.Join{})},
		{Name: "nobody joins a private room", Given: estest.Facts(opened), When: estest.By("eve", chat.Join{}), Refused: schemas.Forbidden},
		{Name: "nobody joins a room that is not there", When: estest.By("eve", chat.Join{}), Refused: schemas.Forbidden},
		{Name: "nobody joins a closed room", Given: estest.Facts(public, shut), When: estest.By("eve", chat.Join{}), Refused: schemas.Closed},
		{Name: "a member invites", Given: estest.Facts(opened), When: estest.By("luis", chat.Invite{User: "eve"}), Then: estest.Facts(joined("eve", "luis"))},
		{Name: "a service invites", Given: estest.Facts(opened), When: estest.Service("ops", chat.Invite{User: "eve"}), Then: estest.Facts(joined("eve", "service:ops"))},
		{Name: "a service invites nobody to a room that is not there", When: estest.Service("ops", chat.Invite{User: "eve"}), Refused: schemas.Forbidden},
		{Name: "to invite a member changes nothing", Given: estest.Facts(opened), When: estest.By("ana", chat.Invite{User: "luis"})},
		{Name: "a stranger does not invite", Given: estest.Facts(opened), When: estest.By("eve", chat.Invite{User: "eve"}), Refused: schemas.Forbidden},
		{Name: "nobody is invited to a closed room", Given: estest.Facts(opened, shut), When: estest.By("ana", chat.Invite{User: "eve"}), Refused: schemas.Closed},
		{Name: "a member leaves", Given: estest.Facts(opened), When: estest.By("luis", chat.Leave{}), Then: estest.Facts(left)},
		{Name: "a member leaves a closed room", Given: estest.Facts(opened, shut), When: estest.By("luis", chat.Leave{}), Then: estest.Facts(left)},
		{Name: "a stranger has nothing to leave", Given: estest.Facts(opened), When: estest.By("eve", chat.Leave{}), Refused: schemas.Forbidden},
		{Name: "who has left may be invited again", Given: estest.Facts(opened, left), When: estest.By("ana", chat.Invite{User: "luis"}), Then: estest.Facts(joined("luis", "ana"))},
	})
}

func TestPost(t *testing.T) {
	t.Parallel()
	photo := []chat.Attachment{{URL: "https://example.org/a.jpg", Name: "a.jpg"}}
	withPhoto := es.Event{Name: "new_message", Unchecked: true, Data: chat.NewMessage{Text: "look", Attachments: photo}}
	estest.Check(t, room, []estest.Row{
		{Name: "a member posts", Given: estest.Facts(opened), When: estest.By("luis", chat.Post{Text: "hola"}), Then: estest.Facts(posted("hola"))},
		{Name: "a message carries attachments", Given: estest.Facts(opened), When: estest.By("luis", chat.Post{Text: "look", Attachments: photo}), Then: estest.Facts(withPhoto)},
		{Name: "a new member posts", Given: estest.Facts(opened, joined("eve", "ana"), message("hi")), When: estest.By("eve", chat.Post{Text: "hola"}), Then: estest.Facts(posted("hola"))},
		{Name: "a stranger does not post", Given: estest.Facts(opened), When: estest.By("eve", chat.Post{Text: "hola"}), Refused: schemas.Forbidden},
		{Name: "a reader of a public room does not post", Given: estest.Facts(public), When: estest.By("eve", chat.Post{Text: "hola"}), Refused: schemas.Forbidden},
		{Name: "nobody posts to a room that is not there", When: estest.By("ana", chat.Post{Text: "hola"}), Refused: schemas.Forbidden},
		{Name: "who has left does not post", Given: estest.Facts(opened, left), When: estest.By("luis", chat.Post{Text: "hola"}), Refused: schemas.Forbidden},
		{Name: "nobody posts to a closed room", Given: estest.Facts(opened, shut), When: estest.By("ana", chat.Post{Text: "hola"}), Refused: schemas.Closed},
		{Name: "a stranger is not told that the room is closed", Given: estest.Facts(opened, shut), When: estest.By("eve", chat.Post{Text: "hola"}), Refused: schemas.Forbidden},
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	estest.Check(t, room, []estest.Row{
		{Name: "the creator closes", Given: estest.Facts(opened), When: estest.By("ana", chat.Close{Reason: "done"}), Then: estest.Facts(es.NewEvent(chat.RoomClosed{Reason: "done"}))},
		{Name: "a supervisor closes", Given: estest.Facts(opened), When: estest.As("supervisor", "eve", chat.Close{}), Then: estest.Facts(shut)},
		{Name: "a service closes", Given: estest.Facts(opened), When: estest.Service("ops", chat.Close{}), Then: estest.Facts(shut)},
		{Name: "another member does not close", Given: estest.Facts(opened), When: estest.By("luis", chat.Close{}), Refused: schemas.Forbidden},
		{Name: "to close twice changes nothing", Given: estest.Facts(opened, shut), When: estest.By("ana", chat.Close{})},
		{Name: "nobody closes a room that is not there", When: estest.Service("ops", chat.Close{}), Refused: schemas.Forbidden},
	})
}

func TestWhoIsTold(t *testing.T) {
	t.Parallel()
	private := evolve(Room{}, opened)
	open := evolve(Room{}, public)
	for _, row := range []struct {
		room Room
		user string
		want string
	}{
		{private, "ana", "member"},
		{private, "eve", ""},
		{private, "", ""},
		{open, "", "member"},
		{open, "eve", ""},
		{evolve(private, left), "luis", ""},
		{evolve(private, shut), "luis", "member"},
	} {
		if got := row.room.role(row.user); got != row.want {
			t.Errorf("role of %q in %+v = %q, want %q", row.user, row.room, got, row.want)
		}
	}
}
