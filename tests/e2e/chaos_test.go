package e2e

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// cutsEach is how often a client is cut on average during a replay, beside the
// one time when all are cut at once.
const cutsEach = 2

// cutAtRandom cuts clients one by one, evenly over the duration, and all of them
// together once, half way through. It ends with ctx, and when all are cut as often as
// they should be: on a slow machine the work takes longer, and they would never get
// through.
func (w *world) cutAtRandom(ctx context.Context, over time.Duration) {
	ticker := time.NewTicker(max(over/time.Duration(cutsEach*len(w.Clients())), time.Millisecond))
	defer ticker.Stop()
	half := time.NewTimer(over / 2)
	defer half.Stop()
	for cuts := 0; cuts < cutsEach*len(w.Clients()); {
		select {
		case <-ctx.Done():
			return
		case <-half.C:
			for _, client := range w.Clients() {
				client.Cut(w.IntN(2) == 0)
			}
		case <-ticker.C:
			cuts++
			clients := w.Clients()
			clients[w.IntN(len(clients))].Cut(w.IntN(2) == 0)
		}
	}
}

// killLeaders kills the leaders of the streams in turn, each when its share of
// the work has been given out, and waits until the cluster is whole again before
// the next. It must run on the test's goroutine.
func (w *world) killLeaders(kills int, given *atomic.Int64, all int, into *counts) {
	streams := []string{subjects.StreamRoom, subjects.StreamOps, subjects.StreamTracking}
	for n := range kills {
		due := int64(all * (n + 1) / (kills + 1))
		if !w.Until(func() bool { return given.Load() >= due }) {
			return
		}
		stream, leader := streams[n%len(streams)], -1
		if !w.Until(func() bool { leader = w.Bus.Leader(stream); return leader >= 0 }) {
			return
		}
		w.Bus.Kill(leader)
		into.kills++
		w.T.Logf("killed server %d, leader of %s, after %d of %d lines", leader, stream, given.Load(), all)
		elected := w.Until(func() bool { return w.Bus.Leader(stream) >= 0 })
		w.Bus.Restart(w.T, leader)
		if !elected || !w.Until(w.clusterWhole) {
			return
		}
	}
}

// clusterWhole says whether every stream has a leader and all its replicas are current.
func (w *world) clusterWhole() bool {
	ctx, cancel := context.WithTimeout(w.Ctx, 2*time.Second)
	defer cancel()
	js, err := jetstream.New(w.NATS, bustest.Patient)
	if err != nil {
		return false
	}
	for _, name := range []string{subjects.StreamRoom, subjects.StreamOps, subjects.StreamTracking, "KV_" + subjects.BucketPresence, "KV_" + subjects.BucketMembers} {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return false
		}
		cluster := stream.CachedInfo().Cluster
		if cluster == nil || cluster.Leader == "" {
			return false
		}
		for _, replica := range cluster.Replicas {
			if !replica.Current {
				return false
			}
		}
	}
	return true
}

// tellConsumers says, after a failure, where the services' consumers stand.
func (w *world) tellConsumers() {
	if !w.T.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.T.Context()), 10*time.Second)
	defer cancel()
	js, err := jetstream.New(w.NATS, bustest.Patient)
	if err != nil {
		w.T.Error(err)
		return
	}
	for _, name := range []string{subjects.StreamRoom, subjects.StreamOps, subjects.StreamTracking} {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			w.T.Errorf("stream %s: %v", name, err)
			continue
		}
		w.T.Logf("stream %s: %+v of %+v", name, stream.CachedInfo().State, stream.CachedInfo().Cluster)
		consumers := stream.ListConsumers(ctx)
		for info := range consumers.Info() {
			w.T.Logf("consumer %s: delivered %d, acknowledged to %d, %d to be acknowledged, %d redelivered, %d waiting pulls, %d pending",
				info.Name, info.Delivered.Stream, info.AckFloor.Stream, info.NumAckPending, info.NumRedelivered, info.NumWaiting, info.NumPending)
		}
		if err := consumers.Err(); err != nil {
			w.T.Errorf("consumers of %s: %v", name, err)
		}
	}
}
