package hub

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// hubMetrics are what an operator sees of a hub.
type hubMetrics struct {
	channels                     prometheus.Gauge
	facts, live                  prometheus.Counter
	bytesOut, writes             prometheus.Counter
	heals, gaps, skipped, stalls prometheus.Counter
	joins, leaves, expiries      prometheus.Counter
	unreadable                   prometheus.Counter
	replay                       prometheus.Histogram
}

// newHubMetrics registers a hub's metrics.
func newHubMetrics(registry prometheus.Registerer) *hubMetrics {
	auto := promauto.With(registry)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Namespace: "latido", Subsystem: "bridge", Name: name, Help: help})
	}
	return &hubMetrics{
		channels:   auto.NewGauge(prometheus.GaugeOpts{Namespace: "latido", Subsystem: "bridge", Name: "channels", Help: "Channels watched on the bus."}),
		facts:      counter("facts_total", "Stored events that came from the bus."),
		live:       counter("live_total", "Live events that came from the bus."),
		bytesOut:   counter("sent_bytes_total", "Bytes written to sessions."),
		writes:     counter("writes_total", "Writes to sockets; each may carry many events."),
		heals:      counter("heals_total", "Times that missing events were read from a stream before going on."),
		gaps:       counter("gaps_total", "Times that a session was told of events that cannot be given any more."),
		skipped:    counter("skipped_total", "Live events that a slow session did not get."),
		stalls:     counter("stalls_total", "Times that a socket was full."),
		joins:      counter("presence_joins_total", "Members told to have joined, per channel."),
		leaves:     counter("presence_leaves_total", "Members told to have left, per channel."),
		expiries:   counter("presence_expiries_total", "Members whose time to come back was over, per watched channel."),
		unreadable: counter("unreadable_total", "Events on the bus that nobody can be told: dropped where they are live, a gap where they are stored."),
		replay: auto.NewHistogram(prometheus.HistogramOpts{
			Namespace: "latido", Subsystem: "bridge", Name: "replay_seconds", Help: "Time to read one page of history.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
		}),
	}
}
