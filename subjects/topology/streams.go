package topology

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

const (
	metadataVersion = "latido-layout"
	// bucketPrefix begins the name of the stream behind a bucket.
	bucketPrefix = "KV_"
	// duplicates is how long a repeated idempotency key is answered as the first
	// time. Beyond it clients reconcile by replay.
	duplicates = 2 * time.Minute
	day        = 24 * time.Hour
)

// LeaseTTL is how long a bridge's lease in the bucket "nodes" lives without a
// refresh. A cluster may be without a leader for 7 s, so it must not be shorter.
const LeaseTTL = 10 * time.Second

// MarkerTTL is how long it is kept, at least, that something was removed.
const MarkerTTL = time.Minute

// ticketAge is longer than a ticket may be used, by a clock that all bridges share.
const ticketAge = duplicates

// ticketsAtOnce bounds those that are remembered: beyond it none is taken.
const ticketsAtOnce = 1 << 18

// PresenceAge is the backstop of presence: an entry that nobody has written
// again for so long is gone even if every process that knew it died. So what a node
// that crashed has left behind, which nobody counts, is gone after that, too.
const PresenceAge = 24 * time.Hour

// Streams lists the configurations of all streams: one of each durable kind in the
// catalog, and one of all that the app adds.
func Streams(cfg Config) []jetstream.StreamConfig {
	cfg = cfg.withDefaults()
	var streams []jetstream.StreamConfig
	for _, name := range slices.Sorted(maps.Keys(subjects.Catalog)) {
		if kind := subjects.Catalog[name]; kind.Stream != "" {
			declared := stream(cfg, kind.Stream, kind.About, name)
			limit(&declared, cfg)
			streams = append(streams, declared)
		}
	}
	app := stream(cfg, subjects.StreamApp, "Events of app channels that are configured to be durable", "app")
	for _, kind := range cfg.Kinds {
		if kind.Durability == subjects.Durable && kind.Name != "app" {
			app.Subjects = append(app.Subjects, "evt."+kind.Name+".*")
		}
	}
	app.RePublish = &jetstream.RePublish{Source: "evt.>", Destination: "feed.>"}
	app.MaxAge = cfg.AppAge
	return append(streams, app)
}

// limit says what a stream forgets, where it does not keep its facts for good, and
// what it holds beside them.
func limit(stream *jetstream.StreamConfig, cfg Config) {
	switch stream.Name {
	case subjects.StreamRoom:
		stream.MaxAge = cfg.RoomAge
	case subjects.StreamTracking:
		stream.MaxAge, stream.MaxMsgsPerSubject = cfg.TrailAge, cfg.TrailLen
		if cfg.RelaxTrail && cfg.Replicas <= 1 {
			stream.PersistMode, stream.AllowAtomicPublish = jetstream.AsyncPersistMode, false
		}
	case subjects.StreamOps:
		schedule(stream, "due.ops.*.*")
	case subjects.StreamSystem:
		stream.MaxAge = 7 * day
	case subjects.StreamUser:
		stream.MaxAge = 30 * day
		schedule(stream, "due.user.*.*", "fired.user.*.*")
	}
}

// stream is what all streams share: facts of one kind, republished with their
// sequence, read back by Direct Get.
func stream(cfg Config, name, description, kind string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: name, Description: description, Metadata: metadata(),
		Subjects: []string{"evt." + kind + ".*"},
		RePublish: &jetstream.RePublish{
			Source: "evt." + kind + ".*", Destination: "feed." + kind + ".{{wildcard(1)}}",
		},
		Storage: jetstream.FileStorage, Replicas: max(cfg.Replicas, 1),
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		AllowDirect: true, AllowAtomicPublish: true, AllowMsgTTL: true,
		Duplicates: duplicates,
	}
}

// schedule lets a stream hold message schedules, on these subjects. The server allows
// rollups along with them: whoever may write the stream's subjects, its owner alone,
// can empty it.
func schedule(stream *jetstream.StreamConfig, on ...string) {
	stream.Subjects = append(stream.Subjects, on...)
	stream.AllowMsgSchedules, stream.AllowRollup = true, true
}

// Buckets lists the streams behind all buckets. Their history is 1: with more, an
// older value comes back to life when a newer one expires. They are kept in files:
// a single server that restarts forgets a bucket in memory altogether, not only its
// keys. They are declared as streams because [jetstream.KeyValueConfig] always
// allows rollups, with which whoever may write one key can empty the bucket.
func Buckets(cfg Config) []jetstream.StreamConfig {
	cfg = cfg.withDefaults()
	presence := bucket(cfg, subjects.BucketPresence, "Who is on which channel: <node>.<kind>.<id>.<user>.<session>", subjects.FeedPresence)
	presence.MaxAge = PresenceAge

	nodes := bucket(cfg, subjects.BucketNodes, "Leases of the bridges: a node that stops renewing takes its sessions with it", subjects.FeedNodes)
	nodes.MaxAge, nodes.Duplicates = LeaseTTL, LeaseTTL

	members := bucket(cfg, subjects.BucketMembers, "Who belongs to which room, order, track or group: <kind>.<id>.<user>", subjects.FeedMembers)
	doNotDisturb := bucket(cfg, subjects.BucketDoNotDisturb, "Who does not want to be disturbed: <user>", subjects.FeedDoNotDisturb)

	// A key is made once, and nobody hears of it. None goes before its time, so that no
	// ticket is used again.
	tickets := bucket(cfg, subjects.BucketTickets, "Which tickets of bridges were used: <ticket>", "")
	tickets.RePublish = nil
	tickets.MaxAge, tickets.AllowMsgTTL, tickets.MaxMsgs = ticketAge, false, ticketsAtOnce
	return []jetstream.StreamConfig{presence, nodes, members, doNotDisturb, tickets}
}

// bucket is what all buckets share. A key is removed by a value that says so and
// has a time to live: nobody can purge, and no rollup removes what others wrote.
func bucket(cfg Config, name, description, feed string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: bucketPrefix + name, Description: description, Metadata: metadata(),
		Subjects:  []string{"$KV." + name + ".>"},
		RePublish: &jetstream.RePublish{Source: "$KV." + name + ".>", Destination: feed + ">"},
		Storage:   jetstream.FileStorage, Replicas: max(cfg.Replicas, 1),
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew,
		AllowDirect: true, AllowMsgTTL: true, DenyDelete: true, DenyPurge: true,
		Duplicates: duplicates,
	}
}

func metadata() map[string]string {
	return map[string]string{metadataVersion: strconv.Itoa(Version)}
}
