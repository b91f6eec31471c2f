package topology

import (
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// JetStream error codes that say that there is no room: the server's or the
// account's limit is reached, the stream's is, or its disk is full.
const (
	codeAccountFull = 10002
	codeServerFull  = 10023
	codeStorageFull = 10047
	codeStoreFailed = 10077 // and that a stream holds as many as it may
)

// storeClosed is the description of codeStoreFailed when a server is leaving a stream,
// or stopping (store.go of nats-server, ErrStoreClosed).
const storeClosed = "store is closed"

// IsFull tells that JetStream refused to store something for want of room.
func IsFull(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return false
	}
	switch api.ErrorCode {
	case codeAccountFull, codeServerFull, codeStorageFull:
		return true
	case codeStoreFailed:
		return api.Description != storeClosed
	}
	return false
}
