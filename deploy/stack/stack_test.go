package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// config is a stack that meets no other: free ports, a folder of its own.
func config(tb testing.TB) stack.Config {
	return stack.Config{
		HTTP: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Data: tb.TempDir(),
		Log: slog.New(slog.DiscardHandler), Drain: time.Millisecond, Sync: time.Minute, Secret: []byte(goodSecret),
		NATSUser: "tests", NATSPassword: "password",
	}
}

// start runs a stack until the test ends; it must end without an error.
func start(tb testing.TB, cfg stack.Config) *stack.Stack {
	tb.Helper()
	running, err := stack.Start(context.WithoutCancel(tb.Context()), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := running.Close(); err != nil {
			tb.Error("close:", err)
		}
	})
	return running
}

// startLate runs a stack until the test ends, too, and does not wait until it is
// started: what it needs may come after it.
func startLate(tb testing.TB, cfg stack.Config) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ended := make(chan error, 1)
	go func() {
		running, err := stack.Start(ctx, cfg)
		if err == nil {
			err = running.Wait()
		}
		ended <- err
	}()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
}

// open opens a room by its command, as the bridge would, and returns the answer.
func open(tb testing.TB, url, room string) *nats.Msg {
	tb.Helper()
	connection, err := nats.Connect(url, nats.UserInfo("tests", "password"))
	if err != nil {
		tb.Fatal(err)
	}
	defer connection.Close()
	answer, err := connection.RequestMsg(command(subjects.Channel{Kind: "room", ID: room}, "open", `{"members":["ana","luis"]}`), patience)
	if err != nil {
		tb.Fatal(err)
	}
	return answer
}

// proof is a token of the user, as the bridge hands it on.
func proof(user, role string) string {
	token, err := identity.New(identity.Config{Secret: []byte(goodSecret)}).Sign(user, "", role, time.Hour)
	if err != nil {
		panic(err) // HMAC takes any secret
	}
	return token
}

func command(channel subjects.Channel, name, data string) *nats.Msg {
	message := nats.NewMsg(channel.Command(name))
	message.Data = []byte(data)
	message.Header.Set(subjects.HeaderProof, proof("ana", "client"))
	message.Header.Set(nats.MsgIdHdr, subjects.MessageID(channel, "ana", name))
	return message
}

func accepted(tb testing.TB, answer *nats.Msg) {
	tb.Helper()
	if refusal := answer.Header.Get("Nats-Service-Error"); refusal != "" {
		tb.Errorf("refused: %s %s", refusal, answer.Data)
	}
}

func TestZeroConfigIsAWholeSystem(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Secret = nil
	running := start(t, cfg)
	if !running.Config().Dev() {
		t.Error("no secret and loopback only, yet not in dev mode")
	}
	var dev struct{ Token string }
	post(t, running, "/dev/token", "", `{"user":"ana"}`, &dev)
	var answer struct{ Seq uint64 }
	post(t, running, "/api/channels/room:whole/commands/open", dev.Token, `{"data":{"members":["luis"]}}`, &answer)
	if answer.Seq == 0 {
		t.Error("the room was not opened")
	}
}

// post sends a request to the bridge of a stack, which must answer it.
func post(tb testing.TB, running *stack.Stack, path, token, body string, answer any) {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, "http://"+running.HTTPAddr()+path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		tb.Fatalf("%s: %s: %s", path, response.Status, text)
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		tb.Fatal(err)
	}
}

func TestMetricsHaveAnAddressOfTheirOwn(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.MetricsListen, cfg.TrustedProxies = "127.0.0.1:0", []string{"10.0.0.0/8", "::1"}
	running := start(t, cfg)
	for address, want := range map[string]int{running.MetricsAddr(): http.StatusOK, running.HTTPAddr(): http.StatusNotFound} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != want {
			t.Errorf("%s: %s, want %d (%v)", address, response.Status, want, err)
		}
	}
}

func TestTwoStacksShareOneBus(t *testing.T) {
	t.Parallel()
	first := start(t, config(t))
	joined := config(t)
	joined.NATSURL = first.NATSURL()
	second := start(t, joined)
	if first.HTTPAddr() == second.HTTPAddr() || first.Config().Node == second.Config().Node {
		t.Errorf("two stacks are one: %s %s", first.Config().Node, second.Config().Node)
	}
	for i := range 8 {
		accepted(t, open(t, second.NATSURL(), fmt.Sprint("shared", i)))
	}
}

func TestPartsRunApart(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	for _, parts := range [][]string{services()[:2], services()[2:], {"bridge"}} {
		cfg := config(t)
		cfg.Parts, cfg.NATSURL = parts, bus.URL()
		running := start(t, cfg)
		if got, want := running.HTTPAddr() != "", parts[0] == "bridge"; got != want {
			t.Errorf("%v listens for browsers: %v, want %v", parts, got, want)
		}
	}
	accepted(t, open(t, bus.URL(), "apart"))
}

func TestManyProcessesLayOutTheBusAtOnce(t *testing.T) {
	t.Parallel()
	bus := start(t, config(t))
	var racers sync.WaitGroup
	for range 8 {
		cfg := config(t)
		cfg.Parts, cfg.NATSURL = []string{"chat"}, bus.NATSURL()
		racers.Go(func() {
			racer, err := stack.Start(t.Context(), cfg)
			if err == nil {
				err = racer.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	racers.Wait()
}

// Not parallel: it counts the goroutines of the process.
func TestCloseLeavesNothingRunning(t *testing.T) {
	cfg := config(t)
	before := goroutines()
	running, err := stack.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, open(t, running.NATSURL(), "closing"))
	if err := running.Close(); err != nil {
		t.Error(err)
	}
	await(t, "goroutines to end", func() bool { return goroutines() <= before })
	start(t, cfg) // the folder and its lock are free again
}

// goroutines counts those of this process but two of fasthttp: one tells the date
// for ever, one cleans the pool of workers and looks every 10 s whether to end.
func goroutines() (count int) {
	buffer := make([]byte, 4<<20)
	stacks := string(buffer[:runtime.Stack(buffer, true)])
	for stack := range strings.SplitSeq(stacks, "\n\n") {
		if !strings.Contains(stack, "fasthttp.(*workerPool).Start") && !strings.Contains(stack, "fasthttp.updateServerDate") {
			count++
		}
	}
	return count
}

func TestCancelIsAnOrderlyEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	running, err := stack.Start(ctx, config(t))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := running.Wait(); err != nil {
		t.Error(err)
	}
}

func TestAcknowledgedFactsSurviveARestart(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Sync = 0
	running, err := stack.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, open(t, running.NATSURL(), "kept"))
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, cfg)
	answer := open(t, again.NATSURL(), "kept")
	if string(answer.Data) == "" || answer.Header.Get("Nats-Service-Error") != "" {
		t.Errorf("the same command after a restart: %v %s", answer.Header, answer.Data)
	}
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	locked := start(t, config(t)).Config()
	guarded := config(t)
	guarded.NATSUser, guarded.NATSPassword = "latido", "right"
	guard := start(t, guarded)
	for name, test := range map[string]struct {
		change func(*stack.Config)
		want   error
		text   string
	}{
		"HTTP port taken":   {func(c *stack.Config) { c.HTTP = taken.Addr().String() }, stack.ErrAddressTaken, "--http"},
		"NATS port taken":   {func(c *stack.Config) { c.NATSListen = taken.Addr().String() }, stack.ErrAddressTaken, "--nats-listen"},
		"folder locked":     {func(c *stack.Config) { c.Data = locked.Data }, stack.ErrDataInUse, locked.Data},
		"folder newer":      {func(c *stack.Config) { write(t, c.Data, "latido-version", "99\n") }, stack.ErrDataNewer, "99"},
		"folder of another": {func(c *stack.Config) { write(t, c.Data, "thesis.txt", "…") }, stack.ErrDataForeign, ""},
		"NATS unreachable": {func(c *stack.Config) {
			c.NATSURL, c.NATSWait = "nats://127.0.0.1:1", time.Millisecond
		}, stack.ErrUnreachable, "nats://127.0.0.1:1"},
		"wrong NATS password": {func(c *stack.Config) {
			c.NATSURL, c.NATSUser, c.NATSPassword = guard.NATSURL(), "latido", "wrong"
		}, nats.ErrAuthorization, ""},
		"streams of a newer version": {func(c *stack.Config) { c.NATSURL = newerBus(t) }, topology.ErrNewer, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			test.change(&cfg)
			_, err := stack.Start(t.Context(), cfg)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %v and %q", err, test.want, test.text)
			}
		})
	}
}

func write(tb testing.TB, folder, name, content string) {
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
		tb.Error(err)
	}
}

// patience is how long a test waits for what must come, on a machine that stalls, too.
const patience = time.Minute

// await polls until the condition holds, and dumps what runs if it never does.
func await(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}
