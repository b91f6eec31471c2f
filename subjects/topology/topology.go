// Package topology declares every stream, bucket and durable consumer of the bus,
// once: it answers "kept where, for how long, on how many nodes?".
//
// [Ensure] makes the bus match the declaration. It is safe to run from every
// process at every start, in any order and at once: what exists is left alone,
// a changed setting is updated, and a change that JetStream cannot make in place
// is a clear error. [Check] only looks. The package imports subjects and nats.go.
package topology

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

// Version of the layout. It is written to the metadata of every stream and
// bucket; Ensure refuses a bus whose layout is newer than it knows.
const Version = 2

// ErrIncompatible is wrapped when a stream or bucket exists with a setting that
// cannot be changed in place.
var ErrIncompatible = errors.New("cannot be changed in place")

// ErrNewer is wrapped when the bus was laid out by a newer version.
var ErrNewer = errors.New("was laid out by a newer version of Latido")

// ErrMissing is wrapped by Check when something is not declared yet.
var ErrMissing = errors.New("not declared yet")

// Config says how the streams are kept. The zero value fits one node.
type Config struct {
	// Replicas is the copies of every stream and bucket: 1, 3 or 5. 0 leaves those
	// that exist as they are, and makes new ones with 1.
	Replicas int
	RoomAge  time.Duration   // oldest kept fact of a room; 0 keeps all
	TrailAge time.Duration   // oldest kept fix; default 7 days
	TrailLen int64           // most fixes kept per track; default 5,000
	AppAge   time.Duration   // oldest kept event of a durable app kind; default 24 hours
	Kinds    []subjects.Kind // kinds the app adds; the durable ones are kept in stream APP
	// Joins says that another process may know of more kinds, which are kept.
	Joins bool
	// RelaxTrail lets a new trail leave the server's fsync on every append. Only
	// where the server has that setting and there is 1 replica. A trail that exists
	// keeps its way: JetStream cannot change it in place.
	RelaxTrail bool
}

func (c Config) withDefaults() Config {
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

// Ensure creates and updates the streams, buckets and consumers. While a cluster
// has no leader yet it tries again until ctx ends.
func Ensure(ctx context.Context, js jetstream.JetStream, cfg Config) error {
	for _, want := range slices.Concat(Streams(cfg), Buckets(cfg)) {
		err := persist(ctx, func(ctx context.Context) error { return ensureStream(ctx, js, cfg, want) })
		if err != nil {
			return fmt.Errorf("stream %s: %w", want.Name, err)
		}
	}
	for _, want := range Consumers() {
		err := persist(ctx, func(ctx context.Context) error {
			_, err := js.CreateOrUpdateConsumer(ctx, want.Stream, want.Config)
			return err
		})
		if err != nil {
			return fmt.Errorf("consumer %s: %w", want.Config.Durable, err)
		}
	}
	return nil
}

// Check looks once whether the streams of these names are declared, and fails with
// ErrMissing for the first that is not, or with ErrNewer.
func Check(ctx context.Context, js jetstream.JetStream, names ...string) error {
	for _, name := range names {
		version, _, err := declared(ctx, js, name)
		if err == nil && version < Version {
			err = ErrMissing
		}
		if err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
	}
	return nil
}

// Missing looks once whether everything is declared, and returns what the first
// is that is not. While nobody can tell it is nil.
func Missing(ctx context.Context, js jetstream.JetStream, cfg Config) error {
	if err := Check(ctx, js, Names(cfg)...); err != nil {
		if errors.Is(err, ErrMissing) {
			return err
		}
		return nil
	}
	if err := CheckConsumers(ctx, js, Names(cfg)...); errors.Is(err, ErrMissing) {
		return err
	}
	return nil
}

// CheckConsumers looks once whether the consumers of some streams are declared,
// which they are last of all, and fails with ErrMissing for the first that is not.
func CheckConsumers(ctx context.Context, js jetstream.JetStream, streams ...string) error {
	for _, want := range Consumers() {
		if !slices.Contains(streams, want.Stream) {
			continue
		}
		_, err := js.Consumer(ctx, want.Stream, want.Config.Durable)
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			err = ErrMissing
		}
		if err != nil {
			return fmt.Errorf("consumer %s: %w", want.Config.Durable, err)
		}
	}
	return nil
}

// Names lists all streams, those behind the buckets too.
func Names(cfg Config) []string {
	var names []string
	for _, stream := range slices.Concat(Streams(cfg), Buckets(cfg)) {
		names = append(names, stream.Name)
	}
	return names
}

// StreamsOf lists the streams of the kinds that a service owns.
func StreamsOf(service string) []string {
	var names []string
	for _, kind := range subjects.KindsOf(service) {
		if stream := subjects.Catalog[kind].Stream; stream != "" {
			names = append(names, stream)
		}
	}
	slices.Sort(names)
	return names
}

func ensureStream(ctx context.Context, js jetstream.JetStream, cfg Config, want jetstream.StreamConfig) error {
	version, existing, err := declared(ctx, js, want.Name)
	if errors.Is(err, ErrMissing) {
		_, err = js.CreateStream(ctx, want)
		return err
	}
	if err != nil {
		return err
	}
	if version < Version {
		if err := migrate(ctx, existing); err != nil {
			return err
		}
	}
	kept := existing.CachedInfo().Config
	if want = adapt(want, kept, cfg); same(want, kept) {
		return nil // each update is agreed on by the whole cluster
	}
	_, err = js.UpdateStream(ctx, want)
	return err
}

// same reports whether a stream is as it is wanted. What is not said of it is the
// server's to choose.
func same(want, kept jetstream.StreamConfig) bool {
	for name, value := range kept.Metadata {
		if strings.HasPrefix(name, "_nats") {
			continue
		}
		if want.Metadata[name] != value {
			return false
		}
	}
	kept.Metadata = want.Metadata
	for _, choice := range []struct{ want, kept *int64 }{
		{&want.MaxMsgs, &kept.MaxMsgs}, {&want.MaxBytes, &kept.MaxBytes}, {&want.MaxMsgsPerSubject, &kept.MaxMsgsPerSubject},
	} {
		if *choice.want == 0 && *choice.kept < 0 {
			*choice.kept = 0
		}
	}
	want.MaxConsumers, want.MaxMsgSize = cmp.Or(want.MaxConsumers, kept.MaxConsumers), cmp.Or(want.MaxMsgSize, kept.MaxMsgSize)
	want.ConsumerLimits = kept.ConsumerLimits
	return reflect.DeepEqual(want, kept)
}

// adapt leaves what cannot be changed, and what was not asked for, as it is.
func adapt(want, existing jetstream.StreamConfig, cfg Config) jetstream.StreamConfig {
	if want.PersistMode != existing.PersistMode {
		want.PersistMode, want.AllowAtomicPublish = existing.PersistMode, existing.AllowAtomicPublish
	}
	if renewal := existing.Metadata[subjects.MetadataRenewal]; renewal != "" {
		want.Metadata = maps.Clone(want.Metadata)
		want.Metadata[subjects.MetadataRenewal] = renewal
	}
	if cfg.Replicas == 0 {
		want.Replicas = existing.Replicas
	}
	if cfg.Joins {
		for _, subject := range existing.Subjects {
			if !slices.Contains(want.Subjects, subject) {
				want.Subjects = append(want.Subjects, subject)
			}
		}
	}
	return want
}

// migrate prepares what an older version laid out. Its keys of presence and leases
// have no node in front; the sessions that wrote them are over.
func migrate(ctx context.Context, existing jetstream.Stream) error {
	switch existing.CachedInfo().Config.Name {
	case bucketPrefix + subjects.BucketPresence, bucketPrefix + subjects.BucketNodes:
		return existing.Purge(ctx)
	}
	return nil
}

// declared returns the version that laid a stream out.
func declared(ctx context.Context, js jetstream.JetStream, name string) (version int, existing jetstream.Stream, err error) {
	existing, err = js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil, ErrMissing
	}
	if err != nil {
		return 0, nil, err
	}
	if _, err := fmt.Sscan(existing.CachedInfo().Config.Metadata[metadataVersion], &version); err == nil && version > Version {
		return 0, nil, fmt.Errorf("layout %d, this program knows %d: %w", version, Version, ErrNewer)
	}
	return version, existing, nil
}
