package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// configFile is the path of a YAML file whose keys are flags' names.
type configFile string

// fileError is a configuration file that cannot be used.
type fileError struct {
	path   string
	reason string
}

func (e *fileError) Error() string { return "--config " + e.path + ": " + e.reason }

// BeforeResolve makes the file answer for the flags that were not given. Kong
// calls it whether the path comes from the flag or its variable.
func (configFile) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(configFile)
	if path == "" {
		return nil
	}
	settings, err := readSettings(string(path))
	if err != nil {
		return err
	}
	resolver := fileResolver{path: string(path), settings: settings}
	if err := resolver.Validate(ctx.Model); err != nil {
		return err
	}
	ctx.AddResolver(resolver)
	return nil
}

func readSettings(path string) (map[string]any, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		if pathError, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathError.Err
		}
		return nil, &fileError{path, err.Error()}
	}
	settings := make(map[string]any)
	if err := yaml.Unmarshal(content, &settings); err != nil {
		message, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
		return nil, &fileError{path, "not a YAML file of settings: " + message}
	}
	return settings, nil
}

// fileResolver gives kong the settings of a file.
type fileResolver struct {
	path     string
	settings map[string]any
}

// Validate refuses keys that no flag has: a misspelt setting must not be taken
// for its default.
func (f fileResolver) Validate(app *kong.Application) error {
	known := make(map[string]bool)
	for _, flag := range settingFlags(app) {
		known[flag.Name] = true
	}
	for key, value := range f.settings {
		if !known[key] {
			return &fileError{f.path, fmt.Sprintf("unknown key %q", key)}
		}
		if _, nested := value.(map[string]any); nested {
			return &fileError{f.path, fmt.Sprintf("key %q takes a value, not a map", key)}
		}
	}
	return nil
}

// Resolve leaves a flag alone whose variable is set: it goes before the file.
func (f fileResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, variable := range flag.Envs {
		if _, set := os.LookupEnv(variable); set {
			return nil, nil
		}
	}
	return f.settings[flag.Name], nil
}

// settingFlags are the flags that are settings, in the order of the help.
func settingFlags(app *kong.Application) []*kong.Flag {
	var flags []*kong.Flag
	for _, flag := range app.Flags {
		switch flag.Name {
		case "help", "version", "config":
		default:
			flags = append(flags, flag)
		}
	}
	return flags
}
