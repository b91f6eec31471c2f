//go:build !linux

package netpoll

import "context"

// Poller waits for no sockets here: each is waited for by who serves it.
type Poller struct{}

// NewPoller cannot fail here.
func NewPoller() (*Poller, error) { return &Poller{}, nil }

func (*Poller) add(*Socket) bool { return false }
func (*Poller) remove(*Socket)   {}

// Run waits until ctx ends.
func (*Poller) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
