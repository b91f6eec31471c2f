package session

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/topology"
)

const (
	// ownBytes bounds what waits to be told to a session beside its channels. A
	// session that asks without reading the answers ends there.
	ownBytes = 1 << 20
	// helloBytes bounds what a connection can have us hold before it is welcomed,
	// in either direction.
	helloBytes = 16 << 10
	// RequestTimeout bounds the work on one request.
	RequestTimeout = 15 * time.Second
)

// session is one browser's connection.
type session struct {
	node   *Node
	socket netpoll.Socket
	outlet hub.Outlet
	queues queues
	reader websocket.Reader

	opened time.Duration // when the connection came, by uptime, as are the others
	heard  atomic.Int64  // when bytes last came
	ponged atomic.Int64  // when a pong last came
	pulse  pulse         // of the sweep only
	acked  uint64        // as TCP said of a stalled socket; of the sweep only

	working sync.WaitGroup // who serves it, until it has left, and its queues

	visit   *admission.Visit
	account admission.Account
	payer   admission.Payer // of its requests; the user is set once, by hello
	strain  admission.Meter

	user string // set once, by hello
	ref  string // public reference, stable across reconnects
	// generation is which of the session's connections speaks for it, see
	// [generationAfter] and package seat. Set once, by hello.
	generation uint64
	device     atomic.Pointer[device]

	counted bool // to its user; guarded by the registry's lock

	mu        sync.Mutex
	identity  identity.Identity
	welcomed  bool
	closed    bool // the connection is gone
	tracks    map[string]*track
	standings map[*hub.Cursor]standing // of the channels where it is more than everywhere
	typing    map[string]*time.Timer   // ends what its user began to type, by channel
	goodbye   bool                     // the peer said that it will not come back
}

func newSession(n *Node, conn Arrival, v *admission.Visit) *session {
	created := &session{node: n, opened: conn.Opened, visit: v}
	created.payer = admission.Payer{Session: &created.account, Address: v.Address()}
	created.socket.Open(conn.Conn, conn.Early, n.poller, n.workers, created)
	created.outlet.Open(n.Hub, created, &created.socket, conn.View, conn.Codec, helloBytes)
	created.reader = websocket.Reader{Limit: min(n.Limits.Frame, helloBytes), Compress: conn.View.Framing() == hub.Deflated}
	if created.listens() {
		created.outlet.Hurry() // no goodbye is answered
	}
	created.heard.Store(int64(netpoll.Uptime()))
	return created
}

// listens says whether the peer can only listen: nothing that it sends is a request.
func (s *session) listens() bool { return s.outlet.Framing() == hub.Bare }

// tell queues a notice.
func (s *session) tell(notice wire.Notice) { s.send(s.outlet.Encode(notice)) }

// send queues a frame of the session's own. Who does not read them ends.
func (s *session) send(frame []byte) {
	if !s.outlet.Send(frame) {
		s.end(schemas.Refuse(schemas.Slow, "answers are not read"))
	}
}

// refuse answers a request with a no. An error that is not a refusal is ours: it
// is logged here, and the client learns no more than that.
func (s *session) refuse(ref string, err error) {
	if errors.Is(err, errClosed) {
		return // nobody is there to be told
	}
	refusal := RefusalFor(err)
	if refusal.Code == schemas.Internal {
		s.node.log.Error("request", "user", s.user, "error", err)
	}
	if s.listens() {
		s.end(refusal) // it cannot ask again but by coming again
		return
	}
	s.node.metrics.refuse(refusal.Code)
	s.tell(errorNotice(ref, refusal))
}

func errorNotice(ref string, refusal schemas.Refusal) wire.Error {
	return wire.Error{
		Ref: ref, Code: int(refusal.Code), Reason: refusal.Code.Reason(), Retry: refusal.Code.Retry(), Message: refusal.Sentence(),
	}
}

// end closes the session with a refusal: it is told, and is the close code.
func (s *session) end(refusal schemas.Refusal) {
	told := s.outlet.Encode(errorNotice("", refusal))
	if s.finish(told, s.outlet.CloseFrame(int(refusal.Code), refusal.Code.Reason())) {
		s.node.metrics.refuse(refusal.Code)
	}
}

// finish closes the session with its last frames, unless it is closing already.
func (s *session) finish(frames ...[]byte) bool {
	if !s.outlet.Finish(frames...) {
		return false
	}
	s.queues.end(time.Time{})
	return true
}

// errReplaced ends a session that goes on through a newer connection. Its seats wait
// for that one to take them.
var errReplaced = schemas.Refuse(schemas.Replaced, "a newer connection continues this session")

// withdraw undoes what the session was to others. It may be called again.
func (s *session) withdraw() {
	cursors, first := s.outlet.Close()
	if !first {
		return
	}
	s.mu.Lock()
	s.closed = true
	clean := s.goodbye
	tracks := s.tracks
	s.tracks = nil
	s.mu.Unlock()
	s.queues.end(time.Now().Add(RequestTimeout))
	for _, c := range cursors {
		s.detach(c)
	}
	for _, t := range tracks {
		s.node.endEntry(t, clean)
	}
	s.unregisterDevice(clean)
}

// leave ends what the session was, after its socket has ended, and returns when
// what was begun is finished: an entry that is written at this moment still has to
// be let go before the bridge may stop.
func (s *session) leave() {
	s.withdraw()
	s.socket.Forget()
	s.socket.Close()
	s.visit.Leave()
	s.node.registry.remove(s)
	s.working.Done()
	s.working.Wait()
	s.node.sessions.Done()
}

// reference is the public name of a user's session with a secret: others see it,
// and cannot continue the session by it. Another user who comes with the same
// secret, as when someone else signs in on a page, has another session.
func reference(user, secret string) string {
	sum := sha256.Sum256([]byte("latido session " + user + "\x00" + secret))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// RefusalFor is what a caller is told of an error. A stream that is missing is made
// anew by whoever declares it, and a cluster finds its quorum again.
func RefusalFor(err error) schemas.Refusal {
	if errors.Is(err, history.ErrStream) {
		return schemas.Refuse(schemas.Unavailable, "where this is stored is missing at the moment")
	}
	if topology.IsUnavailable(err) {
		return schemas.Refuse(schemas.Unavailable, "where this is stored cannot be reached at the moment")
	}
	return schemas.RefusalOf(err)
}
