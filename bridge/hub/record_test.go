package hub

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// A record is written as the schema of the bucket has it, and read as it was.
func TestARecordFollowsItsSchema(t *testing.T) {
	t.Parallel()
	member := wire.Member{
		User: "ana", Ref: "r1", Key: "k", Name: "Dr. Ana", Role: "doctor", Meta: json.RawMessage(`{"mood":"calm"}`),
		Place: &wire.Place{Lat: 1, Lng: 2, Accuracy: "city"}, Device: "web", Since: time.Unix(1, 0).UTC(),
	}
	for _, record := range []Record{
		{Member: member, Node: "b1"},
		{Member: member, Node: "b1", Grace: 1500 * time.Millisecond},
		{Member: wire.Member{User: "ana", Ref: "r1", Since: time.Unix(1, 0).UTC()}, Node: "b1"},
	} {
		value, err := record.Encode()
		if err != nil {
			t.Fatal(err)
		}
		schema, err := schemas.Value("presence", "entry")
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", value, err)
		}
		var read Record
		if err := json.Unmarshal(value, &read); err != nil || !reflect.DeepEqual(read, record) {
			t.Errorf("read %+v of %s, %v", read, value, err)
		}
	}
}

// What a bridge of an older version wrote is read as it was meant.
func TestAnOlderRecordIsRead(t *testing.T) {
	t.Parallel()
	const old = `{"user":"ana","ref":"r1","meta":{"activity":"idle"},"position":{"lat":1,"lng":2,"accuracy":"exact"},"device":"web","since":"2026-03-01T09:00:00Z","node":"b1","grace":10}`
	var read Record
	if err := json.Unmarshal([]byte(old), &read); err != nil {
		t.Fatal(err)
	}
	if read.Waits() != 10*time.Second || read.User != "ana" || read.Place.Lng != 2 || read.Node != "b1" || string(read.Meta) != `{"activity":"idle"}` {
		t.Errorf("%+v", read)
	}
}
