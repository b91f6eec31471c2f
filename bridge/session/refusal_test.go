package session

import (
	"fmt"
	"io"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/history"
)

func TestRefusalForWhatPasses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		want schemas.Code
	}{
		{&jetstream.APIError{Code: 503, ErrorCode: 10008, Description: "JetStream system temporarily unavailable"}, schemas.Unavailable},
		{&jetstream.APIError{Code: 500, ErrorCode: 10009, Description: "JetStream cluster can not handle request"}, schemas.Unavailable},
		{history.ErrStream, schemas.Unavailable},
		{errFull, schemas.StorageFull},
		{io.EOF, schemas.Internal},
	} {
		if got := RefusalFor(fmt.Errorf("subscribe: %w", row.err)); got.Code != row.want {
			t.Errorf("%v: %v, want %s", row.err, got, row.want.Reason())
		}
	}
}
