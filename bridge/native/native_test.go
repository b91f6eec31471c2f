package native_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/latido/latido/bridge/native"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/sample"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	for frame, want := range map[string]wire.Request{
		`{"op":"hello","token":"t","client":"web/1.0","session":"s"}`: wire.Hello{Token: "t", Client: "web/1.0", Resume: "s"},
		`{"op":"pong"}`: wire.Pong{},
		`{"id":1,"op":"subscribe","channel":"room:42","presence":true}`:            wire.Subscribe{Ref: "1", Channel: "room:42", Presence: true},
		`{"id":1,"op":"subscribe","channel":"a:1","since":{"epoch":"e","seq":17}}`: wire.Subscribe{Ref: "1", Channel: "a:1", Since: &wire.Position{Epoch: "e", Sequence: 17}},
		`{"id":1,"op":"subscribe","channel":"a:1","last":5,"anew":true}`:           wire.Subscribe{Ref: "1", Channel: "a:1", Count: 5, Anew: true},
		`{"id":1,"op":"subscribe","channel":"a:1","last":5}`:                       wire.Subscribe{Ref: "1", Channel: "a:1", Count: 5},
		`{"id":1,"op":"subscribe","channel":"a:1","last":"1h"}`:                    wire.Subscribe{Ref: "1", Channel: "a:1", Age: time.Hour},
		`{"id":1,"op":"subscribe","channel":"a:1","last":"2d"}`:                    wire.Subscribe{Ref: "1", Channel: "a:1", Age: 48 * time.Hour},
		`{"id":1,"op":"subscribe","channel":"a:1","last":"999999d"}`:               wire.Subscribe{Ref: "1", Channel: "a:1", Age: 106751 * 24 * time.Hour},
		`{"id":2,"op":"unsubscribe","channel":"a:1"}`:                              wire.Unsubscribe{Ref: "2", Channel: "a:1"},
		`{"id":3,"op":"publish","channel":"a:1","event":"e","key":"k","data":[1]}`: wire.Publish{Ref: "3", Channel: "a:1", Event: "e", Key: "k", Data: json.RawMessage(`[1]`)},
		`{"id":3.0,"op":"call","channel":"a:1","command":"c","data":{}}`:           wire.Call{Ref: "3", Channel: "a:1", Command: "c", Data: json.RawMessage(`{}`)},
		`{"id":4,"op":"untrack","channel":"a:1"}`:                                  wire.Untrack{Ref: "4", Channel: "a:1"},
		`{"id":5,"op":"probe"}`:             wire.Probe{Ref: "5"},
		`{"id":5,"op":"token","token":"t"}`: wire.Token{Ref: "5", Token: "t"},
	} {
		if got, err := (native.Dialect{}).Decode([]byte(frame), false); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v", frame, got, err)
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	four := uint64(4)
	at := time.Date(2024, 2, 29, 12, 0, 0, 500, time.UTC)
	for want, notice := range map[string]wire.Notice{
		`{"op":"event","channel":"room:42","event":"new_message","seq":18,"from":"luis","key":"k","at":"2024-02-29T12:00:00.0000005Z","data":{"text":"é"}}`: wire.Event{
			Channel: "room:42", Event: "new_message", Sequence: 18, From: "luis", Key: "k", At: at, Data: json.RawMessage(`{"text":"é"}`),
		},
		`{"op":"event","channel":"app:\"\\\n","event":"é","data":1}`:                    wire.Event{Channel: "app:\"\\\n", Event: "é", Data: json.RawMessage(`1`)},
		`{"id":1,"op":"ok","position":{"epoch":"e","seq":21},"replaying":4}`:            wire.OK{Ref: "1", Position: &wire.Position{Epoch: "e", Sequence: 21}, Replaying: &four},
		`{"id":1,"op":"ok","seq":22,"data":{"a":1}}`:                                    wire.OK{Ref: "1", Sequence: 22, Data: json.RawMessage(`{"a":1}`)},
		`{"op":"error","id":5,"code":4091,"reason":"taken","retry":false}`:              wire.Error{Ref: "5", Code: 4091, Reason: "taken"},
		`{"op":"error","code":4503,"reason":"draining","retry":true}`:                   wire.Error{Code: 4503, Reason: "draining", Retry: true},
		`{"op":"presence","channel":"a:1","state":[],"count":0}`:                        wire.State{Channel: "a:1", Members: []wire.Member{}},
		`{"op":"presence","channel":"a:1","leaves":[{"user":"u","ref":"r"}],"count":2}`: wire.Diff{Channel: "a:1", Leaves: []wire.Member{{User: "u", Ref: "r"}}, Count: 2},
		`{"op":"ping"}`: wire.Ping{},
	} {
		if got := string(encoded(notice)); got != want {
			t.Errorf("%#v:\n got %s\nwant %s", notice, got, want)
		}
	}
}

// Every notice is a frame that the schemas describe.
func TestNoticesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	position := wire.Position{Epoch: "e", Sequence: 3}
	member := wire.Member{User: "u", Ref: "abcdefghijklmnop", Since: time.Unix(1, 0).UTC()}
	for name, notice := range map[string]wire.Notice{
		"welcome": wire.Welcome{
			Session: strings.Repeat("s", 26), Ref: member.Ref, User: "u", Node: "n", Ping: 25 * time.Second,
			Limits: wire.Limits{Frame: 65536, Channels: 500, Publishes: 50},
		},
		"ok":              wire.OK{Ref: "1", Position: &position},
		"error":           wire.Error{Ref: "1", Code: 4030, Reason: "forbidden", Message: "not yours"},
		"event":           wire.Event{Channel: "room:1", Event: "typing", From: "u", Data: json.RawMessage(`{}`)},
		"presence_state":  wire.State{Channel: "room:1", Members: []wire.Member{member}, Count: 1},
		"presence_change": wire.Diff{Channel: "room:1", Joins: []wire.Member{member}, Count: 1},
		"gap":             wire.Gap{Channel: "room:1", From: 1, To: 3, Position: position},
		"degraded":        wire.Degraded{},
		"restored":        wire.Restored{},
		"drain":           wire.Drain{ReturnIn: time.Second},
		"unsubscribed":    wire.Unsubscribed{Channel: "room:1", Code: 4031, Reason: "revoked"},
		"ping":            wire.Ping{},
	} {
		schema, err := schemas.Notice(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(encoded(notice)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The longest that may be said fits the schemas of the notices that tell it.
func TestSchemasTakeTheLongestNotices(t *testing.T) {
	t.Parallel()
	long := strings.Repeat
	member := wire.Member{
		User: long("u", schemas.MaxUser), Ref: long("r", 16), Key: long("k", 200), Name: long("n", 200), Role: long("r", 4000),
		Meta: json.RawMessage("{}"), Device: "desktop", Since: time.Unix(1, 0).UTC(),
	}
	crowd := slices.Repeat([]wire.Member{member}, 20_000)
	for name, notice := range map[string]wire.Notice{
		"welcome": wire.Welcome{
			Session: long("s", 128), Ref: member.Ref, User: member.User, Name: member.Name, Role: long("r", 4000), Node: "n", Ping: time.Hour,
			Limits: wire.Limits{Frame: 65536, Channels: 500, Publishes: 50},
		},
		"presence_state":  wire.State{Channel: "room:1", Members: []wire.Member{member}, Count: 1},
		"presence_change": wire.Diff{Channel: "room:1", Joins: crowd, Updates: crowd, Leaves: crowd, Count: len(crowd)},
		"event": wire.Event{
			Channel: "room:1", Event: long("e", 100), Sequence: 1, From: member.User, Key: long("k", 200), At: member.Since, Data: member.Meta,
		},
	} {
		schema, err := schemas.Notice(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(encoded(notice)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the schemas of the requests take is a request, and its data are what was
// sent. Refused by name is a number that is not spelled in digits, or a text that is
// too long in bytes.
func TestDecodeReadsWhatSchemasTake(t *testing.T) {
	t.Parallel()
	examples, err := fs.Glob(schemas.Files(), "bridge/requests/*.example.json")
	if err != nil || len(examples) < 12 {
		t.Fatal(examples, err)
	}
	for _, example := range examples {
		name := strings.TrimSuffix(path.Base(example), ".example.json")
		schema, err := schemas.Request(name)
		if err != nil {
			t.Fatal(err)
		}
		random, taken := rand.New(rand.NewPCG(1, 2)), 0
		for range 200 {
			body := sample.Body(t, random, "bridge/requests/"+name)
			canonical, err := schemas.CanonicalBody(body)
			if err != nil || schema.Validate(canonical) != nil {
				continue
			}
			request, err := (native.Dialect{}).Decode(body, false)
			if err != nil {
				malformed, ok := errors.AsType[*wire.MalformedError](err)
				if !ok || malformed.Code != int(schemas.InvalidFrame) || malformed.Text == "" {
					t.Errorf("%s: %v", body, err)
				}
				continue
			}
			taken++
			sent := gjson.ParseBytes(canonical)
			switch r := request.(type) {
			case wire.Publish:
				hold(t, body, map[string]string{sent.Get("data").Raw: string(r.Data), sent.Get("event").Str: r.Event, sent.Get("channel").Str: r.Channel})
			case wire.Call:
				hold(t, body, map[string]string{sent.Get("data").Raw: string(r.Data), sent.Get("command").Str: r.Command})
			case wire.Track:
				hold(t, body, map[string]string{sent.Get("meta").Raw: string(r.Meta), sent.Get("key").Str: r.Key})
			}
		}
		if taken < 20 {
			t.Errorf("%s: only %d were taken", name, taken)
		}
	}
}

// hold compares what was sent with what was read.
func hold(t *testing.T, body []byte, want map[string]string) {
	t.Helper()
	for sent, read := range want {
		if sent != read {
			t.Errorf("%s: read %q, sent %q", body, read, sent)
		}
	}
}

// Whatever comes is a request, or is refused with a code.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":1,"op":"publish","channel":"a:1","event":"e","data":{}}`))
	f.Add([]byte(`{"id":1e3,"op":"subscribe","last":{}}`))
	f.Add([]byte(`{"op":"hello","token":"\ud800"}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		request, err := (native.Dialect{}).Decode(frame, false)
		malformed, ok := errors.AsType[*wire.MalformedError](err)
		if err == nil && request == nil || err != nil && (!ok || malformed.Code < 4000 || malformed.Code > 4499) {
			t.Errorf("%q: %#v, %v", frame, request, err)
		}
	})
}

// encoded is the message that tells a notice.
func encoded(notice wire.Notice) (message []byte) {
	native.Dialect{}.Encode(nil, notice, func(m []byte, _ bool) { message = m })
	return message
}
