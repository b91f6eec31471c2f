package faults

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
	dialWithin  = 5 * time.Second
	silenceSlop = 10 * time.Second // beyond the bridge's ping interval
	largestRead = 16 << 20
)

// errGone: the connection ended before the answer came.
var errGone = errors.New("connection lost")

// link is one WebSocket that has been welcomed.
type link struct {
	socket  *websocket.Conn
	welcome bridge.Welcome

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan error // by request id; nil when the link has ended
}

// dial connects to a bridge and says hello.
func dial(ctx context.Context, address string, hello bridge.Hello) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	socket, response, err := websocket.Dial(ctx, "ws://"+address+"/ws", &websocket.DialOptions{Subprotocols: []string{"latido.v1"}})
	if response != nil && response.Body != nil {
		_ = response.Body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	socket.SetReadLimit(largestRead)
	l := &link{socket: socket, waiting: map[uint64]chan error{}}
	if err := l.introduce(ctx, hello); err != nil {
		_ = socket.CloseNow()
		return nil, err
	}
	return l, nil
}

func (l *link) introduce(ctx context.Context, hello bridge.Hello) error {
	hello.Op, hello.Client, hello.Batch = "hello", "faults/1", true
	if err := l.write(ctx, hello); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	_, data, err := l.socket.Read(ctx)
	if err != nil {
		return fmt.Errorf("welcome: %w", err)
	}
	if err := json.Unmarshal(data, &l.welcome); err != nil || l.welcome.Op != "welcome" {
		return fmt.Errorf("welcome: got %.80q", data)
	}
	return nil
}

// read gives each notice to handle until the connection ends or says nothing for
// too long.
func (l *link) read(handle func(op string, line []byte) error) error {
	defer l.end()
	patience := time.Duration(l.welcome.Ping)*time.Second + silenceSlop
	for {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, data, err := l.socket.Read(ctx)
		cancel()
		if err != nil {
			return err
		}
		for line := range bytes.SplitSeq(data, []byte{'\n'}) {
			var head struct{ Op string }
			if err := json.Unmarshal(line, &head); err != nil {
				return fmt.Errorf("notice %.80q: %w", line, err)
			}
			if err := handle(head.Op, line); err != nil {
				return err
			}
		}
	}
}

// answer hands an ok or an error to whoever asked.
func (l *link) answer(id uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if waiting := l.waiting[id]; waiting != nil {
		waiting <- err
		delete(l.waiting, id)
	}
}

func (l *link) end() {
	_ = l.socket.CloseNow()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, waiting := range l.waiting {
		waiting <- errGone
	}
	l.waiting = nil
}

// ask sends the request that build makes of a fresh id and waits for the answer.
// A no is a [schemas.Refusal].
func (l *link) ask(ctx context.Context, build func(id uint64) any) error {
	answered := make(chan error, 1)
	l.mu.Lock()
	if l.waiting == nil {
		l.mu.Unlock()
		return errGone
	}
	l.last++
	id := l.last
	l.waiting[id] = answered
	l.mu.Unlock()
	if err := l.write(ctx, build(id)); err != nil {
		return errors.Join(errGone, err)
	}
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *link) write(ctx context.Context, frame any) error {
	data, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	// A canceled write would tear the connection down with half a frame in it.
	return l.socket.Write(context.WithoutCancel(ctx), websocket.MessageText, data)
}

func refusalOf(line []byte) (id uint64, err error) {
	var refused bridge.Error
	if err := json.Unmarshal(line, &refused); err != nil {
		return 0, err
	}
	return refused.ID, schemas.Refusal{Code: schemas.Code(refused.Code), Message: refused.Message}
}
