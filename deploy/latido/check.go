package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"github.com/latido/latido/deploy/stack"
)

// masked stands for a secret that is set.
const masked = "********"

// check prints every setting as it will be used, in the form of the file that
// --config reads, or returns what is wrong.
func check(w io.Writer, app *kong.Application, cfg stack.Config) error {
	effective, err := cfg.Effective()
	if err != nil {
		return err
	}
	settings := yaml.MapSlice{}
	for _, flag := range settingFlags(app) {
		settings = append(settings, yaml.MapItem{Key: flag.Name, Value: shown(flag)})
	}
	content, err := yaml.Marshal(settings)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "# runs: %s\n# tokens: %s\n# NATS: %s\n%s", strings.Join(effective.Parts, ", "), tokens(effective), server(effective), content)
	return nil
}

// shown is a flag's value as YAML has it, without what must not be seen.
func shown(flag *kong.Flag) any {
	value := flag.Target.Interface()
	if text, ok := value.(string); ok {
		switch {
		case text != "" && flag.Tag.Has("secret"):
			return masked
		case flag.Name == "nats-url":
			return redacted(text)
		}
		return text
	}
	if text, ok := value.(fmt.Stringer); ok {
		return strings.ToLower(text.String())
	}
	return value
}

// redacted hides the passwords in a list of URLs.
func redacted(list string) string {
	var entries []string
	for entry := range strings.SplitSeq(list, ",") {
		if parsed, err := url.Parse(entry); err == nil {
			entry = parsed.Redacted()
		}
		entries = append(entries, entry)
	}
	return strings.Join(entries, ",")
}

func tokens(cfg stack.Config) string {
	switch {
	case cfg.Dev():
		return "dev mode, anyone on this machine may make them"
	case cfg.JWKSURL != "" && len(cfg.Secret) > 0:
		return "verified with the shared secret or the keys of " + cfg.JWKSURL
	case cfg.JWKSURL != "":
		return "verified with the keys of " + cfg.JWKSURL
	default:
		return "verified with the shared secret"
	}
}

func server(cfg stack.Config) string {
	if cfg.Embeds() {
		return "embedded, on " + cfg.NATSListen
	}
	return redacted(cfg.NATSURL)
}
