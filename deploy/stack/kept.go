package stack

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Secrets that are made once for each data folder, readable by its owner alone.
// Processes on this machine that are given the same folder share them.
const (
	devSecretFile    = "dev-secret"    // signs the tokens of dev mode
	natsPasswordFile = "nats-password" // of the embedded NATS server
)

// natsUser logs in to the embedded server with the password of its data folder.
const natsUser = "latido"

// readSecret reads a secret of a data folder; none is fs.ErrNotExist.
func readSecret(folder, name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(content))
	if len(secret) < secretBytes {
		return "", fmt.Errorf("%s has less than %d bytes: remove it, and one is made anew", name, secretBytes)
	}
	return secret, nil
}

// keepSecret reads a secret of a data folder, or makes it; made tells which.
// Processes that start at once get the same one: it appears whole, and once.
func keepSecret(folder, name string) (secret string, made bool, err error) {
	secret, err = readSecret(folder, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, false, err
	}
	secret = rand.Text() + rand.Text()
	fresh, err := prepare(folder, name, secret+"\n")
	if err != nil {
		return "", false, err
	}
	defer func() { _ = os.Remove(fresh) }() // its other name stays
	if err := os.Link(fresh, filepath.Join(folder, name)); err != nil {
		if errors.Is(err, fs.ErrExist) {
			secret, err = readSecret(folder, name) // of whoever was first
			return secret, false, err
		}
		return "", false, err
	}
	return secret, true, nil
}
