// Package bustest runs real NATS servers inside a test: one node, or three in a
// cluster. It answers "tested on what?". Only tests import it.
package bustest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/topology"
)

// Patient has what a test asks of JetStream wait longer than machines stall, where the
// test does not say for how long.
var Patient = jetstream.WithDefaultTimeout(time.Minute)

// Bus is one or more NATS servers with JetStream that hold Latido's streams, with a
// guard that is told of losses.
type Bus struct {
	Servers []*server.Server
	options []*server.Options
}

// Start runs one server and lays out the streams. It ends with the test.
func Start(tb testing.TB) *Bus { return start(tb, 1, topology.Config{}) }

// StartWith is Start with a layout of the caller's choice. With three replicas
// it runs three servers.
func StartWith(tb testing.TB, cfg topology.Config) *Bus { return start(tb, max(cfg.Replicas, 1), cfg) }

// StartCluster runs three servers in a cluster, each stream on all of them.
func StartCluster(tb testing.TB) *Bus { return start(tb, 3, topology.Config{Replicas: 3}) }

// Cold prepares a cluster of three servers that have never run, and lays nothing out.
// They start with Begin; where they will listen is known before.
func Cold(tb testing.TB) *Bus {
	tb.Helper()
	bus := &Bus{options: clusterOptions(tb, 3), Servers: make([]*server.Server, 3)}
	for i, port := range FreePorts(tb, len(bus.options)) {
		bus.options[i].Port = port
	}
	tb.Cleanup(bus.stop)
	return bus
}

// Begin starts the servers of a cold cluster, all at once, and returns when they
// listen.
func (b *Bus) Begin(tb testing.TB) {
	tb.Helper()
	var starting sync.WaitGroup
	for i := range b.Servers {
		starting.Go(func() { b.Restart(tb, i) })
	}
	starting.Wait()
}

// Led reports whether the cluster has elected who leads JetStream.
func (b *Bus) Led() bool {
	return slices.ContainsFunc(b.Servers, (*server.Server).JetStreamIsLeader)
}

func start(tb testing.TB, n int, cfg topology.Config) *Bus {
	tb.Helper()
	bus := &Bus{}
	if n == 1 {
		bus.options = []*server.Options{serverOptions(tb, "n1")}
	} else {
		bus.options = clusterOptions(tb, n)
	}
	for _, options := range bus.options {
		bus.Servers = append(bus.Servers, run(tb, options))
	}
	// Registered last, so that it ends first: the servers stop before the
	// folders of their stores are removed.
	tb.Cleanup(bus.stop)

	nc := bus.Connect(tb)
	js, err := jetstream.New(nc, Patient)
	if err != nil {
		tb.Fatal(err)
	}
	if err := topology.Ensure(tb.Context(), js, cfg); err != nil {
		tb.Fatal(err)
	}
	if _, err := new(topology.Guard).Hear(nc, js); err != nil {
		tb.Fatal(err)
	}
	if err := nc.Flush(); err != nil { // so that the server knows who hears
		tb.Fatal(err)
	}
	return bus
}

// URL lists the servers' addresses as nats.Connect takes them.
func (b *Bus) URL() string {
	urls := make([]string, len(b.options))
	for i, options := range b.options { // run has filled in the port
		urls[i] = fmt.Sprintf("nats://%s:%d", options.Host, options.Port)
	}
	return strings.Join(urls, ",")
}

// Connect opens a connection that reconnects for ever and ends with the test.
func (b *Bus) Connect(tb testing.TB) *nats.Conn {
	tb.Helper()
	nc, err := nats.Connect(b.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

// Kill stops server i at once, as a crash of its process would look to others.
func (b *Bus) Kill(i int) {
	b.Servers[i].Shutdown()
	b.Servers[i].WaitForShutdown()
}

// Restart runs server i again on the store and the ports it had.
func (b *Bus) Restart(tb testing.TB, i int) {
	tb.Helper()
	b.Servers[i] = run(tb, b.options[i])
}

// Save copies the store of server i, which must not run, for [Bus.Restore].
func (b *Bus) Save(tb testing.TB, i int) (folder string) {
	tb.Helper()
	folder = tb.TempDir()
	if err := os.CopyFS(folder, os.DirFS(b.options[i].StoreDir)); err != nil {
		tb.Fatal(err)
	}
	return folder
}

// Restore gives server i, which must not run, the store that it once had.
func (b *Bus) Restore(tb testing.TB, i int, folder string) {
	tb.Helper()
	if err := os.RemoveAll(b.options[i].StoreDir); err != nil {
		tb.Fatal(err)
	}
	if err := os.CopyFS(b.options[i].StoreDir, os.DirFS(folder)); err != nil {
		tb.Fatal(err)
	}
}

// Leader is the index of the server that leads the stream, or -1.
func (b *Bus) Leader(stream string) int {
	for i, s := range b.Servers {
		if s.Running() && s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
			return i
		}
	}
	return -1
}

// AwaitLeader is Leader once there is one.
func (b *Bus) AwaitLeader(tb testing.TB, stream string) int {
	tb.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		if leader := b.Leader(stream); leader >= 0 {
			return leader
		}
		select {
		case <-look.C:
		case <-tb.Context().Done():
			tb.Fatalf("nobody leads %s", stream)
		}
	}
}

func (b *Bus) stop() {
	for _, s := range b.Servers {
		if s != nil {
			s.Shutdown()
		}
	}
	for _, s := range b.Servers {
		if s != nil {
			s.WaitForShutdown()
		}
	}
}

func serverOptions(tb testing.TB, name string) *server.Options {
	return &server.Options{
		ServerName: name, Host: "127.0.0.1", Port: FreePorts(tb, 1)[0],
		JetStream: true, StoreDir: tb.TempDir(), NoLog: true, NoSigs: true,
	}
}

func run(tb testing.TB, options *server.Options) *server.Server {
	tb.Helper()
	s, err := server.NewServer(options)
	if err != nil {
		tb.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		tb.Fatalf("server %s is not ready", options.ServerName)
	}
	return s
}
