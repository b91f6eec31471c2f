package bustest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// clusterOptions prepares n servers that know one another by address.
func clusterOptions(tb testing.TB, n int) []*server.Options {
	tb.Helper()
	routes, listens := make([]*url.URL, n), FreePorts(tb, n)
	for i, port := range listens {
		routes[i] = &url.URL{Scheme: "nats-route", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	}
	all := make([]*server.Options, n)
	for i := range all {
		options := serverOptions(tb, fmt.Sprintf("n%d", i+1))
		options.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: listens[i]}
		options.Routes = routes
		all[i] = options
	}
	return all
}

// Ports of servers that may be restarted lie below those that the system lends to
// outgoing connections, or one of these would have the port when its server is back.
const (
	firstPort = 20_000
	ports     = 12_000
)

var nextPort atomic.Uint32

func init() { nextPort.Store(uint32(os.Getpid()) * 97) } // so that tests side by side rarely meet

// FreePorts finds TCP ports of this machine where nobody listens, and keeps them for
// the test until it ends: whoever looks for ports this way is given others, in another
// process, too.
func FreePorts(tb testing.TB, n int) []int {
	tb.Helper()
	free := make([]int, 0, n)
	for range ports {
		port := firstPort + int(nextPort.Add(1)%ports)
		if !claim(tb, fmt.Sprintf("127.0.0.1:%d", port)) {
			continue
		}
		if free = append(free, port); len(free) == n {
			return free
		}
	}
	tb.Fatal("there are no free ports")
	return nil
}

// claim holds the UDP port of the same number, which no server of a test needs, for as
// long as the test may use the TCP port, if that is free.
func claim(tb testing.TB, address string) bool {
	held, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		_ = held.Close()
		return false
	}
	_ = listener.Close() // nobody connected
	tb.Cleanup(func() { _ = held.Close() })
	return true
}
