package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
)

const (
	subprotocol  = "latido.v1"
	answerWithin = 20 * time.Second // the longest a bridge may take to welcome or to take a frame
	largestRead  = 16 << 20
)

// errGone: the connection ended before the answer came, so that nobody knows
// whether the request was done.
var errGone = errors.New("connection lost")

// connection is one WebSocket that has been welcomed.
type connection struct {
	number  int // of the client's connections, from 1
	socket  *websocket.Conn
	wire    net.Conn // below the socket, to cut it as a tunnel would
	welcome bridge.Welcome
	batch   bool         // the client has said that it reads joined notices
	heard   atomic.Int64 // unix nanoseconds of the last message
	settled bool         // all was asked for again; the client's mutex guards it
	gone    chan struct{}

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]func(any) // by request id; called by the reader, in order
}

// dial connects to a bridge and says hello. A no is a [schemas.Refusal].
func dial(ctx context.Context, address string, hello bridge.Hello) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	c := &connection{batch: hello.Batch, gone: make(chan struct{}), waiting: map[uint64]func(any){}}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		wire, err := (&net.Dialer{}).DialContext(ctx, network, address)
		c.wire = wire
		return wire, err
	}}
	socket, response, err := websocket.Dial(ctx, "ws://"+address+"/ws", &websocket.DialOptions{
		Subprotocols: []string{subprotocol}, HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		return nil, fmt.Errorf("dial: %w", refusalOf(response, err))
	}
	socket.SetReadLimit(largestRead)
	c.socket = socket
	if err := c.introduce(ctx, hello); err != nil {
		_ = socket.CloseNow()
		return nil, err
	}
	return c, nil
}

// refusalOf reads the bridge's code from a refused upgrade.
func refusalOf(response *http.Response, err error) error {
	if response == nil || response.Body == nil {
		return err
	}
	var refused bridge.Error
	if json.NewDecoder(response.Body).Decode(&refused) == nil && refused.Code != 0 {
		return schemas.Refusal{Code: schemas.Code(refused.Code), Message: refused.Message}
	}
	return err
}

func (c *connection) introduce(ctx context.Context, hello bridge.Hello) error {
	hello.Op = "hello"
	if err := c.write(ctx, hello); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	_, data, err := c.socket.Read(ctx)
	if err != nil {
		return fmt.Errorf("welcome: %w", closeRefusal(err))
	}
	notice, err := decodeNotice(data)
	if err != nil {
		return err
	}
	switch notice := notice.(type) {
	case *bridge.Welcome:
		c.welcome = *notice
		c.heard.Store(time.Now().UnixNano())
		return nil
	case *bridge.Error:
		return schemas.Refusal{Code: schemas.Code(notice.Code), Message: notice.Message}
	}
	return fmt.Errorf("welcome: got %.80q", data)
}

// closeRefusal turns a close frame with one of the bridge's codes into that refusal.
func closeRefusal(err error) error {
	if code := websocket.CloseStatus(err); code >= 4000 {
		return schemas.Refusal{Code: schemas.Code(code)}
	}
	return err
}

// read gives each notice to handle until the connection ends, and says why it did.
func (c *connection) read(archive *Archive, handle func(any), fault func(error)) error {
	defer close(c.gone)
	for {
		_, data, err := c.socket.Read(context.Background())
		if err != nil {
			return closeRefusal(err)
		}
		c.heard.Store(time.Now().UnixNano())
		if !c.batch && bytes.IndexByte(data, '\n') >= 0 {
			fault(errors.New("joined notices for a client that did not ask for them"))
		}
		for line := range bytes.SplitSeq(data, []byte{'\n'}) {
			notice, err := archive.decode(line)
			if err != nil {
				fault(err)
				continue
			}
			handle(notice)
		}
	}
}

// answer hands an ok or an error to whoever waits for it.
func (c *connection) answer(id uint64, notice any) bool {
	c.mu.Lock()
	answered := c.waiting[id]
	delete(c.waiting, id)
	c.mu.Unlock()
	if answered == nil {
		return false
	}
	answered(notice)
	return true
}

// ask sends the request that build makes of a fresh id and waits for the answer.
// inOrder, unless nil, sees an ok before anything that the bridge sends after it.
func (c *connection) ask(ctx context.Context, build func(id uint64) any, inOrder func(*bridge.OK)) (*bridge.OK, error) {
	answers := make(chan any, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.waiting[id] = func(notice any) {
		if ok, is := notice.(*bridge.OK); is && inOrder != nil {
			inOrder(ok)
		}
		answers <- notice
	}
	c.mu.Unlock()
	if err := c.write(ctx, build(id)); err != nil {
		return nil, errors.Join(errGone, err)
	}
	select {
	case notice := <-answers:
		if refused, is := notice.(*bridge.Error); is {
			return nil, schemas.Refusal{Code: schemas.Code(refused.Code), Message: refused.Message}
		}
		return notice.(*bridge.OK), nil
	case <-c.gone:
		return nil, errGone
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *connection) write(ctx context.Context, frame any) error {
	data, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	// A canceled write would tear the connection down with half a frame in it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	return c.socket.Write(ctx, websocket.MessageText, data)
}

// cut ends the connection without a goodbye, with a reset or without.
func (c *connection) cut(reset bool) {
	if tcp, ok := c.wire.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = c.wire.Close()
}
