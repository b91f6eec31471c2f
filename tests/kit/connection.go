package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
)

const (
	subprotocol = "latido.v1"
	silenceSlop = 10 * time.Second // beyond the bridge's ping interval
)

// errGone: the connection ended before the answer came, so that nobody knows
// whether the request was done.
var errGone = errors.New("connection lost")

// errSilent: the bridge said nothing for longer than it may.
var errSilent = errors.New("nothing heard")

// connection is a client's socket once it has been welcomed.
type connection struct {
	*socket

	number  int // of the client's connections, from 1
	welcome bridge.Welcome
	batch   bool // the client has said that it reads joined notices
	settled bool // all was asked for again; the client's mutex guards it
	gone    chan struct{}

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]func(any) // by request id; called by the reader, in order
}

// greet connects to a bridge and says hello. A no is a [schemas.Refusal].
func greet(ctx context.Context, address string, within time.Duration, hello bridge.Hello) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	socket, err := dial(ctx, address, subprotocol)
	if err != nil {
		return nil, err
	}
	c := &connection{socket: socket, batch: hello.Batch, gone: make(chan struct{}), waiting: map[uint64]func(any){}}
	if err := c.introduce(ctx, hello); err != nil {
		_ = socket.conn.CloseNow()
		return nil, err
	}
	return c, nil
}

func (c *connection) introduce(ctx context.Context, hello bridge.Hello) error {
	hello.Op = "hello"
	if err := c.send(hello); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	data, err := c.read(ctx)
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
		return nil
	case *bridge.Error:
		return refusal(notice)
	}
	return fmt.Errorf("welcome: got %.80q", data)
}

// attend gives each notice to handle until the connection ends or is silent for too
// long, and says why it ended.
func (c *connection) attend(archive *archive, handle func(any), fault func(error)) error {
	defer close(c.gone)
	silence := time.Duration(c.welcome.Ping)*time.Second + silenceSlop
	for {
		ctx, cancel := context.WithTimeoutCause(context.Background(), silence, fmt.Errorf("%w for %v", errSilent, silence))
		data, err := c.read(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			cancel()
			_ = c.conn.CloseNow()
			return closeRefusal(err)
		}
		cancel()
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
	if err := c.send(build(id)); err != nil {
		return nil, errors.Join(errGone, err)
	}
	select {
	case notice := <-answers:
		if refused, is := notice.(*bridge.Error); is {
			return nil, refusal(refused)
		}
		return notice.(*bridge.OK), nil
	case <-c.gone:
		return nil, errGone
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *connection) send(frame any) error {
	data, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	return c.write(websocket.MessageText, data)
}

// retryable says whether an error is a no for now, or for good, or none of both.
func retryable(err error) (refused, retry bool) {
	no, is := errors.AsType[schemas.Refusal](err)
	return is, is && no.Code.Retry()
}
