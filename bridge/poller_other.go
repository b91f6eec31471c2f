//go:build !linux

package bridge

import "context"

// poller waits for no sockets here: each session waits for its own.
type poller struct{}

func newPoller() (*poller, error) { return &poller{}, nil }

func (*poller) add(*session) bool { return false }
func (*poller) remove(*session)   {}

func (*poller) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
