package session

import (
	"context"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// Ask does what is asked without a session: a publish or a call.
func (n *Node) Ask(ctx context.Context, by Sender, request wire.Request) (wire.OK, error) {
	switch r := request.(type) {
	case wire.Call:
		result, err := n.Command(ctx, by, r)
		return wire.OK{Ref: r.Ref, Sequence: result.Sequence, Data: result.Data}, err
	case wire.Publish:
		return n.publish(ctx, by, r)
	}
	return wire.OK{}, schemas.Refuse(schemas.UnknownOp, "here one can only publish and call")
}

func (n *Node) publish(ctx context.Context, by Sender, r wire.Publish) (wire.OK, error) {
	name, kind, err := n.Resolve(r.Channel)
	if err != nil {
		return wire.OK{}, err
	}
	if command, owned := kind.Publish[r.Event]; owned {
		return n.Ask(ctx, by, wire.Call{Ref: r.Ref, Channel: r.Channel, Command: command, Key: r.Key, Data: r.Data})
	}
	_, err = n.MayRead(ctx, by.Identity, name, kind)
	following := err == nil
	type outcome struct {
		sequence uint64
		err      error
	}
	outcomes := make(chan outcome, 1)
	n.Broadcast(by, following, name, kind, r, func(sequence uint64, err error) { outcomes <- outcome{sequence, err} })
	o := <-outcomes
	return wire.OK{Ref: r.Ref, Sequence: o.sequence}, o.err
}

// Refuse is what somebody is told of an error. One that is ours is logged here.
func (n *Node) Refuse(ref string, err error) wire.Error {
	refusal := RefusalFor(err)
	if refusal.Code == schemas.Internal {
		n.log.Error("request", "error", err)
	}
	n.metrics.refuse(refusal.Code)
	return errorNotice(ref, refusal)
}
