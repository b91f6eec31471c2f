package topology

import (
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What says that nobody may decide now: a status, or the code of a stream whose servers
// are not there. That of a server that does not lead is codeMetaNoLeader.
const (
	codeOffline = 10118
	statusAway  = 503
)

// CodeInProcess is what JetStream answers to a message whose id an earlier attempt is
// being stored with: whether that one succeeds is not known yet. It is not answered
// by itself when it does.
const CodeInProcess jetstream.ErrorCode = 10158

// IsUnavailable tells that JetStream did not do something because it has no leader, or
// no quorum, or is not there, at the moment. It may well do it later.
func IsUnavailable(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return !IsFull(err) && (api.Code == statusAway || api.ErrorCode == codeMetaNoLeader || api.ErrorCode == codeOffline)
	}
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)
}
