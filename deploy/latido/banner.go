package main

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/latido/latido/deploy/stack"
)

// release is set by the build of the image; see deploy/Dockerfile.
var release string

func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func partNames() string { return strings.Join(stack.Parts(), ", ") }

// announce says where everything is, in the form of the log.
func (l *commandLine) announce(w io.Writer, running *stack.Stack) {
	cfg := running.Config()
	if l.LogFormat == "json" {
		cfg.Log.Info("ready", "version", version(), "parts", cfg.Parts, "http", running.HTTPAddr(), "nats", running.NATSURL(), "nats_password", running.NATSLogin().File)
		return
	}
	var banner strings.Builder
	fmt.Fprintf(&banner, "\n  Latido %s, node %s: %s\n\n", version(), cfg.Node, strings.Join(cfg.Parts, ", "))
	table := tabwriter.NewWriter(&banner, 0, 0, 3, ' ', 0)
	if address := running.HTTPAddr(); address != "" {
		fmt.Fprintf(table, "  page\thttp://%s/\n", address)
		fmt.Fprintf(table, "  WebSocket\tws://%s/ws\n", address)
		fmt.Fprintf(table, "  tokens\t%s\n", tokens(cfg))
	}
	fmt.Fprintf(table, "  NATS\t%s\n", running.NATSURL())
	if login := running.NATSLogin(); login.Password != "" {
		fmt.Fprintf(table, "  \tuser %s, password %s: shown this once, and kept in %s\n", login.User, login.Password, login.File)
	} else if login.User != "" {
		fmt.Fprintf(table, "  \tuser %s, password in %s\n", login.User, login.File)
	}
	if cfg.Embeds() {
		fmt.Fprintf(table, "  data\t%s, flushed to disk: %s\n", cfg.Data, l.Sync)
	}
	_ = table.Flush() // a strings.Builder takes everything
	fmt.Fprintf(w, "%s\n  Ctrl-C stops.\n\n", banner.String())
}
