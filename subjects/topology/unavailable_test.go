package topology_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/topology"
)

func TestIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		want bool
	}{
		{&jetstream.APIError{Code: 503, ErrorCode: 10008, Description: "JetStream system temporarily unavailable"}, true},
		{&jetstream.APIError{Code: 500, ErrorCode: 10009, Description: "JetStream cluster can not handle request"}, true},
		{&jetstream.APIError{Code: 500, ErrorCode: 10118, Description: "stream is offline"}, true},
		{nats.ErrNoResponders, true},
		{jetstream.ErrNoStreamResponse, true},
		{&jetstream.APIError{Code: 503, ErrorCode: 10077, Description: "no space left on device"}, false},
		{&jetstream.APIError{Code: 503, ErrorCode: 10077, Description: server.ErrStoreClosed.Error()}, true},
		{&jetstream.APIError{Code: 503, ErrorCode: 10023, Description: "insufficient resources"}, false},
		{&jetstream.APIError{Code: 404, ErrorCode: 10059, Description: "stream not found"}, false},
		{&jetstream.APIError{Code: 400, ErrorCode: 10071, Description: "wrong last sequence: 7"}, false},
		{context.DeadlineExceeded, false},
		{errors.New("another"), false},
		{nil, false},
	} {
		if got := topology.IsUnavailable(row.err); got != row.want {
			t.Errorf("%v is unavailable: %t, want %t", row.err, got, row.want)
		}
		if wrapped := fmt.Errorf("read: %w", row.err); row.err != nil && topology.IsUnavailable(wrapped) != row.want {
			t.Errorf("%v: %t, want %t", wrapped, !row.want, row.want)
		}
	}
}
