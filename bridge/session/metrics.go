package session

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/latido/latido/schemas"
)

// metrics are what an operator sees of a bridge at /metrics.
type metrics struct {
	sessions, subscriptions prometheus.Gauge
	bytesIn, leasesLost     prometheus.Counter
	refusals                *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	auto := promauto.With(registry)
	gauge := func(name, help string) prometheus.Gauge {
		return auto.NewGauge(prometheus.GaugeOpts{Namespace: "latido", Subsystem: "bridge", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Namespace: "latido", Subsystem: "bridge", Name: name, Help: help})
	}
	return &metrics{
		sessions:      gauge("sessions", "Open sessions."),
		subscriptions: gauge("subscriptions", "Subscriptions of all sessions."),
		bytesIn:       counter("received_bytes_total", "Bytes read from sessions."),
		leasesLost:    counter("leases_lost_total", "Nodes believed gone."),
		refusals: auto.NewCounterVec(prometheus.CounterOpts{
			Namespace: "latido", Subsystem: "bridge", Name: "refusals_total", Help: "Requests and sessions refused.",
		}, []string{"code", "reason"}),
	}
}

func (m *metrics) refuse(code schemas.Code) {
	m.refusals.WithLabelValues(strconv.Itoa(int(code)), code.Reason()).Inc()
}
