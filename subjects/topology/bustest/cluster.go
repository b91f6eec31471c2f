package bustest

import (
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// clusterOptions prepares n servers that know one another by address.
func clusterOptions(tb testing.TB, n int) []*server.Options {
	tb.Helper()
	routes, ports := make([]*url.URL, n), freePorts(tb, n)
	for i, port := range ports {
		routes[i] = &url.URL{Scheme: "nats-route", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	}
	all := make([]*server.Options, n)
	for i := range all {
		options := serverOptions(tb, fmt.Sprintf("n%d", i+1))
		options.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}
		options.Routes = routes
		all[i] = options
	}
	return all
}

// freePorts reserves ports until all are known, so that they differ.
func freePorts(tb testing.TB, n int) []int {
	tb.Helper()
	ports := make([]int, n)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports
}
