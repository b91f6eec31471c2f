package kit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/subjects"
)

// Log is what one client received of one channel, as it came.
type Log struct {
	User, Channel string
	After         uint64 // every fact above it is owed
	Receptions    []Reception
	Gaps          []bridge.Gap
}

// Verdict counts how logs differ from the streams.
type Verdict struct {
	Logs, Deliveries int
	Lost             int // a fact that the log lacks
	Twice            int // a fact that came again, on the same connection or after a return
	Reordered        int // a fact that came after a newer one
	Invented         int // a sequence that the stream has not, or not yet at the start of the log
	Altered          int // a fact that came with another content
	Gaps             int // what the bridge itself declared lost
	Examples         []string
}

const mostExamples = 20

// Judge holds logs against the truth.
func Judge(truth Truth, logs ...Log) Verdict {
	v := Verdict{}
	same := map[*bridge.Event]bool{}
	for _, log := range logs {
		v.judge(log, truth[log.Channel], same)
	}
	return v
}

func (v *Verdict) judge(log Log, facts []Fact, same map[*bridge.Event]bool) {
	v.Logs++
	v.Deliveries += len(log.Receptions)
	v.Gaps += len(log.Gaps)
	owed := map[uint64]*Fact{}
	for i := range facts {
		if facts[i].Seq > log.After {
			owed[facts[i].Seq] = &facts[i]
		}
	}
	seen, newest := map[uint64]bool{}, uint64(0)
	for _, reception := range log.Receptions {
		event := reception.Event
		switch {
		case seen[event.Seq]:
			v.count(&v.Twice, log, reception, "came again")
		case owed[event.Seq] == nil:
			v.count(&v.Invented, log, reception, "is not owed")
		case event.Seq < newest:
			v.count(&v.Reordered, log, reception, fmt.Sprintf("came after %d", newest))
		}
		if fact := owed[event.Seq]; fact != nil && !equal(fact, event, log.Channel, same) {
			v.count(&v.Altered, log, reception, fmt.Sprintf("is %s by %s (%s, %v): %s in the stream and came as %s by %s (%s, %v): %s",
				fact.Event, fact.From, fact.MessageID, fact.At, fact.Data, event.Event, event.From, event.Key, event.At, event.Data))
		}
		seen[event.Seq], newest = true, max(newest, event.Seq)
	}
	for _, fact := range facts {
		if fact.Seq > log.After && !seen[fact.Seq] {
			v.count(&v.Lost, log, Reception{Event: &bridge.Event{Seq: fact.Seq}}, "is missing")
		}
	}
}

func (v *Verdict) count(counter *int, log Log, reception Reception, what string) {
	*counter++
	if len(v.Examples) < mostExamples {
		v.Examples = append(v.Examples, fmt.Sprintf("%s on %s, connection %d: %d %s", log.User, log.Channel, reception.Connection, reception.Event.Seq, what))
	}
}

// equal compares an event with its fact, once for all receivers of the same bytes.
func equal(fact *Fact, event *bridge.Event, channel string, same map[*bridge.Event]bool) bool {
	if known, ok := same[event]; ok {
		return known
	}
	of, _, key, _ := subjects.ParseMessageID(fact.MessageID)
	if of.String() != channel {
		key = "" // a fact of another channel's command
	}
	result := event.Channel == channel && event.Event == fact.Event && event.From == fact.From && event.Key == key &&
		event.At.UnixMilli() == fact.At.UnixMilli() && equalJSON(event.Data, fact.Data)
	same[event] = result
	return result
}

func equalJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var left, right any
	return json.Unmarshal(a, &left) == nil && json.Unmarshal(b, &right) == nil && reflect.DeepEqual(left, right)
}

// Whole says whether nothing is missing, twice, out of order or otherwise wrong.
func (v Verdict) Whole() bool {
	return v.Lost+v.Twice+v.Reordered+v.Invented+v.Altered+v.Gaps == 0
}

// Sent is what a publisher was told of its request.
type Sent struct {
	User, Channel, Key string
	Seq                uint64 // where it was stored, says the bridge
}

// JudgeSent returns what was acknowledged and is not in the stream exactly once,
// where the acknowledgement said.
func JudgeSent(truth Truth, sent []Sent) []error {
	places := map[string][]uint64{}
	for _, facts := range truth {
		for _, fact := range facts {
			places[fact.MessageID] = append(places[fact.MessageID], fact.Seq)
		}
	}
	var wrong []error
	for _, s := range sent {
		channel, err := subjects.ParseChannel(s.Channel)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		found := places[subjects.MessageID(channel, s.User, s.Key)]
		if len(found) != 1 || found[0] != s.Seq {
			wrong = append(wrong, fmt.Errorf("%s was told %s stands at %d of %s, the stream has it at %v", s.User, s.Key, s.Seq, s.Channel, found))
		}
	}
	return wrong
}

// String is the verdict with a few examples.
func (v Verdict) String() string {
	return fmt.Sprintf("%d lost, %d twice, %d out of order, %d invented, %d altered, %d gaps\n%s",
		v.Lost, v.Twice, v.Reordered, v.Invented, v.Altered, v.Gaps, strings.Join(v.Examples, "\n"))
}
