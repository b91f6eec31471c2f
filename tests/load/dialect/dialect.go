// Package dialect lets one load generator speak to several servers: Latido, the
// floor, and a NATS server's own WebSocket listener. A dialect turns requests into
// frames and finds the events in what comes back, without decoding them.
//
// Imports: frame and floor.
package dialect

import "strconv"

// Channel is what members follow and publishers publish to.
type Channel struct {
	Number  uint32 // unique within a run
	Name    string // unique within a server's life; letters, digits, '-'
	Keeping Keeping
}

// Keeping says what becomes of what is published.
type Keeping int

// What becomes of it: passed on, stored as it comes, or stored once a service has
// decided that it may be.
const (
	Live Keeping = iota
	Stored
	Decided
)

// Session is what a dialect must know of one connection.
type Session struct {
	Index int    // of the connection, for the sink
	User  string // who the connection is
	Token string // proves it

	resume   []byte   // Latido: the secret that continues the session
	position []byte   // Latido: where the session stands in its durable channel
	left     int      // NATS: bytes to come of a frame begun
	stream   int      // NATS: bytes at the front of the data that are no longer framed
	pings    []uint32 // NATS: requests whose answer is the next pong
	listens  bool     // NATS: answers of JetStream are subscribed to
}

// Reconnect prepares the session for another connection, which continues it.
func (s *Session) Reconnect() { s.left, s.stream, s.pings, s.listens = 0, 0, nil, false }

// Sink is told what came.
type Sink interface {
	// Ready says that the server has let the session in.
	Ready(*Session)
	// Answer says that the request with an id is done.
	Answer(s *Session, id uint32)
	// Event hands over one event with all around it, valid during the call.
	Event(s *Session, event []byte)
	// Reply wants a frame sent to the server.
	Reply(s *Session, frame []byte)
	// Trouble says what the server refused (id 0: nothing that was asked for) or
	// said unexpectedly.
	Trouble(s *Session, id uint32, text []byte)
}

// Dialect is how a kind of server is spoken to. Requests are appended as frames.
type Dialect interface {
	// Endpoint is where the WebSocket is, and its subprotocol or "".
	Endpoint() (path, protocol string)
	// Hello opens the session; [Sink.Ready] follows.
	Hello(dst []byte, s *Session) []byte
	// Subscribe follows a channel from now on; an answer follows.
	Subscribe(dst []byte, s *Session, id uint32, c *Channel) []byte
	// Return follows a durable channel from where the session stood in it, or
	// from its beginning; an answer follows.
	Return(dst []byte, s *Session, id uint32, c *Channel) []byte
	// Publish publishes an object of JSON.
	Publish(dst []byte, s *Session, id uint32, c *Channel, body []byte) []byte
	// Answers says whether publishing to the channel is answered.
	Answers(c *Channel) bool
	// Scan tells the sink of everything whole in data, which it may rearrange,
	// and returns what is not whole yet.
	Scan(s *Session, data []byte, to Sink) []byte
}

// Opener is a dialect in which some channels must be opened by their publisher.
type Opener interface {
	// Opens says whether the channel is one of them.
	Opens(c *Channel) bool
	// Open is answered like any request.
	Open(dst []byte, s *Session, id uint32, c *Channel) []byte
}

// Tracker is a dialect with presence.
type Tracker interface {
	// Track follows the presence of a channel and joins it, saying an object of
	// JSON; two answers follow. Joins of others come as events.
	Track(dst []byte, s *Session, first uint32, c *Channel, meta []byte) []byte
}

// AppendEvent appends an event as Latido's native protocol has it.
func AppendEvent(dst []byte, c *Channel, body []byte) []byte {
	dst = append(appendChannel(append(dst, `{"op":"event","channel":"`...), c), `","event":"new_message","from":"u0","data":`...)
	return append(append(dst, body...), '}')
}

func appendChannel(dst []byte, c *Channel) []byte {
	kind := [...]string{Live: "app:", Stored: "log:", Decided: "room:"}[c.Keeping]
	return append(append(dst, kind...), c.Name...)
}

func appendID(dst []byte, id uint32) []byte { return strconv.AppendUint(dst, uint64(id), 10) }

// digits reads the number at the front of data; what follows it does not matter.
func digits(data []byte) (number uint32) {
	for _, c := range data {
		if c -= '0'; c >= 10 {
			break
		}
		number = number*10 + uint32(c)
	}
	return number
}
