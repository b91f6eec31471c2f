package bridge

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

const roomStream = "/api/channels/user%3Aana/stream"

// publishTo stores one event on a channel of the catalog.
func publishTo(t *testing.T, nc *nats.Conn, channel string) uint64 {
	t.Helper()
	name, err := subjects.ParseChannel(channel)
	if err != nil {
		t.Fatal(err)
	}
	msg := nats.NewMsg(name.Event())
	subjects.SetText(msg.Header, subjects.HeaderEvent, "noted")
	msg.Data = []byte(`{}`)
	reply, err := nc.RequestMsg(msg, patience)
	if err != nil {
		t.Fatal(err)
	}
	var ack struct{ Seq uint64 }
	if err := json.Unmarshal(reply.Data, &ack); err != nil || ack.Seq == 0 {
		t.Fatalf("%s: %v", reply.Data, err)
	}
	return ack.Seq
}

// An empty parameter is not given, to a stream as to what is answered at once.
func TestAStreamWithEmptyParameters(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	s := listen(t, b, roomStream+"?channel=&presence=&since=&epoch=&at=&last=&last_event_id=&ticket=", "")
	s.begun()
	published := publish(t, bus, 2, 10)
	equal(t, "live", s.events(2), published)
}

func TestStream(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	published := publish(t, bus, 10, 10)
	s := listen(t, b, roomStream+"?last=5", "")
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Length": "", "Transfer-Encoding": ""} {
		if got := s.response.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !s.response.Close || len(s.response.TransferEncoding) > 0 {
		t.Errorf("%+v", s.response)
	}
	equal(t, "replayed", s.events(5), published[5:])
	if s.retry == 0 {
		t.Error("no retry was told")
	}
	live := publish(t, bus, 300, 300)
	equal(t, "live", s.events(300), live)
	s.close()
	wait(t, "the session to leave", func() bool { return b.node.SessionCount() == 0 })
	missed := publish(t, bus, 2000, 10)
	again := listen(t, b, roomStream+"?last=5", s.last)
	equal(t, "missed", again.events(2000), missed)
}

// However often a connection is cut, and wherever in an event, who returns by the id
// of the last event is told each event of every channel once.
func TestStreamIsCut(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	generous := session.Limits{Work: 1 << 20, UserWork: 1 << 20, AddressWork: 1 << 20}
	b, _ := runBridge(t, bus, Config{Limits: generous})
	other, _ := runBridge(t, bus, Config{Limits: generous})
	const system, total = "global:system", 600
	path := roomStream + "?channel=" + url.QueryEscape(system) + "&channel=app%3Alive"
	first := listen(t, b, path, "")
	for strings.Count(first.last, ",") < 2 { // the positions of both
		first.begun()
	}
	last := first.last
	first.close()

	published := map[string][]uint64{}
	done := make(chan struct{})
	nc := bus.Connect(t)
	go func() {
		defer close(done)
		for i := range total {
			channel := room
			if i%3 == 0 {
				channel = system
			}
			published[channel] = append(published[channel], publishTo(t, nc, channel))
		}
	}()
	seen := map[string][]uint64{}
	count, cuts := 0, 0
	for count < total {
		s := listen(t, []*Bridge{b, other}[cuts%2], path, last)
		cuts++
		s.body.Reset(&cut{s.response.Body, rand.IntN(4000)})
		for {
			m, err := s.next()
			if err != nil {
				break
			}
			if m.op() != "event" {
				t.Fatalf("told %v", m)
			}
			channel, _ := m["channel"].(string)
			seen[channel] = append(seen[channel], m.seq())
			if count++; count == total {
				break
			}
		}
		last = s.last
		s.close()
	}
	<-done
	for channel, want := range published {
		equal(t, fmt.Sprintf("%s after %d cuts", channel, cuts), seen[channel], want)
	}
	if cuts < 10 {
		t.Errorf("only %d cuts", cuts)
	}
}

// cut is a reader that ends after a number of bytes.
type cut struct {
	from interface{ Read([]byte) (int, error) }
	left int
}

func (c *cut) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("cut")
	}
	n, err := c.from.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func TestStreamTellsPresence(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	luis := dial(t, b, "luis")
	luis.must(`"op":"track","channel":"app:x"`)
	s := listen(t, b, "/api/channels/app:x/stream?presence=true&channel=app:y", "")
	s.find("luis to be there", func(m message) bool { // in the state, or just behind it
		return m.op() == "presence" && m["channel"] == "app:x" && m["count"] == 1.0
	})
	luis.must(`"op":"publish","channel":"app:y","event":"said","data":"one"`)
	if event := s.expect("event"); event["channel"] != "app:y" || event["data"] != "one" || event["from"] != "luis" {
		t.Errorf("%v", event)
	}
	luis.must(`"op":"untrack","channel":"app:x"`)
	s.find("luis to leave", func(m message) bool { return m["channel"] == "app:x" && m["leaves"] != nil })
}

func TestStreamTellsAGap(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	publish(t, bus, 3, 10)
	s := listen(t, b, roomStream+"?last=1", "")
	s.events(1)
	s.close()
	lost := publish(t, bus, 5, 10)
	purge(t, bus)
	kept := publish(t, bus, 2, 10)
	b, _ = runBridge(t, bus, Config{}) // one that did not hear what is gone
	again := listen(t, b, roomStream, s.last)
	gap := again.expect("gap")
	if gap["to"] != float64(lost[4]) {
		t.Errorf("gap %v, want one up to %d", gap, lost[4])
	}
	whole := again.last // of the gap
	equal(t, "kept", again.events(2), kept)
	third := listen(t, b, roomStream, whole)
	equal(t, "behind the gap", third.events(2), kept)
	if len(third.queue) > 0 {
		t.Errorf("the gap was told twice: %v", third.queue)
	}
}

func TestStreamRefusals(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Origins: []string{"https://shop.example"}})
	many := roomStream + "?channel=app:0"
	for i := range 50 {
		many += fmt.Sprintf("&channel=app:%d", i+1)
	}
	bearer := "Authorization: Bearer " + token(t, b, "ana", "") + "\r\n"
	for _, row := range []struct {
		path, headers string
		status, code  int
	}{
		{roomStream, "", 401, 4010},
		{roomStream, "Authorization: Bearer nonsense\r\n", 401, 4010},
		{roomStream + "?ticket=nonsense", "", 401, 4010},
		{roomStream + "?channels=app:x", bearer, 400, 4002},
		{roomStream + "?last=5&last=6", bearer, 400, 4002},
		{roomStream + "?last=soon", bearer, 422, 4003},
		{roomStream + "?last=0", bearer, 422, 4003},
		{roomStream + "?presence=yes", bearer, 422, 4003},
		{roomStream + "?since=x", bearer, 422, 4003},
		{roomStream + "?since=1&epoch=a%0Ab", bearer, 422, 4003},
		{roomStream + "?epoch=x", bearer, 400, 4002},
		{roomStream, bearer + "Last-Event-ID: ,x\r\n", 422, 4003},
		{roomStream, bearer + "Last-Event-ID: ,a.-1..e\r\n", 422, 4003},
		{"/api/channels/user%3Aeva/stream", bearer, 403, 4030},
		{roomStream + "?channel=user:eva", bearer, 403, 4030},
		{"/api/channels/nokind%3Ax/stream", bearer, 404, 4004},
		{many, bearer, 413, 4131},
		{roomStream, bearer + "Origin: https://evil.example\r\n", 403, 4032},
	} {
		s := openStream(t, b, row.path, row.headers)
		m := s.refusal()
		sentence, _ := m["message"].(string)
		if s.response.StatusCode != row.status || m["code"] != float64(row.code) || sentence == "" || row.code == 4030 && !strings.Contains(sentence, "user:eva") {
			t.Errorf("%.80s %.60s: %s %v, want %d %d", row.path, row.headers, s.response.Status, m, row.status, row.code)
		}
	}
	s := openStream(t, b, roomStream, bearer+"Origin: https://shop.example\r\n")
	if s.response.StatusCode != http.StatusOK || s.response.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("a page that may: %s %v", s.response.Status, s.response.Header)
	}
}

// A reader that pauses is told all that was stored meanwhile.
func TestSlowStream(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	s := listen(t, b, roomStream, "")
	s.begun()
	published := publish(t, bus, 1200, 16<<10)
	equal(t, "slowly", s.events(len(published)), published)
}

func TestStreamHeartbeat(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Limits: session.Limits{Ping: time.Second}})
	other, _ := runBridge(t, bus, Config{})
	s := listen(t, b, "/api/channels/app:x/stream", "")
	for s.comments < 3 {
		line, err := s.body.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, ":") {
			s.comments++
		}
	}
	luis := dial(t, other, "luis")
	luis.must(`"op":"publish","channel":"app:x","event":"said","data":"one"`)
	s.expect("event")
}

func TestStreamDrains(t *testing.T) {
	t.Parallel()
	b, stop := runBridge(t, bustest.Start(t), Config{})
	s := listen(t, b, roomStream, "")
	s.begun()
	stop()
	if drain := s.expect("drain"); drain["return_in"] == nil {
		t.Errorf("%v", drain)
	}
	if last := s.ended(); last["reason"] != "draining" {
		t.Errorf("ended with %v", last)
	}
}

func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	short, err := b.node.Verifier.Sign("ana", "ana", "", 6*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	s := openStream(t, b, roomStream, "Authorization: Bearer "+short+"\r\n")
	if last := s.ended(); last["reason"] != "token_expired" {
		t.Errorf("ended with %v", last)
	}
	wait(t, "the session to leave", func() bool { return b.node.SessionCount() == 0 })
}

// The last right that is taken back ends the stream, and no return by its id begins it
// again.
func TestStreamEndsWithItsRights(t *testing.T) {
	t.Parallel()
	o, _, run := runOwner(t, "room", "ana")
	b := run()
	const path = "/api/channels/room%3A1/stream"
	s := listen(t, b, path, "")
	s.begun()
	end := o.store("member_left", `{"user":"ana"}`)
	o.store("noted", `{}`)
	if event := s.expect("event"); event.seq() != end {
		t.Errorf("told %v, want the fact %d", event, end)
	}
	o.says("ana", "", end)
	if told := s.expect("unsubscribed"); told["channel"] != "room:1" {
		t.Errorf("%v", told)
	}
	if last := s.ended(); last["reason"] != "revoked" || len(s.queue) > 0 {
		t.Errorf("ended with %v, and told %v", last, s.queue)
	}
	bearer := "Authorization: Bearer " + token(t, b, "ana", "") + "\r\n"
	if again := openStream(t, b, path, bearer+"Last-Event-ID: "+s.last+"\r\n"); again.response.StatusCode != http.StatusForbidden {
		t.Errorf("returned: %s", again.response.Status)
	}
}

// A stream that returns goes on with what its user may still read.
func TestAStreamReturnsWithoutWhatIsTakenBack(t *testing.T) {
	t.Parallel()
	o, _, run := runOwner(t, "room", "ana")
	b := run()
	const path = roomStream + "?channel=room:1"
	s := listen(t, b, path, "")
	for strings.Count(s.last, ",") < 2 { // it stands on both
		s.begun()
	}
	end := o.store("member_left", `{"user":"ana"}`)
	o.says("ana", "", end)
	s.expect("unsubscribed")
	again := listen(t, b, path, s.last)
	if told := again.expect("unsubscribed"); told["channel"] != "room:1" || told["code"] != float64(schemas.Revoked) {
		t.Errorf("%v", told)
	}
	seq := publishTo(t, o.js.Conn(), "user:ana")
	if event := again.expect("event"); event.seq() != seq {
		t.Errorf("told %v, want %d", event, seq)
	}
}
