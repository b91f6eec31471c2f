package native

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// lastMost is the most events that last may ask for.
const lastMost = 10_000

// age is how last names a time, as its schema has it.
var age = regexp.MustCompile(`^([1-9][0-9]{0,5})(s|m|h|d)$`)

const day = 24 * time.Hour

// longest is the longest time that last means, in whole days: longer than Go's is
// as long as that.
const longest = math.MaxInt64 / day * day

var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day}

// setLast reads how much of the recent past is wanted.
func (f *frame) setLast(value gjson.Result) string {
	if n, ok := integer(value); ok && n >= 1 && n <= lastMost {
		f.Count = int(n)
		return ""
	}
	parts := age.FindStringSubmatch(value.Str)
	if value.Type != gjson.String || parts == nil {
		return `is a count from 1 to 10000, or a time such as "30s", "15m", "1h" or "7d"`
	}
	n, _ := strconv.Atoi(parts[1]) // six digits
	f.Age = longest
	if unit := units[parts[2]]; time.Duration(n) <= longest/unit {
		f.Age = time.Duration(n) * unit
	}
	return ""
}

// DecodeLast reads how much of the recent past is wanted, as an address says it: a
// number of events, or a time. What is neither is a refusal.
func DecodeLast(text string) (count int, within time.Duration, err error) {
	value := gjson.Result{Type: gjson.String, Str: text}
	if _, err := strconv.Atoi(text); err == nil {
		value = gjson.Result{Type: gjson.Number, Raw: text}
	}
	var f frame
	if wrong := f.setLast(value); wrong != "" {
		return 0, 0, schemas.Refuse(schemas.InvalidData, "last: %s", wrong)
	}
	return f.Count, f.Age, nil
}

// setSince reads a position.
func (f *frame) setSince(value gjson.Result) (wrong string) {
	f.Since = new(wire.Position)
	*f.Since, wrong = since(value)
	return wrong
}

// DecodeSince reads the position that a question over HTTP is about; an epoch or a
// time that is "" is not given.
func DecodeSince(sequence uint64, epoch, at string) (wire.Position, error) {
	given, err := json.Marshal(struct {
		Sequence uint64 `json:"seq"`
		Epoch    string `json:"epoch,omitempty"`
		At       string `json:"at,omitempty"`
	}{sequence, epoch, at})
	if err != nil {
		return wire.Position{}, err
	}
	position, wrong := since(gjson.ParseBytes(given))
	if wrong != "" {
		return wire.Position{}, schemas.Refuse(schemas.InvalidData, "%s", wrong)
	}
	return position, nil
}

// since reads a position: its number may be spelled in any way.
func since(value gjson.Result) (p wire.Position, wrong string) {
	var position struct {
		Epoch    string
		Sequence float64 `json:"seq"`
		At       time.Time
	}
	if wrong := part("since", value, &position); wrong != "" {
		return p, wrong
	}
	return wire.Position{Epoch: position.Epoch, Sequence: uint64(position.Sequence), At: position.At}, ""
}

// setUsers reads whom to watch. How many there may be is a limit of the server's.
func (f *frame) setUsers(value gjson.Result) string {
	if !value.IsArray() {
		return wrongType
	}
	f.Users = []string{}
	wrong := ""
	value.ForEach(func(_, user gjson.Result) bool {
		var id string
		if wrong = text(&id, user, schemas.CheckUser); wrong == "" {
			f.Users = append(f.Users, id)
		}
		return wrong == ""
	})
	return wrong
}
