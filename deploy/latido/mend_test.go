package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/latido/latido/deploy/stack"
)

// longName is as long as a node's may be.
var longName = strings.Repeat("n", 64)

// TestMistakesNameTheFlagThatMends: whoever made a mistake is told which setting
// to change, in one line.
func TestMistakesNameTheFlagThatMends(t *testing.T) {
	t.Parallel()
	for args, flag := range map[string]string{
		"--htp=x":                          "--http",
		"--http=nonsense":                  "--http",
		"--ping=abc":                       "--ping",
		"--ping=0s":                        "--ping",
		"--ping=2h":                        "--ping",
		"--grace=-1s":                      "--grace",
		"--grace=1h1s":                     "--grace",
		"--grace=2000000h":                 "--grace",
		"--handshake=2h":                   "--handshake",
		"--away=10s":                       "--idle",
		"--max-channels=0":                 "--max-channels",
		"--max-frame=-1":                   "--max-frame",
		"--sync=sometimes":                 "--sync",
		"--node=service:presence":          "--node",
		"--replicas=2":                     "--replicas",
		"--replicas=3":                     "--nats-url",
		"--config=/nonexistent":            "--config",
		"--jwt-secret=short":               "--jwt-secret",
		"--jwks-url=ftp://x":               "--jwks-url",
		"--http=0.0.0.0:80":                "--jwt-secret",
		"--nats-listen=0.0.0.0:4222":       "--nats-user",
		"--nats-url=http://x":              "--nats-url",
		"--nats-url=nats://10.0.0.1":       "--jwt-secret",
		"--kinds=room":                     "--kinds",
		"--meta=x":                         "--meta",
		"--origins=https://shop.example/":  "--origins",
		"--origins=shop.example":           "--origins",
		"--log-level=loud":                 "--log-level",
		"--log-format=xml":                 "--log-format",
		"--debug-listen=0.0.0.0:6060":      "--debug-listen",
		"--drain=-1s":                      "--drain",
		"--drain=0s":                       "--drain: 0s is no time",
		"--grace=0s":                       "--grace: 0s is no time",
		"--node=a b":                       `--node: "a b"`,
		"--node=a\tb":                      "--node",
		"--node=a\x00b":                    "--node",
		"--node=a\u200bb":                  "--node",
		"--node=>":                         "--node",
		"--node=a.*":                       "--node",
		"--node=\xff":                      "--node",
		"--node=" + longName + "n":         "letters, digits",
		"chatt":                            "chat",
		"--nats-listen=127.0.0.1:notaport": "--nats-listen",
	} {
		code, stdout, stderr := run(t, "check", args)
		if started, _, said := run(t, args); started != code || said != stderr {
			t.Errorf("%s: to run it is exit code %d, %q; to check it %d, %q", args, started, said, code, stderr)
		}
		if code != exitUsage || !strings.Contains(stderr, flag) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%s: exit code %d, %q does not name %s", args, code, stderr, flag)
		}
	}
}

// TestNodeNames: what a node may be called, a NATS server may be.
func TestNodeNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"b1", "b1.eu-west.example", "B_1", "-", longName} {
		ctx, stop := context.WithCancel(t.Context())
		var errs bytes.Buffer
		program := Main{
			Args:   []string{"--node=" + name, "--http=127.0.0.1:0", "--nats-listen=127.0.0.1:0", "--drain=1ms", "--data", t.TempDir()},
			Stdout: &errs, Stderr: &errs, Ready: func(*stack.Stack) { stop() },
		}
		if code := program.Run(ctx); code != 0 {
			t.Errorf("%s: exit code %d: %s", name, code, errs.String())
		}
		stop()
	}
}
