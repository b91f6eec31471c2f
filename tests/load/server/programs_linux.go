package server

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// Programs are the files that are run.
type Programs struct {
	Latido string
	NATS   string
	Floor  []string // with its first arguments
}

// Build builds the programs that some kinds need into a folder. The floor is the
// calling program itself, run with "floor".
func Build(ctx context.Context, dir string, kinds ...Kind) (Programs, error) {
	self, err := os.Executable()
	if err != nil {
		return Programs{}, err
	}
	p := Programs{Latido: filepath.Join(dir, "latido"), NATS: filepath.Join(dir, "nats-server"), Floor: []string{self, "floor"}}
	wanted := make(map[string]string)
	for _, kind := range kinds {
		switch kind {
		case Latido:
			wanted[p.Latido] = module + "/deploy/latido"
		case Split:
			wanted[p.Latido], wanted[p.NATS] = module+"/deploy/latido", natsModule
		case NATS:
			wanted[p.NATS] = natsModule
		case Floor:
		}
	}
	for file, pkg := range wanted {
		output, err := exec.CommandContext(ctx, "go", "build", "-o", file, pkg).CombinedOutput()
		if err != nil {
			return Programs{}, fmt.Errorf("build %s: %w\n%s", pkg, err, output)
		}
	}
	return p, nil
}

const (
	module = "github.com/latido/latido"
	// natsModule is built from go.mod's version: nothing is imported, and the peer
	// is the server that Latido embeds.
	natsModule = "github.com/nats-io/nats-server/v2"
)

// arguments are the command line of the server's main process.
func (s *Server) arguments(bus netip.AddrPort) ([]string, error) {
	switch s.options.Kind {
	case Floor:
		args := append(slices.Clone(s.programs.Floor), s.Address.String(), filepath.Join(s.options.Dir, "journal"))
		if s.options.Sync == Always {
			args = append(args, "--flush")
		}
		return args, nil
	case NATS:
		config, err := s.natsConfig(bus, s.Address)
		return []string{s.programs.NATS, "--config", config}, err
	case Latido:
		return append(s.latido(), "--nats-listen", bus.String(), "--data", filepath.Join(s.options.Dir, "data"), "--sync", string(s.options.Sync)), nil
	case Split:
		return append(s.latido(), "--nats-url", "nats://"+bus.String()), nil
	}
	return nil, fmt.Errorf("no server %q", s.options.Kind)
}

// latido is the command line that all Latidos share: limits so wide that a run
// meets none, and a drain that does not wait.
func (s *Server) latido() []string {
	wide := strconv.Itoa(1_000_000_000)
	return []string{
		s.programs.Latido, "--http", s.Address.String(), "--jwt-secret", Secret, "--log-level", "warn", "--drain", "1ms",
		"--max-publishes", wide, "--max-user-publishes", wide, "--max-work", wide, "--max-user-work", wide, "--max-user-sessions", wide, "--max-channels", wide, "--kinds", "log:durable",
	}
}

// natsConfig writes the configuration of a NATS server, with a WebSocket listener
// if there is an address for it.
func (s *Server) natsConfig(listen, websocket netip.AddrPort) (string, error) {
	text := fmt.Sprintf("listen: %q\njetstream {\n  store_dir: %q\n  sync_interval: %q\n}\n", listen, filepath.Join(s.options.Dir, "data"), s.options.Sync)
	if websocket.IsValid() {
		text += fmt.Sprintf("websocket {\n  listen: %q\n  no_tls: true\n}\n", websocket)
	}
	file := filepath.Join(s.options.Dir, "nats.conf")
	return file, os.WriteFile(file, []byte(text), 0o644)
}
