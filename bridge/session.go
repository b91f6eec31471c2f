package bridge

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

const (
	// ownBytes bounds what waits to be told to a session beside its channels. A
	// session that asks without reading the answers ends there.
	ownBytes = 1 << 20
	// requestsAtOnce bounds a session's open requests: beyond it, and what one
	// read brought, its socket is not read.
	requestsAtOnce = 64
	// requestTimeout bounds the work on one request.
	requestTimeout = 15 * time.Second
	// stallTimeout is how long a socket may take nothing before it is closed.
	stallTimeout = 30 * time.Second
)

// session is one browser's connection.
type session struct {
	bridge  *Bridge
	socket  socket
	dialect dialect
	flusher *flusher
	reader  websocket.Reader
	writing

	heard    atomic.Int64 // when bytes last came, unix nanoseconds
	told     atomic.Int64 // when bytes last went
	progress atomic.Int64 // when a stalled socket last took something

	state   atomic.Int32   // whether it is served
	working sync.WaitGroup // who serves it, until it has left, and its lanes

	user   string // set once, by hello
	ref    string // public reference, stable across reconnects
	device atomic.Pointer[device]

	mu         sync.Mutex
	identity   identity
	own        [][]byte // frames of its own that wait for the flusher
	ownSize    int
	welcomed   bool
	ending     bool      // a goodbye was queued: nothing follows
	closed     bool      // the connection is gone
	until      time.Time // when what still waits in its lanes is given up, once it is gone
	cursors    map[string]*cursor
	tracks     map[string]*track
	typing     map[string]*time.Timer // ends what its user began to type, by channel
	lanes      map[string][]func(context.Context)
	open       map[string]struct{} // references of the requests in work
	spare      sync.Cond           // there is room for another request
	rate       *rate.Limiter
	closedWith int // the peer's close code
}

func newSession(b *Bridge, conn net.Conn, d dialect, f *flusher) *session {
	created := &session{bridge: b, dialect: d, flusher: f}
	created.socket.take(conn)
	created.state.Store(served) // until it is parked for the first time
	created.reader = websocket.Reader{Limit: b.limits.Frame, Compress: dialects[d].deflate}
	created.spare.L = &created.mu
	now := time.Now().UnixNano()
	created.heard.Store(now)
	// As if told a while ago, so that the pings of those who connected together
	// are spread.
	created.told.Store(now - rand.Int64N(int64(b.limits.Ping)))
	return created
}

// tell queues a notice.
func (s *session) tell(notice wire.Notice) { s.send(s.dialect.encode(notice)) }

// send queues a frame of the session's own.
func (s *session) send(frame []byte) {
	if len(frame) == 0 {
		return
	}
	s.mu.Lock()
	if s.ending || s.closed {
		s.mu.Unlock()
		return
	}
	s.own = append(s.own, frame)
	s.ownSize += len(frame)
	over := s.ownSize > ownBytes
	s.mu.Unlock()
	s.speaks.Store(true)
	if over {
		s.end(schemas.Refuse(schemas.Slow, "answers are not read"))
		return
	}
	s.flusher.session(s)
}

// refuse answers a request with a no. An error that is not a refusal is ours: it
// is logged here, and the client learns no more than that.
func (s *session) refuse(ref string, err error) {
	if errors.Is(err, errClosed) {
		return // nobody is there to be told
	}
	refusal := schemas.RefusalOf(err)
	if refusal.Code == schemas.Internal {
		s.bridge.log.Error("request", "user", s.user, "error", err)
	}
	s.bridge.metrics.refuse(refusal.Code)
	s.tell(errorNotice(ref, refusal))
}

func errorNotice(ref string, refusal schemas.Refusal) wire.Error {
	return wire.Error{
		Ref: ref, Code: int(refusal.Code), Reason: refusal.Code.Reason(), Retry: refusal.Code.Retry(), Message: refusal.Sentence(),
	}
}

// end closes the session with a refusal: it is told, and is the close code.
func (s *session) end(refusal schemas.Refusal) {
	s.bridge.metrics.refuse(refusal.Code)
	s.finish(int(refusal.Code), refusal.Code.Reason(), s.dialect.encode(errorNotice("", refusal)))
}

// finish closes the session with a code, once some frames were told.
func (s *session) finish(code int, reason string, before ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending || s.closed {
		return
	}
	s.ending = true
	s.own = append(s.own, before...)
	s.own = append(s.own, websocket.AppendClose(nil, code, reason))
	s.spare.Broadcast()
	s.speaks.Store(true)
	s.flusher.session(s)
	s.wake()
}

// leave undoes what the session was, after its socket has ended, and returns when
// what was begun is finished: an entry that is written at this moment still has to
// be let go before the bridge may stop.
func (s *session) leave() {
	s.mu.Lock()
	s.closed, s.until = true, time.Now().Add(requestTimeout)
	clean := s.closedWith == websocket.CloseNormal
	cursors, tracks := s.cursors, s.tracks
	s.cursors, s.tracks, s.own = nil, nil, nil
	s.spare.Broadcast()
	s.mu.Unlock()
	for _, c := range cursors {
		s.letGo(c)
	}
	for _, t := range tracks {
		s.bridge.depart(t, clean)
	}
	s.unplug(clean)
	s.bridge.poller.remove(s)
	_ = s.socket.conn.Close() // the peer may have closed it already
	s.bridge.registry.remove(s)
	s.working.Done()
	s.working.Wait()
	s.bridge.sessions.Done()
}

// fail ends a session whose socket cannot be written.
func (s *session) fail() {
	_ = s.socket.conn.Close()
	s.wake() // to clean up
}

// takeOwn moves the session's own frames to its output. Of the flusher.
func (s *session) takeOwn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, frame := range s.own {
		s.out.add(frame)
	}
	s.own, s.ownSize = nil, 0
	s.over = s.ending
}

// gatherAll moves every cursor of the session forward. Of the flusher.
func (s *session) gatherAll() {
	s.mu.Lock()
	cursors := make([]*cursor, 0, len(s.cursors))
	for _, c := range s.cursors {
		cursors = append(cursors, c)
	}
	s.mu.Unlock()
	for _, c := range cursors {
		c.channel.mu.Lock()
		c.gather(s.out)
		c.channel.mu.Unlock()
	}
}

// stall leaves the rest of a write to a goroutine that waits for the socket.
// Meanwhile nothing is gathered for the session: its cursors stay where they are.
func (s *session) stall(rest []byte) {
	s.stalled.Store(true)
	s.progress.Store(time.Now().UnixNano())
	s.bridge.metrics.stalls.Inc()
	s.bridge.hub.start(func(context.Context) {
		err := s.socket.writeAll(rest, func() { s.progress.Store(time.Now().UnixNano()) })
		if err != nil {
			s.fail()
			return
		}
		s.told.Store(time.Now().UnixNano())
		s.stalled.Store(false)
		s.flusher.session(s)
	})
}

// sweep looks after the session's deadlines.
func (s *session) sweep(now time.Time) {
	silence := now.Sub(time.Unix(0, s.heard.Load()))
	ping := s.bridge.limits.Ping
	s.mu.Lock()
	welcomed, expires := s.welcomed, s.identity.Expires
	s.mu.Unlock()
	switch {
	case s.stalled.Load():
		if now.Sub(time.Unix(0, s.progress.Load())) > stallTimeout {
			s.fail()
		}
	case !welcomed:
		if silence > s.bridge.limits.Handshake {
			s.end(schemas.Refuse(schemas.HelloExpected, "the first frame must be hello, within %s", s.bridge.limits.Handshake))
		}
	case now.After(expires):
		s.end(schemas.Refuse(schemas.TokenExpired, "the token has expired"))
	case silence > 2*ping+pingPatience:
		s.end(schemas.Refuse(schemas.Silent, "nothing was heard for %s", silence.Round(time.Second)))
	case silence > ping && now.Sub(time.Unix(0, s.told.Load())) > ping:
		s.tell(wire.Ping{})
	}
}

// pingPatience is how long the answer to a ping may take.
const pingPatience = 10 * time.Second

// reference is the public name of the session with a secret: others see it, and
// cannot continue the session by it.
func reference(secret string) string {
	sum := sha256.Sum256([]byte("latido session " + secret))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}
