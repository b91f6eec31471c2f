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
	routes, listens := make([]*url.URL, n), freePorts(tb, n)
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

// freePorts finds ports where nobody listens.
func freePorts(tb testing.TB, n int) []int {
	tb.Helper()
	free := make([]int, 0, n)
	for range ports {
		port := firstPort + int(nextPort.Add(1)%ports)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = listener.Close()
		if free = append(free, port); len(free) == n {
			return free
		}
	}
	tb.Fatal("there are no free ports")
	return nil
}
