// Package topology declares every stream and bucket of the bus, once: it
// answers "kept where, for how long, on how many nodes?".
//
// [Ensure] makes the bus match the declaration. It is safe to run from every
// process at every start, in any order and at once: what exists is left alone,
// a changed setting is updated, and a change that JetStream cannot make in place
// is a clear error. The package imports subjects and nats.go.
package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

// Version of the layout. It is written to the metadata of every stream and
// bucket; Ensure refuses a bus whose layout is newer than it knows.
const Version = 1

// ErrIncompatible is wrapped when a stream or bucket exists with a setting that
// cannot be changed in place.
var ErrIncompatible = errors.New("cannot be changed in place")

// ErrNewer is wrapped when the bus was laid out by a newer version.
var ErrNewer = errors.New("was laid out by a newer version of Latido")

// Config says how the streams are kept. The zero value fits one node.
type Config struct {
	Replicas int             // copies of every stream and bucket: 1 (default), 3 or 5
	RoomAge  time.Duration   // oldest kept fact of a room; 0 keeps all
	TrailAge time.Duration   // oldest kept fix; default 7 days
	TrailLen int64           // most fixes kept per track; default 5,000
	AppAge   time.Duration   // oldest kept event of a durable app kind; default 24 hours
	Kinds    []subjects.Kind // kinds the app adds; the durable ones are kept in stream APP
	// RelaxTrail lets the trail leave the server's fsync on every append. Only
	// where the server has that setting and Replicas is 1.
	RelaxTrail bool
}

func (c Config) withDefaults() Config {
	c.Replicas = max(c.Replicas, 1)
	if c.TrailAge == 0 {
		c.TrailAge = 7 * 24 * time.Hour
	}
	if c.TrailLen == 0 {
		c.TrailLen = 5000
	}
	if c.AppAge == 0 {
		c.AppAge = 24 * time.Hour
	}
	return c
}

// Ensure creates and updates the streams and buckets. While a cluster has no
// leader yet it tries again until ctx ends.
func Ensure(ctx context.Context, js jetstream.JetStream, cfg Config) error {
	cfg = cfg.withDefaults()
	for _, stream := range Streams(cfg) {
		err := persist(ctx, func() error { return ensureStream(ctx, js, stream) })
		if err != nil {
			return fmt.Errorf("stream %s: %w", stream.Name, err)
		}
	}
	for _, bucket := range Buckets(cfg) {
		err := persist(ctx, func() error { return ensureBucket(ctx, js, bucket) })
		if err != nil {
			return fmt.Errorf("bucket %s: %w", bucket.Bucket, err)
		}
	}
	return nil
}

func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	if err := checkVersion(ctx, js, want.Name); err != nil {
		return err
	}
	_, err := js.CreateOrUpdateStream(ctx, want)
	return err
}

func ensureBucket(ctx context.Context, js jetstream.JetStream, want jetstream.KeyValueConfig) error {
	if err := checkVersion(ctx, js, "KV_"+want.Bucket); err != nil {
		return err
	}
	_, err := js.CreateOrUpdateKeyValue(ctx, want)
	return err
}

func checkVersion(ctx context.Context, js jetstream.JetStream, stream string) error {
	existing, err := js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var version int
	if _, err := fmt.Sscan(existing.CachedInfo().Config.Metadata[metadataVersion], &version); err == nil && version > Version {
		return fmt.Errorf("layout %d, this program knows %d: %w", version, Version, ErrNewer)
	}
	return nil
}

// JetStream error codes that pass: the cluster has no leader, or not enough
// peers yet; another process created the stream between our look and our call.
const (
	codeNotAvailable  = 10008
	codeNoPeers       = 10005
	codeInsufficient  = 10023
	codeNameInUse     = 10058
	codeMetaNoLeader  = 10009
	codeClusterNoResp = 10076
)

// JetStream error codes that say the existing stream does not take the change.
const (
	codeInvalidUpdate = 10052
	codeSubjectsClash = 10065
)

// persist runs step again while it fails for a reason that passes.
func persist(ctx context.Context, step func() error) error {
	for {
		err := step()
		if !passes(err) {
			return classify(err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func passes(err error) bool {
	var api jetstream.JetStreamError
	if errors.As(err, &api) && api.APIError() != nil {
		switch api.APIError().ErrorCode {
		case codeNotAvailable, codeNoPeers, codeInsufficient, codeNameInUse, codeMetaNoLeader, codeClusterNoResp:
			return true
		}
		return false
	}
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, context.DeadlineExceeded)
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
