package dialect

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/latido/latido/tests/load/frame"
)

// NATS speaks the NATS protocol through a nats-server's WebSocket listener, with
// a JetStream stream for the durable channels: what a team has that lets browsers
// talk to NATS directly. The subjects are this program's own.
type NATS struct{}

const (
	natsStream  = "LOAD"
	natsDurable = "durable."
	natsLive    = "live."
	natsInbox   = "_INBOX."
)

// Endpoint implements [Dialect].
func (NATS) Endpoint() (path, protocol string) { return "/", "" }

// Hello implements [Dialect].
func (n NATS) Hello(dst []byte, s *Session) []byte {
	text := fmt.Appendf(nil, "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"name\":%q,\"lang\":\"load\",\"version\":\"1\",\"protocol\":1,\"headers\":true,\"no_responders\":true}\r\n", s.User)
	return n.ping(dst, s, 0, text)
}

// listen appends, once, the subscription for the answers of JetStream.
func (s *Session) listen(text []byte) []byte {
	if s.listens {
		return text
	}
	s.listens = true
	return fmt.Appendf(text, "SUB %s%d.* 1\r\n", natsInbox, s.Index)
}

// ping appends commands and a ping whose pong answers them.
func (NATS) ping(dst []byte, s *Session, id uint32, text []byte) []byte {
	s.pings = append(s.pings, id)
	return frame.Append(dst, frame.Binary, append(text, "PING\r\n"...))
}

// Subscribe implements [Dialect].
func (n NATS) Subscribe(dst []byte, s *Session, id uint32, c *Channel) []byte {
	return n.ping(dst, s, id, fmt.Appendf(nil, "SUB %s 2\r\n", natsSubject(c)))
}

// Return implements [Dialect]: an ordered consumer of one's own, from the
// beginning, which is where a run's members left.
func (NATS) Return(dst []byte, s *Session, id uint32, c *Channel) []byte {
	body := fmt.Appendf(nil, `{"stream_name":%q,"config":{"deliver_subject":"deliver.%d","deliver_policy":"all","ack_policy":"none","filter_subject":%q,"max_deliver":1,"mem_storage":true,"num_replicas":1}}`,
		natsStream, s.Index, natsSubject(c))
	text := fmt.Appendf(s.listen(nil), "SUB deliver.%d 2\r\nPUB $JS.API.CONSUMER.CREATE.%s %s%d.%d %d\r\n", s.Index, natsStream, natsInbox, s.Index, id, len(body))
	return frame.Append(dst, frame.Binary, append(append(text, body...), "\r\n"...))
}

// Publish implements [Dialect].
func (NATS) Publish(dst []byte, s *Session, id uint32, c *Channel, body []byte) []byte {
	var text []byte
	if c.Keeping != Live {
		text = s.listen(text)
	}
	text = append(append(append(text, "PUB "...), natsSubject(c)...), ' ')
	if c.Keeping != Live {
		text = strconv.AppendInt(append(text, natsInbox...), int64(s.Index), 10)
		text = append(appendID(append(text, '.'), id), ' ')
	}
	text = append(strconv.AppendInt(text, int64(len(body)), 10), "\r\n"...)
	return frame.Append(dst, frame.Binary, append(append(text, body...), "\r\n"...))
}

// Opens implements [Opener].
func (NATS) Opens(c *Channel) bool { return c.Keeping != Live }

// Open implements [Opener]: the first one makes the stream of all.
func (NATS) Open(dst []byte, s *Session, id uint32, _ *Channel) []byte {
	body := fmt.Appendf(nil, `{"name":%q,"subjects":["%s*"],"retention":"limits","storage":"file","num_replicas":1,"discard":"old","max_consumers":100000}`, natsStream, natsDurable)
	text := fmt.Appendf(s.listen(nil), "PUB $JS.API.STREAM.CREATE.%s %s%d.%d %d\r\n", natsStream, natsInbox, s.Index, id, len(body))
	return frame.Append(dst, frame.Binary, append(append(text, body...), "\r\n"...))
}

// Answers implements [Dialect].
func (NATS) Answers(c *Channel) bool { return c.Keeping != Live }

func natsSubject(c *Channel) string {
	if c.Keeping != Live {
		return natsDurable + c.Name
	}
	return natsLive + c.Name
}

// Scan implements [Dialect]. The protocol is a stream of bytes that the frames cut
// anywhere: the frames' headers are taken out, then the stream is read.
func (n NATS) Scan(s *Session, data []byte, to Sink) []byte {
	data = s.unframe(data)
	taken := 0
	for {
		size := n.operation(s, data[taken:s.stream], to)
		if size == 0 {
			break
		}
		taken += size
	}
	s.stream -= taken
	return data[taken:]
}

// unframe moves the payloads of the frames in data together, behind what was
// moved before. A header that is not whole stays at the end.
func (s *Session) unframe(data []byte) []byte {
	rest := data[s.stream:]
	for {
		part := min(s.left, len(rest))
		s.stream += copy(data[s.stream:], rest[:part])
		s.left -= part
		rest = rest[part:]
		if s.left > 0 {
			break
		}
		_, header, payload := frame.Header(rest)
		if header == 0 {
			break
		}
		s.left, rest = payload, rest[header:]
	}
	return data[:s.stream+copy(data[s.stream:], rest)]
}

// operation takes one operation off the stream; 0 says that none is whole.
func (NATS) operation(s *Session, stream []byte, to Sink) int {
	end := bytes.IndexByte(stream, '\n')
	if end < 0 {
		return 0
	}
	line, size := bytes.TrimSuffix(stream[:end], []byte("\r")), end+1
	switch {
	case len(line) == 0:
		to.Trouble(s, 0, []byte("an empty line"))
	case line[0] == 'M':
		length := digits(line[bytes.LastIndexByte(line, ' ')+1:])
		whole := size + int(length) + len("\r\n")
		if len(stream) < whole {
			return 0
		}
		s.delivered(line, stream[size:whole-2], to)
		return whole
	case string(line) == "PING":
		to.Reply(s, frame.Append(nil, frame.Binary, []byte("PONG\r\n")))
	case string(line) == "PONG":
		if len(s.pings) == 0 {
			break
		}
		var id uint32
		if id, s.pings = s.pings[0], s.pings[1:]; id == 0 {
			to.Ready(s)
		} else {
			to.Answer(s, id)
		}
	case line[0] == 'I' || line[0] == '+':
	default:
		to.Trouble(s, 0, line)
	}
	return size
}

// delivered takes one message: an answer of JetStream, or an event.
func (s *Session) delivered(line, body []byte, to Sink) {
	const inbox = "MSG " + natsInbox
	if len(line) < len(inbox) || string(line[:len(inbox)]) != inbox {
		to.Event(s, body)
		return
	}
	subject, _, _ := bytes.Cut(line[len(inbox):], []byte(" "))
	id := digits(subject[bytes.IndexByte(subject, '.')+1:])
	if bytes.Contains(body, []byte(`"error":`)) {
		to.Trouble(s, id, body)
		return
	}
	to.Answer(s, id)
}
