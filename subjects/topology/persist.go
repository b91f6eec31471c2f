package topology

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A request that meets the first election of a fresh cluster may never be
// answered: each attempt is short at first, then longer, since a busy disk takes
// its time.
const (
	firstAttempt   = 2 * time.Second
	longestAttempt = 15 * time.Second
	longestPause   = 400 * time.Millisecond
)

// JetStream error codes that pass: the cluster has no leader, or not enough
// peers yet; another process was faster between our look and our call.
const (
	codeNotAvailable  = 10008
	codeNoPeers       = 10005
	codeInsufficient  = 10023
	codeNameInUse     = 10058
	codeMetaNoLeader  = 10009
	codeClusterNoResp = 10076
	codeNoStream      = 10059
	codePurgeDenied   = 10110 // another process has migrated the bucket since we looked
)

// JetStream error codes that say the existing stream does not take the change.
const (
	codeInvalidUpdate = 10052
	codeSubjectsClash = 10065
)

// persist runs step again while it fails for a reason that passes.
func persist(ctx context.Context, step func(context.Context) error) error {
	for limit := firstAttempt; ; limit = min(2*limit, longestAttempt) {
		attempt, cancel := context.WithTimeout(ctx, limit)
		err := step(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if !passes(err) {
			return classify(err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(rand.N(longestPause)):
		}
	}
}

func passes(err error) bool {
	var api jetstream.JetStreamError
	if errors.As(err, &api) && api.APIError() != nil {
		switch api.APIError().ErrorCode {
		case codeNotAvailable, codeNoPeers, codeInsufficient, codeNameInUse, codeMetaNoLeader, codeClusterNoResp, codeNoStream, codePurgeDenied:
			return true
		}
		return false
	}
	for _, passing := range []error{jetstream.ErrNoStreamResponse, context.DeadlineExceeded, nats.ErrNoResponders, nats.ErrTimeout, nats.ErrDisconnected, nats.ErrReconnectBufExceeded} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

func classify(err error) error {
	var api jetstream.JetStreamError
	if errors.As(err, &api) && api.APIError() != nil {
		switch api.APIError().ErrorCode {
		case codeInvalidUpdate, codeSubjectsClash:
			return fmt.Errorf("%w: %s", ErrIncompatible, api.APIError().Description)
		}
	}
	return err
}
