package stack

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// group runs parts that stop together. The first of them to end before it was
// told to stop is a failure, which the group tells once.
type group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	parts  errgroup.Group
	failed func(error)
}

// newGroup makes a group that outlives ctx: who stops the stack decides when.
func newGroup(ctx context.Context, failed func(error)) *group {
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	return &group{ctx: inner, cancel: cancel, failed: failed}
}

func (g *group) start(name string, run func(context.Context) error) {
	g.parts.Go(func() error {
		err := run(g.ctx)
		stopped := g.ctx.Err() != nil
		switch {
		case stopped && (err == nil || errors.Is(err, context.Canceled)):
			return nil
		case err == nil:
			err = errEnded
		}
		err = fmt.Errorf("%s: %w", name, err)
		if !stopped {
			g.failed(err)
		}
		return err
	})
}

// stop tells the parts why to end and waits until they have.
func (g *group) stop(cause error) error {
	g.cancel(cause)
	return g.parts.Wait()
}
