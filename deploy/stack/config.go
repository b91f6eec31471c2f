package stack

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/latido/latido/bridge"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

// Config says what runs and where. Its zero value works: every part, an embedded
// NATS server, everything on loopback, data in ./latido-data, dev tokens on.
type Config struct {
	// Parts are the names of the parts to run, of Parts(); none means a whole system.
	Parts []string
	// Node is this process's name in presence, logs and metrics: at most 64 ASCII
	// letters, digits, dots, hyphens and underscores. Two processes
	// must not share one; "" is the host's name and a random ending.
	Node string
	// Log takes everything that is worth telling; nil is slog.Default().
	Log *slog.Logger

	// HTTP is where browsers connect; "" is 127.0.0.1:8080, port 0 takes a free one.
	HTTP string
	// Secret (HS256, HS384, HS512) and JWKSURL (RS, ES, EdDSA) verify tokens.
	// Without either the bridge runs in dev mode, which is refused unless every
	// address is loopback.
	Secret  []byte
	JWKSURL string
	// Issuer and Audiences are the iss and one of the aud that a token must have;
	// none means any.
	Issuer    string
	Audiences []string
	// Leeway is how far the clock of who signs tokens may differ; 0 is a minute,
	// less than that none.
	Leeway time.Duration
	// Origins are the web origins browsers may connect from; none means all.
	Origins []string
	// TrustedProxies are the networks, as 10.0.0.0/8, of the proxies that are
	// believed when they tell for whom they ask; none means loopback.
	TrustedProxies []string
	// MetricsToken is the bearer token for /metrics; without it only clients on this
	// machine may read it. MetricsListen serves it at an address of its own instead,
	// to all who reach it.
	MetricsToken  string
	MetricsListen string
	// Limits bound what a browser may do; zero fields take the bridge's defaults.
	Limits bridge.Limits
	// Compress compresses what is sent to browsers that can take it.
	Compress bool
	// Kinds are the kinds of channels that the app adds, as subjects.AppKind reads
	// them. Every process of one system is told the same.
	Kinds []string
	// Meta are the JSON Schemas, as KIND=FILE, that judge what members of a kind of
	// channel say about themselves.
	Meta []string
	// Debug is where profiles can be had, at a loopback address; "" is nowhere.
	Debug string
	// Health is where /healthz, /readyz and /metrics of this process are served,
	// whatever it runs; "" is nowhere. Whoever reaches it may read them.
	Health string
	// Drain is how long the goodbyes to browsers are spread; 0 is 10 s.
	Drain time.Duration

	// NATSURL names servers to connect to, separated by commas; "" embeds one.
	NATSURL string
	// NATSWait is how long to wait at the start, for those servers and for what
	// others declare there; 0 is without end. Once connected, a part reconnects for
	// as long as it runs.
	NATSWait time.Duration
	// NATSCreds is the path of a credentials file to log in with.
	NATSCreds string
	// NATSUser and NATSPassword log in; an embedded server demands them.
	NATSUser     string
	NATSPassword string
	// NATSInbox is the prefix of reply subjects, for users who may only read
	// their own; "" is _INBOX.
	NATSInbox string
	// Replicas is how many servers keep each stream; 0 leaves those that exist as they
	// are, and makes new ones on 1.
	Replicas int
	// AwaitLayout has services wait until streams and consumers are declared by the
	// part topology, where their NATS users may not.
	AwaitLayout bool

	// NATSListen is where the embedded server listens; "" is 127.0.0.1:4222, port
	// 0 takes a free one.
	NATSListen string
	// Data is the folder of the embedded server's streams; "" is ./latido-data.
	Data string
	// Sync is how often the embedded server flushes its streams to disk. 0 does so
	// before it acknowledges a write: nothing acknowledged is lost with the power.
	Sync time.Duration
}

// Effective returns the configuration with its defaults filled in, or a
// *SettingError that says which setting cannot work. It touches nothing outside.
func (c Config) Effective() (Config, error) {
	c.Parts = effectiveParts(c.Parts)
	c.HTTP = cmp.Or(c.HTTP, "127.0.0.1:8080")
	c.NATSListen = cmp.Or(c.NATSListen, "127.0.0.1:4222")
	c.Data = cmp.Or(c.Data, "./latido-data")
	c.Drain = cmp.Or(c.Drain, 10*time.Second)
	c.NATSInbox = cmp.Or(c.NATSInbox, "_INBOX")
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c, c.validate()
}

// Dev reports whether the bridge hands out tokens to whoever asks: only when
// nothing verifies tokens and nobody outside this machine can reach it.
func (c Config) Dev() bool {
	return len(c.Secret) == 0 && c.JWKSURL == "" && c.exposed() == ""
}

// Embeds reports whether the stack brings its own NATS server.
func (c Config) Embeds() bool { return c.NATSURL == "" }

// Runs reports whether the part of this name is to run.
func (c Config) Runs(part string) bool { return slices.Contains(c.Parts, part) }

func effectiveParts(names []string) []string {
	if len(names) == 0 {
		return defaultParts()
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

func (c Config) validate() error {
	for _, check := range []func() error{c.checkParts, c.checkNode, c.checkKinds, c.checkMeta, c.checkAddresses, c.checkBus, c.checkTokens, c.checkOrigins, c.checkTimes} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) checkParts() error {
	for _, name := range c.Parts {
		if !slices.Contains(Parts(), name) {
			return &SettingError{"", fmt.Sprintf("no part is called %q: there are %s", name, strings.Join(Parts(), ", "))}
		}
	}
	return nil
}

// checkNode refuses names that the embedded server cannot have, that look like
// patterns of subjects, or that services go by.
func (c Config) checkNode() error {
	if c.Node != "" && !nodeNames.MatchString(c.Node) {
		return &SettingError{"node", fmt.Sprintf("%q is no name of 1 to %d ASCII letters, digits, dots, hyphens and underscores", c.Node, nodeMost)}
	}
	return nil
}

var (
	nodeNames  = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9._-]{1,%d}$`, nodeMost))
	notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]`)
)

// nodeMost is the longest name of a node, in bytes: it begins the keys of presence.
const nodeMost = 64

func (c Config) checkKinds() error {
	if _, err := c.kinds(); err != nil {
		return &SettingError{"kinds", err.Error()}
	}
	return nil
}

func (c Config) checkMeta() error {
	if _, err := c.meta(); err != nil {
		return &SettingError{"meta", err.Error()}
	}
	return nil
}

// meta reads the schemas of presence, by kind.
func (c Config) meta() (map[string]*schemas.Schema, error) {
	read := make(map[string]*schemas.Schema, len(c.Meta))
	for _, text := range c.Meta {
		kind, file, found := strings.Cut(text, "=")
		if !found || kind == "" {
			return nil, fmt.Errorf("%q is not KIND=FILE", text)
		}
		schema, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if read[kind], err = schemas.Compile(kind, schema); err != nil {
			return nil, err
		}
	}
	return read, nil
}

func (c Config) kinds() ([]subjects.Kind, error) {
	kinds := make([]subjects.Kind, len(c.Kinds))
	for i, text := range c.Kinds {
		var err error
		if kinds[i], err = subjects.AppKind(text); err != nil {
			return nil, err
		}
	}
	return kinds, nil
}

func (c Config) checkTimes() error {
	for setting, value := range map[string]time.Duration{"drain": c.Drain, "nats-wait": c.NATSWait, "sync": c.Sync} {
		if value < 0 {
			return &SettingError{setting, fmt.Sprintf("%v is negative", value)}
		}
	}
	return nil
}
