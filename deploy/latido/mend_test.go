package main

import (
	"strings"
	"testing"
)

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
		"chatt":                            "chat",
		"--nats-listen=127.0.0.1:notaport": "--nats-listen",
	} {
		code, stdout, stderr := run(t, "check", args)
		if code != exitUsage || !strings.Contains(stderr, flag) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%s: exit code %d, %q does not name %s", args, code, stderr, flag)
		}
	}
}
