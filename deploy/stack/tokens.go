package stack

import "github.com/latido/latido/subjects/identity"

// devSecret signs the tokens of dev mode, which listens on loopback addresses
// only. It is the same everywhere, so that several bridges on one machine take
// one another's tokens.
const devSecret = "latido signs tokens of dev mode with this"

// newVerifier makes what tells the bridge and the services here whose tokens are good.
func (s *Stack) newVerifier() *identity.Verifier {
	secret := s.cfg.Secret
	if s.cfg.Dev() {
		secret = []byte(devSecret)
	}
	return identity.New(identity.Config{
		Secret: secret, JWKSURL: s.cfg.JWKSURL, Issuer: s.cfg.Issuer, Audiences: s.cfg.Audiences, Leeway: s.cfg.Leeway,
		Log: s.cfg.Log,
	})
}
