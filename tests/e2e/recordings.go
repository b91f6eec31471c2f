package e2e

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// DataVariable names the folder of the recordings, when they are not where
// [Recordings] looks for them.
const DataVariable = "LATIDO_DATA_SET"

// ErrNoRecordings says where the recordings were looked for in vain.
var ErrNoRecordings = errors.New("no recordings")

// Recordings is the folder with irc/ and cabs/: what the environment says, or
// ../shared/data as seen from the module's root.
func Recordings() (string, error) {
	folder := os.Getenv(DataVariable)
	if folder == "" {
		root, err := moduleRoot()
		if err != nil {
			return "", err
		}
		folder = filepath.Join(root, "..", "shared", "data")
	}
	if _, err := os.Stat(filepath.Join(folder, "irc")); err != nil {
		return "", fmt.Errorf("%w in %s (set %s): %w", ErrNoRecordings, folder, DataVariable, err)
	}
	return folder, nil
}

func moduleRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", fmt.Errorf("%w: not inside a module", fs.ErrNotExist)
		}
		folder = parent
	}
}

// readAll parses every file below a folder of the recordings, by its name
// without the ending.
func readAll[T any](folder string, parse func(io.Reader) (T, error)) (map[string]T, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		return nil, err
	}
	all := map[string]T{}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		parsed, err := parse(file)
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".txt")] = parsed
	}
	return all, nil
}

// Transcripts are the IRC logs of the recordings, by name.
func Transcripts(recordings string) (map[string][]Line, error) {
	return readAll(filepath.Join(recordings, "irc"), ParseTranscript)
}

// Traces are the cabs' traces of the recordings, by cab.
func Traces(recordings string) (map[string][]Fix, error) {
	return readAll(filepath.Join(recordings, "cabs"), ParseTrace)
}
