package bridge

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/latido/latido/schemas"
)

// metrics are what an operator sees of a bridge at /metrics.
type metrics struct {
	registry *prometheus.Registry

	sessions, subscriptions prometheus.Gauge
	bytesIn, leasesLost     prometheus.Counter
	refusals                *prometheus.CounterVec
}

func newMetrics() *metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	auto := promauto.With(registry)
	gauge := func(name, help string) prometheus.Gauge {
		return auto.NewGauge(prometheus.GaugeOpts{Namespace: "latido", Subsystem: "bridge", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Namespace: "latido", Subsystem: "bridge", Name: name, Help: help})
	}
	return &metrics{
		registry:      registry,
		sessions:      gauge("sessions", "Open sessions."),
		subscriptions: gauge("subscriptions", "Subscriptions of all sessions."),
		bytesIn:       counter("received_bytes_total", "Bytes read from sessions."),
		leasesLost:    counter("leases_lost_total", "Nodes believed gone."),
		refusals: auto.NewCounterVec(prometheus.CounterOpts{
			Namespace: "latido", Subsystem: "bridge", Name: "refusals_total", Help: "Requests and sessions refused.",
		}, []string{"code", "reason"}),
	}
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
