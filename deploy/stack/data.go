package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// dataVersion is the layout of the data folder. It grows when an older Latido
// could no longer read what a newer one wrote.
const dataVersion = 1

const (
	versionFile = "latido-version"
	lockFile    = "lock"
)

// dataFolder is the folder a stack keeps its streams in, held by this process.
type dataFolder struct {
	path  string
	lock  *os.File
	begun bool // this run has dealt with what the one before has lost
}

// openData makes or takes the folder. The lock goes with the process, so that a
// crash leaves nothing behind that would have to be removed by hand.
func openData(path string) (*dataFolder, error) {
	if err := claimable(path); err != nil {
		return nil, &DataError{path, err}
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, &DataError{path, reason(err)}
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, &DataError{path, reason(err)}
	}
	if err = lockExclusively(lock); err == nil {
		err = checkVersion(path)
	}
	if err != nil {
		return nil, &DataError{path, errors.Join(err, lock.Close())}
	}
	return &dataFolder{path: path, lock: lock}, nil
}

// close gives the folder back, when the streams in it are closed.
func (d *dataFolder) close() error {
	var err error
	if d.begun {
		err = d.markRun(true)
	}
	return errors.Join(err, d.lock.Close())
}

// claimable refuses a folder that somebody filled with something else, for
// instance a home directory given by mistake.
func claimable(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return reason(err)
	}
	for _, entry := range entries {
		name, _, _ := strings.Cut(entry.Name(), ".") // which it has while it is written
		if slices.Contains([]string{versionFile, lockFile, devSecretFile}, name) {
			return nil
		}
	}
	if len(entries) > 0 {
		return ErrDataForeign
	}
	return nil
}

// checkVersion refuses a newer layout and marks a new folder. An empty mark is none:
// there was no room for it.
func checkVersion(path string) error {
	name := filepath.Join(path, versionFile)
	content, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return reason(err)
	}
	mark := strings.TrimSpace(string(content))
	if mark == "" {
		fresh, err := prepare(path, versionFile, strconv.Itoa(dataVersion)+"\n")
		if err != nil {
			return reason(err)
		}
		return os.Rename(fresh, name)
	}
	version, err := strconv.Atoi(mark)
	if err != nil {
		return fmt.Errorf("%s: %q is not a number", versionFile, mark)
	}
	if version > dataVersion {
		return fmt.Errorf("%w of Latido (layout %d, this one reads up to %d)", ErrDataNewer, version, dataVersion)
	}
	return nil
}

// prepare writes a file, for its owner alone, that is to get another name once it is
// whole; one that cannot be written leaves nothing behind.
func prepare(folder, name, content string) (path string, err error) {
	file, err := os.CreateTemp(folder, name+".*")
	if err != nil {
		return "", err
	}
	if _, err = file.WriteString(content); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// reason takes the path out of a file error, which DataError already names.
func reason(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
