package session

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

// Once says whether this is the first time, at any bridge, that a key is used. It is
// so when the bus has stored that, and in no other case: without the bus nobody knows,
// and the error is to be taken for no. Keys are remembered for as long as that bucket keeps them.
func (n *Node) Once(ctx context.Context, key string) (first bool, err error) {
	msg := nats.NewMsg("$KV." + subjects.BucketTickets + "." + subjects.Token(key))
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
	msg.Header.Set(nats.MsgIdHdr, rand.Text()) // asked again, it is answered as the first time
	reply, err := n.requester.request(ctx, msg)
	if err == nil {
		_, err = acknowledged(reply)
	}
	if refused, is := errors.AsType[*jetstream.APIError](err); is && moved(refused) {
		return false, nil
	}
	return err == nil, err
}
