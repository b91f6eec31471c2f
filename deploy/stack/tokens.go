package stack

import (
	"fmt"
	"os"

	"github.com/latido/latido/subjects/identity"
)

// newVerifier makes what tells the bridge and the services here whose tokens are good.
func (s *Stack) newVerifier() (*identity.Verifier, error) {
	secret := s.cfg.Secret
	if s.cfg.Dev() {
		kept, err := devSecret(s.cfg.Data)
		if err != nil {
			return nil, &DataError{s.cfg.Data, fmt.Errorf("dev mode keeps its secret there, which --jwt-secret makes needless: %w", reason(err))}
		}
		secret = []byte(kept)
	}
	return identity.New(identity.Config{
		Secret: secret, JWKSURL: s.cfg.JWKSURL, Issuer: s.cfg.Issuer, Audiences: s.cfg.Audiences, Leeway: s.cfg.Leeway,
		Log: s.cfg.Log,
	}), nil
}

// devSecret signs the tokens of dev mode, at every process with the same folder:
// also at one that has joined the server of another, which holds the folder.
func devSecret(folder string) (string, error) {
	if err := claimable(folder); err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return "", err
	}
	secret, _, err := keepSecret(folder, devSecretFile)
	return secret, err
}
