package stack_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/latido/latido/subjects/topology/bustest"
)

// A login that is refused for a while is tried until it is taken again; that it is
// refused is told, but not with every attempt.
func TestALoginIsTriedAgain(t *testing.T) {
	t.Parallel()
	options := &server.Options{
		Host: "127.0.0.1", Port: bustest.FreePorts(t, 1)[0], JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
		Username: "tests", Password: "password",
	}
	run := func(password string) *server.Server {
		t.Helper()
		options := options.Clone()
		options.Password = password
		running, err := server.NewServer(options)
		if err != nil {
			t.Fatal(err)
		}
		running.Start()
		t.Cleanup(running.Shutdown)
		return running
	}
	first := run("password")
	var log syncBuffer
	cfg := config(t)
	cfg.NATSURL, cfg.Log = first.ClientURL(), slog.New(slog.NewTextHandler(&log, nil))
	running := start(t, cfg)
	first.Shutdown()
	first.WaitForShutdown()

	changed := run("another")
	connections := uint64(0)
	await(t, "attempts that are refused", func() bool {
		varz, err := changed.Varz(nil)
		if err != nil {
			t.Fatal(err)
		}
		connections = varz.TotalConnections
		return connections > 100
	})
	if told := strings.Count(log.String(), "refuses the login"); told == 0 || told > int(connections)/10 {
		t.Errorf("told %d times that the login is refused", told)
	}
	changed.Shutdown()
	changed.WaitForShutdown()

	run("password")
	await(t, "it to be ready again", func() bool {
		status, _ := page(t, running.HTTPAddr(), "/readyz")
		return status == http.StatusOK
	})
	var answer struct{ Seq uint64 }
	post(t, running, "/api/channels/room:again/commands/open", proof("ana", ""), `{"data":{"members":[]}}`, &answer)
}

// Whichever starts first: a part finds the password of the folder's server once that
// has made it.
func TestAPartStartsBeforeTheServerItJoins(t *testing.T) {
	t.Parallel()
	ports := bustest.FreePorts(t, 2)
	whole := config(t)
	whole.NATSUser, whole.NATSPassword = "", ""
	whole.NATSListen = address(ports[0])
	part := whole
	part.Parts, part.NATSURL, part.Health = []string{"chat"}, "nats://"+whole.NATSListen, address(ports[1])
	startLate(t, part)
	await(t, "the part to look for its server", func() bool {
		_, text := page(t, part.Health, "/readyz")
		return strings.Contains(text, "connect to")
	})
	start(t, whole)
	await(t, "the part to be ready", func() bool {
		status, _ := page(t, part.Health, "/readyz")
		return status == http.StatusOK
	})
}
