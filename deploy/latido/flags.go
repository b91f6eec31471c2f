package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/alecthomas/kong"

	"github.com/latido/latido/deploy/stack"
)

// errAnswered ends a run that --help or --version has answered.
var errAnswered = errors.New("answered")

const description = `Latido carries chat, positions, presence and dispatch between browsers and services, over NATS. A browser that drops and comes back misses nothing and sees nothing twice.

Without arguments it runs every part with a NATS server of its own, for this machine only. Named parts run alone, usually with --nats-url: latido bridge, latido chat presence.

Each setting can be given as a flag, as a LATIDO_ variable or as a key of the YAML file, in this order of precedence; --jwt-secret is LATIDO_JWT_SECRET is jwt-secret.`

// commandLine is everything a user can say. The help texts are the reference.
type commandLine struct {
	Run   runCommand   `cmd:"" default:"withargs" help:"Run a whole system, or only the parts named, of: ${parts} (the default)."`
	Check checkCommand `cmd:"" help:"Say what is wrong with the settings, or print them as a YAML file, secrets masked."`

	Config  configFile       `placeholder:"FILE" help:"YAML file with any of these settings, by their flags' names."`
	Version kong.VersionFlag `env:"-" help:"Print the version and exit."`

	HTTP           string        `name:"http" group:"browsers" default:"127.0.0.1:8080" help:"Where browsers connect, for WebSockets and HTTP."`
	Origins        []string      `group:"browsers" placeholder:"ORIGIN" help:"Web origins that may connect, as https://shop.example. All when none is given."`
	Kinds          []string      `group:"browsers" placeholder:"NAME[:durable]" help:"Kinds of channel that the app adds: orders:durable stores their events, cursors passes them on. app:durable stores those of app channels. The same for every process."`
	Meta           []string      `group:"browsers" placeholder:"KIND=FILE" help:"JSON Schema that judges what members of a kind of channel say about themselves in presence, as room=./member.json."`
	Node           string        `group:"browsers" placeholder:"NAME" help:"Name of this process in presence and logs, different for each: at most 64 letters, digits, dots, hyphens and underscores. Made up from the host's name when empty."`
	Compress       bool          `group:"browsers" help:"Compress messages of 256 bytes and more for browsers that offer it (permessage-deflate, no context kept). Each is compressed once, whoever gets it."`
	TrustedProxies []string      `group:"browsers" placeholder:"NETWORK" default:"127.0.0.0/8,::1/128" help:"Networks of the proxies that tell for whom they ask, in X-Forwarded-For or Forwarded, as 10.0.0.0/8. Such a proxy must set these headers or remove them. What others say there is ignored."`
	MetricsToken   string        `group:"browsers" secret:"" placeholder:"TOKEN" help:"Bearer token for /metrics. Without it and --metrics-listen only clients on this machine may read it."`
	MetricsListen  string        `group:"browsers" placeholder:"ADDRESS" help:"An address of its own for /metrics, as 10.0.0.5:9100, where everybody who reaches it may read; --http then has none."`
	Drain          time.Duration `group:"browsers" default:"10s" help:"How long a stopping bridge spreads its goodbyes, so that browsers do not all return at once."`

	JWTSecret string `name:"jwt-secret" group:"tokens" secret:"" placeholder:"SECRET" help:"Shared secret of HS256, HS384 and HS512 tokens, 32 bytes or more. Without it and --jwks-url anyone on this machine may make tokens, and other addresses than loopback are refused."`
	JWKSURL   string `name:"jwks-url" group:"tokens" placeholder:"URL" help:"Where the public keys of RS, ES and EdDSA tokens are; fetched, kept and renewed. Keys that sign tokens for other programs, too, need --jwt-audience or --jwt-issuer."`

	JWTAudience []string      `name:"jwt-audience" group:"tokens" placeholder:"NAME" help:"A token must name one of these in aud. Any token will do when none is given."`
	JWTIssuer   string        `name:"jwt-issuer" group:"tokens" placeholder:"NAME" help:"A token must have this iss. Any will do when empty."`
	JWTLeeway   time.Duration `name:"jwt-leeway" group:"tokens" default:"1m" help:"How far the clock of who signs tokens may differ from ours, for exp, nbf and iat; 10m at most."`

	Data       string     `group:"embedded" default:"./latido-data" help:"Folder of the embedded NATS server's streams, of its password, and of the secret of dev mode. Processes on this machine that join that server find both there when they are given the same folder."`
	NATSListen string     `name:"nats-listen" group:"embedded" default:"127.0.0.1:4222" help:"Where the embedded NATS server listens, for the nats CLI and for parts in other processes."`
	Sync       syncPolicy `group:"embedded" default:"always" help:"When the embedded server flushes to disk: 'always', or every duration such as 2m. 'always' does so before a write is acknowledged: a power cut loses nothing acknowledged but positions of a moving trail, which stay relaxed. Measured on one SSD: 0.23 ms and 5,000 writes/s, against 0.01 ms and 69,000/s with 2m, where a power cut loses up to 2 minutes."`

	NATSURL      string        `name:"nats-url" group:"nats" placeholder:"URL,..." help:"NATS servers to connect to instead of embedding one, as nats://n1:4222,nats://n2:4222."`
	NATSWait     time.Duration `name:"nats-wait" group:"nats" default:"0s" help:"How long to wait at the start for these servers, and for the streams that others declare there, before giving up. 0s waits without end, as for a server that is lost later on."`
	NATSCreds    string        `name:"nats-creds" group:"nats" placeholder:"FILE" help:"Credentials file to log in to NATS with."`
	NATSUser     string        `name:"nats-user" group:"nats" placeholder:"NAME" help:"User to log in to NATS as; the embedded server then demands it of everyone. Without one, and with --jwt-secret or --jwks-url, it demands the user latido and a password that it makes and keeps in --data."`
	NATSPassword string        `name:"nats-password" group:"nats" secret:"" placeholder:"PASSWORD" help:"Password of --nats-user."`
	NATSInbox    string        `name:"nats-inbox" group:"nats" default:"_INBOX" help:"Prefix of the subjects that replies come to, where a NATS user may read only its own."`
	Replicas     int           `group:"nats" default:"0" help:"How many servers of a NATS cluster keep each stream: 1, 3 or 5. 0 leaves those that exist as they are, and makes new ones on 1."`
	AwaitLayout  bool          `group:"nats" help:"Services wait for streams and consumers instead of declaring them: for a bus where only the part topology may."`

	limitFlags `group:"limits"`

	DebugListen string `group:"logs" placeholder:"ADDRESS" help:"Loopback address at which 'go tool pprof' finds profiles of CPU, memory and locks. None when empty."`

	HealthListen string `group:"logs" placeholder:"ADDRESS" help:"Address of /healthz, /readyz and /metrics of this process, whatever it runs, as 127.0.0.1:8090. They tell from its first moment on what it waits for. None when empty."`

	LogLevel  slog.Level `group:"logs" default:"info" help:"Least level that is logged: debug, info, warn or error."`
	LogFormat string     `group:"logs" enum:"text,json" default:"text" help:"Form of the log, text or json."`
}

type runCommand struct {
	Parts []string `arg:"" optional:"" name:"part" help:"What to run: ${parts}. When none is named, all but topology, which declares streams where services may not."`
}

type checkCommand struct {
	Parts []string `arg:"" optional:"" name:"part" help:"What would be run."`
}

var groups = kong.Groups{
	"browsers": "Browsers",
	"tokens":   "Tokens",
	"embedded": "Embedded NATS server (without --nats-url)",
	"nats":     "NATS",
	"limits":   "Limits of a browser, each with a refusal that says so",
	"logs":     "Logs",
}

// parse reads arguments, variables and file. Help and version go to stdout and
// end with errAnswered.
func (l *commandLine) parse(args []string, stdout, stderr io.Writer) (*kong.Context, error) {
	answered := false
	parser, err := kong.New(l,
		kong.Name("latido"), kong.Description(description), groups,
		kong.Vars{"version": "latido " + version(), "parts": partNames()},
		kong.Writers(stdout, stderr), kong.Exit(func(int) { answered = true }),
		kong.DefaultEnvars("LATIDO"),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 110, NoAppSummary: true, FlagsLast: true}), kong.Help(help),
	)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(args)
	if answered {
		return nil, errAnswered
	}
	return parsed, err
}

// help says how the program is called, which kong would show as its inner
// grammar, and then leaves the rest to kong.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	if ctx.Selected() == nil {
		fmt.Fprint(ctx.Stdout, "Usage: latido [<part> ...] [flags]\n       latido check [<part> ...] [flags]\n")
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

// config is the stack's configuration as it was said, not yet checked.
func (l *commandLine) config(logs io.Writer) stack.Config {
	return stack.Config{
		Parts: append(l.Run.Parts, l.Check.Parts...), Node: l.Node, Log: l.logger(logs),
		HTTP: l.HTTP, Secret: []byte(l.JWTSecret), JWKSURL: l.JWKSURL, Audiences: l.JWTAudience, Issuer: l.JWTIssuer, Leeway: cmp.Or(l.JWTLeeway, -1), Origins: l.Origins, Kinds: l.Kinds, Meta: l.Meta, Compress: l.Compress, Debug: l.DebugListen, Health: l.HealthListen, Limits: l.limits(), Drain: l.Drain,
		TrustedProxies: l.TrustedProxies, MetricsToken: l.MetricsToken, MetricsListen: l.MetricsListen,
		NATSURL: l.NATSURL, NATSWait: l.NATSWait, NATSCreds: l.NATSCreds, NATSUser: l.NATSUser, NATSPassword: l.NATSPassword, NATSInbox: l.NATSInbox,
		Replicas: l.Replicas, AwaitLayout: l.AwaitLayout, NATSListen: l.NATSListen, Data: l.Data, Sync: time.Duration(l.Sync),
	}
}

func (l *commandLine) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.LogLevel}
	if l.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
