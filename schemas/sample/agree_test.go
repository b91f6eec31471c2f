package sample_test

import (
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/schemas/ops"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/schemas/sample"
	"github.com/latido/latido/schemas/tracking"
)

// decoders are the Go types of the schemas.
var decoders = map[string]func([]byte) (any, error){
	"chat/commands/close":                as[chat.Close],
	"chat/commands/invite":               as[chat.Invite],
	"chat/commands/join":                 as[chat.Join],
	"chat/commands/leave":                as[chat.Leave],
	"chat/commands/open":                 as[chat.Open],
	"chat/commands/post":                 as[chat.Post],
	"chat/events/member_joined":          as[chat.MemberJoined],
	"chat/events/member_left":            as[chat.MemberLeft],
	"chat/events/new_message":            as[chat.NewMessage],
	"chat/events/room_closed":            as[chat.RoomClosed],
	"chat/events/room_opened":            as[chat.RoomOpened],
	"chat/events/typing":                 as[chat.Typing],
	"tracking/commands/close":            as[tracking.Close],
	"tracking/commands/open":             as[tracking.Open],
	"tracking/commands/report":           as[tracking.Report],
	"tracking/events/coords_doubted":     as[tracking.CoordsDoubted],
	"tracking/events/coords_update":      as[tracking.CoordsUpdate],
	"tracking/events/tracking_closed":    as[tracking.TrackingClosed],
	"tracking/events/tracking_opened":    as[tracking.TrackingOpened],
	"ops/commands/accept":                as[ops.Accept],
	"ops/commands/announce":              as[ops.Announce],
	"ops/commands/assign":                as[ops.Assign],
	"ops/commands/offer":                 as[ops.Offer],
	"ops/commands/request":               as[ops.Request],
	"ops/commands/withdraw":              as[ops.Withdraw],
	"ops/events/accepted":                as[ops.Accepted],
	"ops/events/assigned":                as[ops.Assigned],
	"ops/events/maintenance_alert":       as[ops.MaintenanceAlert],
	"ops/events/new_request":             as[ops.NewRequest],
	"ops/events/offered":                 as[ops.Offered],
	"ops/events/request_offered":         as[ops.RequestOffered],
	"ops/events/request_taken":           as[ops.RequestTaken],
	"ops/events/request_withdrawn":       as[ops.RequestWithdrawn],
	"ops/events/requested":               as[ops.Requested],
	"ops/events/withdrawn":               as[ops.Withdrawn],
	"presence/commands/add":              as[presence.Add],
	"presence/commands/cancel_schedule":  as[presence.CancelSchedule],
	"presence/commands/clear_status":     as[presence.ClearStatus],
	"presence/commands/create":           as[presence.Create],
	"presence/commands/due":              as[presence.Due],
	"presence/commands/duty":             as[presence.Duty],
	"presence/commands/observe":          as[presence.Observe],
	"presence/commands/remove":           as[presence.Remove],
	"presence/commands/schedule_status":  as[presence.ScheduleStatus],
	"presence/commands/schedules":        as[presence.Schedules],
	"presence/commands/set_status":       as[presence.SetStatus],
	"presence/commands/status":           as[presence.Status],
	"presence/commands/who":              as[presence.Who],
	"presence/events/group_created":      as[presence.GroupCreated],
	"presence/events/member_added":       as[presence.MemberAdded],
	"presence/events/member_removed":     as[presence.MemberRemoved],
	"presence/events/offline":            as[presence.Offline],
	"presence/events/online":             as[presence.Online],
	"presence/events/schedule_cancelled": as[presence.ScheduleCancelled],
	"presence/events/status_changed":     as[presence.StatusChanged],
	"presence/events/status_scheduled":   as[presence.StatusScheduled],
	"bridge/notices/degraded":            as[bridge.Degraded],
	"bridge/notices/drain":               as[bridge.Drain],
	"bridge/notices/error":               as[bridge.Error],
	"bridge/notices/event":               as[bridge.Event],
	"bridge/notices/gap":                 as[bridge.Gap],
	"bridge/notices/ok":                  as[bridge.OK],
	"bridge/notices/ping":                as[bridge.Ping],
	"bridge/notices/presence_change":     as[bridge.PresenceChange],
	"bridge/notices/presence_state":      as[bridge.PresenceState],
	"bridge/notices/restored":            as[bridge.Restored],
	"bridge/notices/unsubscribed":        as[bridge.Unsubscribed],
	"bridge/notices/welcome":             as[bridge.Welcome],
	"bridge/requests/activity":           as[bridge.Activity],
	"bridge/requests/call":               as[bridge.Call],
	"bridge/requests/count":              as[bridge.Count],
	"bridge/requests/hello":              as[bridge.Hello],
	"bridge/requests/probe":              as[bridge.Probe],
	"bridge/requests/pong":               as[bridge.Pong],
	"bridge/requests/publish":            as[bridge.Publish],
	"bridge/requests/subscribe":          as[bridge.Subscribe],
	"bridge/requests/token":              as[bridge.Token],
	"bridge/requests/track":              as[bridge.Track],
	"bridge/requests/unsubscribe":        as[bridge.Unsubscribe],
	"bridge/requests/untrack":            as[bridge.Untrack],
	"bridge/requests/watch":              as[bridge.Watch],
}

func as[T any](body []byte) (any, error) {
	var value T
	err := json.Unmarshal(body, &value)
	return value, err
}

// find returns the schema in a file.
func find(file string) (*schemas.Schema, error) {
	kinds := map[string][]string{"chat": {"room"}, "tracking": {"tracking"}, "ops": {"ops", "global"}, "presence": {"user", "group"}}
	folder, rest, _ := strings.Cut(file, "/")
	switch sort, name := path.Split(rest); sort {
	case "commands/":
		for _, kind := range kinds[folder] {
			if schema, err := schemas.Command(kind, name); err == nil {
				return schema, nil
			}
		}
		return nil, schemas.Refuse(schemas.UnknownCommand, "%s belongs to no kind", file)
	case "events/":
		return schemas.Event(kinds[folder][0], name)
	case "requests/":
		return schemas.Request(name)
	default:
		return schemas.Notice(name)
	}
}

// TestDecodersReadWhatSchemasTake: what a schema takes, its type reads, and writes again for the schema to take; or the schema
// refuses it in a way that names the field.
func TestDecodersReadWhatSchemasTake(t *testing.T) {
	t.Parallel()
	for file, decode := range decoders {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			schema, err := find(file)
			if err != nil {
				t.Fatal(err)
			}
			random, taken := rand.New(rand.NewPCG(1, uint64(len(file)))), 0
			for range 200 {
				body := sample.Body(t, random, file)
				canonical, err := schemas.Canonical("data", body, 0)
				if err == nil {
					err = schema.Validate(canonical)
				}
				if err != nil {
					if refusal := schemas.RefusalOf(err); refusal.Code == schemas.Internal || refusal.Field == "" {
						t.Fatalf("%s: %v", body, err)
					}
					continue
				}
				value, err := decode(schemas.Digits(canonical))
				if err != nil {
					t.Fatalf("%s: %v", body, err)
				}
				taken++
				again, err := json.Marshal(value)
				if err != nil {
					t.Fatalf("%s: %v", body, err)
				}
				if err := schema.Validate(again); err != nil {
					t.Fatalf("%s became %s: %v", body, again, err)
				}
			}
			if taken == 0 {
				t.Error("no body was taken")
			}
		})
	}
}

func TestEverySchemaHasADecoder(t *testing.T) {
	t.Parallel()
	err := fs.WalkDir(schemas.Files(), ".", func(file string, _ fs.DirEntry, err error) error {
		name, isSchema := strings.CutSuffix(file, ".json")
		if !isSchema || strings.HasSuffix(name, ".example") || strings.Count(name, "/") < 2 || strings.Contains(name, "/answers/") {
			return err
		}
		if decoders[name] == nil {
			t.Errorf("%s has none", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestJSONIsJSON(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		if text := sample.JSON(random, 4); !json.Valid(text) {
			t.Fatalf("%q", text)
		}
	}
}
