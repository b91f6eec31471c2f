package bridge

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/latido/latido/schemas"
)

// metrics are what an operator sees of a bridge at /metrics.
type metrics struct {
	registry *prometheus.Registry

	sessions, subscriptions, channels prometheus.Gauge
	facts, live                       prometheus.Counter
	bytesIn, bytesOut, writes         prometheus.Counter
	heals, gaps, skipped, stalls      prometheus.Counter
	joins, leaves, leasesLost         prometheus.Counter
	expiries, unreadable              prometheus.Counter
	replay                            prometheus.Histogram
	refusals                          *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "latido", Subsystem: "bridge", Name: name, Help: help})
		m.registry.MustRegister(g)
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "latido", Subsystem: "bridge", Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	m.sessions = gauge("sessions", "Open sessions.")
	m.subscriptions = gauge("subscriptions", "Subscriptions of all sessions.")
	m.channels = gauge("channels", "Channels watched on the bus.")
	m.facts = counter("facts_total", "Stored events that came from the bus.")
	m.live = counter("live_total", "Live events that came from the bus.")
	m.bytesIn = counter("received_bytes_total", "Bytes read from sessions.")
	m.bytesOut = counter("sent_bytes_total", "Bytes written to sessions.")
	m.writes = counter("writes_total", "Writes to sockets; each may carry many events.")
	m.heals = counter("heals_total", "Times that missing events were read from a stream before going on.")
	m.gaps = counter("gaps_total", "Times that a session was told of events that cannot be given any more.")
	m.skipped = counter("skipped_total", "Live events that a slow session did not get.")
	m.stalls = counter("stalls_total", "Times that a socket was full.")
	m.joins = counter("presence_joins_total", "Members told to have joined, per channel.")
	m.leaves = counter("presence_leaves_total", "Members told to have left, per channel.")
	m.expiries = counter("presence_expiries_total", "Members whose time to come back was over, per watched channel.")
	m.unreadable = counter("unreadable_total", "Events on the bus that nobody can be told: dropped where they are live, a gap where they are stored.")
	m.leasesLost = counter("leases_lost_total", "Nodes believed gone.")
	m.replay = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "latido", Subsystem: "bridge", Name: "replay_seconds", Help: "Time to read one page of history.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
	})
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "latido", Subsystem: "bridge", Name: "refusals_total", Help: "Requests and sessions refused.",
	}, []string{"code", "reason"})
	m.registry.MustRegister(m.replay, m.refusals, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// count shows what a function returns as a gauge.
func (m *metrics) count(name, help string, now func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: "latido", Subsystem: "bridge", Name: name, Help: help},
		func() float64 { return float64(now()) },
	))
}

func (m *metrics) refuse(code schemas.Code) {
	m.refusals.WithLabelValues(strconv.Itoa(int(code)), code.Reason()).Inc()
}
