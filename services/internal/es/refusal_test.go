package es

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/history"
)

func TestRefusalForWhatPasses(t *testing.T) {
	t.Parallel()
	noQuorum := &jetstream.APIError{Code: 503, ErrorCode: 10008, Description: "JetStream system temporarily unavailable"}
	for _, row := range []struct {
		err  error
		want schemas.Code
	}{
		{fmt.Errorf("refresh: %w", noQuorum), schemas.Unavailable},
		{fmt.Errorf("refresh: %w", nats.ErrNoResponders), schemas.Unavailable},
		{history.ErrStream, schemas.Unavailable},
		{fmt.Errorf("%w: %w", errUncertain, noQuorum), schemas.Timeout},
		{context.DeadlineExceeded, schemas.Timeout},
		{errFull, 0},
		{io.EOF, 0},
		{nil, 0},
	} {
		if got, refused := refusalFor(row.err); got.Code != row.want || refused != (row.want != 0) {
			t.Errorf("%v: %v, %t; want %d", row.err, got, refused, row.want)
		}
	}
}
