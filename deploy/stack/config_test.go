package stack_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
)

const goodSecret = "0123456789abcdef0123456789abcdef"

func TestDevModeIsForThisMachineOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg stack.Config
		dev bool
	}{
		"nothing said":       {stack.Config{}, true},
		"localhost":          {stack.Config{HTTP: "localhost:0"}, true},
		"IPv6":               {stack.Config{HTTP: "[::1]:8080"}, true},
		"a loopback NATS":    {stack.Config{NATSURL: "nats://127.0.0.1:4222,localhost:4223"}, true},
		"a secret":           {stack.Config{Secret: []byte(goodSecret)}, false},
		"keys":               {stack.Config{JWKSURL: "https://id.example/keys"}, false},
		"one far NATS":       {stack.Config{NATSURL: "nats://127.0.0.1:4222,nats://10.0.0.1:4222"}, false},
		"every interface":    {stack.Config{HTTP: ":8080"}, false},
		"a name":             {stack.Config{HTTP: "localhost.example:8080"}, false},
		"an open NATS":       {stack.Config{NATSListen: "0.0.0.0:4222", NATSUser: "u", NATSPassword: "p"}, false},
		"a loopback lookout": {stack.Config{HTTP: "127.0.0.1.example:80"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := test.cfg.Effective()
			if cfg.Dev() != test.dev {
				t.Errorf("dev mode %v, want %v", cfg.Dev(), test.dev)
			}
			guarded := len(cfg.Secret) > 0 || cfg.JWKSURL != ""
			if refused := err != nil; refused != (!test.dev && !guarded) {
				t.Errorf("neither tokens verified nor dev mode must be refused, and nothing else: %v", err)
			}
		})
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		setting string
		cfg     stack.Config
	}{
		{"", stack.Config{Parts: []string{"chta"}}},
		{"http", stack.Config{HTTP: "8080"}},
		{"http", stack.Config{HTTP: "127.0.0.1:http"}},
		{"http", stack.Config{HTTP: "127.0.0.1:70000"}},
		{"nats-listen", stack.Config{NATSListen: "nowhere"}},
		{"metrics-listen", stack.Config{MetricsListen: "9100"}},
		{"trusted-proxies", stack.Config{TrustedProxies: []string{"10.0.0.0/8", "nginx"}}},
		{"nats-listen", stack.Config{NATSListen: "0.0.0.0:4222", Secret: []byte(goodSecret)}},
		{"nats-url", stack.Config{NATSURL: "http://127.0.0.1:4222"}},
		{"nats-url", stack.Config{NATSURL: "nats://%zz", Secret: []byte(goodSecret)}},
		{"jwt-secret", stack.Config{Secret: []byte("short")}},
		{"jwt-audience", stack.Config{Secret: []byte(goodSecret), Audiences: []string{"latido", ""}}},
		{"jwt-leeway", stack.Config{Secret: []byte(goodSecret), Leeway: time.Hour}},
		{"jwt-secret", stack.Config{HTTP: "0.0.0.0:8080"}},
		{"jwks-url", stack.Config{JWKSURL: "keys.json"}},
		{"replicas", stack.Config{Replicas: 3}},
		{"replicas", stack.Config{Replicas: -1, NATSURL: "nats://127.0.0.1:4222"}},
		{"drain", stack.Config{Drain: -1}},
		{"node", stack.Config{Node: "a b"}},
	} {
		_, err := test.cfg.Effective()
		refusal, ok := errors.AsType[*stack.SettingError](err)
		if !ok || refusal.Setting != test.setting {
			t.Errorf("%+v: got %v, want a refusal of %q", test.cfg, err, test.setting)
		}
	}
}

// Services verify the tokens of whoever commands them.
func TestServicesNeedASecret(t *testing.T) {
	t.Parallel()
	cfg := stack.Config{Parts: []string{"chat", "ops", "chat"}, NATSURL: "nats://10.0.0.1:4222"}
	if _, err := cfg.Effective(); err == nil || !strings.Contains(err.Error(), "--jwt-secret") {
		t.Errorf("without a secret: %v", err)
	}
	cfg.Secret = []byte(goodSecret)
	effective, err := cfg.Effective()
	if err != nil {
		t.Fatal(err)
	}
	if len(effective.Parts) != 2 {
		t.Errorf("parts %v", effective.Parts)
	}
}
