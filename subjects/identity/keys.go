package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxKeys = 64   // of a set; what follows is ignored
	minRSA  = 2048 // bits, RFC 7518, 3.3
)

// errUnknownKey is returned for a token when no key of the set can be its own.
var errUnknownKey = errors.New("unknown key")

// publicKey is one key of a set.
type publicKey struct {
	id        string // its kid, "" when it has none
	algorithm string // that it is for, "" is any which fits it
	key       crypto.PublicKey
}

// keySet is a JWK Set of RFC 7517 as it was fetched once.
type keySet struct {
	text    []byte
	fetched time.Time
	keys    []publicKey
}

// readKeys reads a set. Keys that are none of ours, as private or encryption keys
// or those of a type not known, are ignored, as section 5 of the RFC wants it.
func readKeys(text []byte, now time.Time) (*keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("no JWK Set: %w", err)
	}
	if set.Keys == nil {
		return nil, errors.New("no JWK Set: it has no keys")
	}
	read := &keySet{text: text, fetched: now}
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		if key, ok := readKey(raw); ok {
			read.keys = append(read.keys, key)
		}
	}
	return read, nil
}

func readKey(raw json.RawMessage) (publicKey, bool) {
	var said jwkset.JWKMarshal
	if json.Unmarshal(raw, &said) != nil || said.USE != "" && said.USE != jwkset.UseSig {
		return publicKey{}, false
	}
	// Certificates are not needed, and those behind an address would be fetched.
	said.X5U, said.X5C, said.X5T, said.X5TS256 = "", nil, "", ""
	parsed, err := jwkset.NewJWKFromMarshal(said, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return publicKey{}, false
	}
	switch key := parsed.Key().(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSA {
			return publicKey{}, false
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return publicKey{}, false
	}
	return publicKey{id: said.KID, algorithm: string(said.ALG), key: parsed.Key()}, true
}

// of lists the keys that may have signed a token: those with its kid, and those
// without one, when they fit its algorithm.
func (s *keySet) of(token *jwt.Token) (jwt.VerificationKeySet, error) {
	var found jwt.VerificationKeySet
	if s == nil {
		return found, errUnknownKey
	}
	id, _ := token.Header["kid"].(string)
	for _, key := range s.keys {
		if (id == "" || key.id == "" || key.id == id) && key.fits(token.Method) {
			found.Keys = append(found.Keys, key.key)
		}
	}
	if len(found.Keys) == 0 {
		return found, errUnknownKey
	}
	return found, nil
}

// fits keeps a key to the algorithm that it was made for.
func (k publicKey) fits(method jwt.SigningMethod) bool {
	if k.algorithm != "" && k.algorithm != method.Alg() {
		return false
	}
	switch method := method.(type) {
	case *jwt.SigningMethodRSA:
		_, ok := k.key.(*rsa.PublicKey)
		return ok
	case *jwt.SigningMethodECDSA:
		key, ok := k.key.(*ecdsa.PublicKey)
		return ok && key.Curve.Params().BitSize == method.CurveBits
	case *jwt.SigningMethodEd25519:
		_, ok := k.key.(ed25519.PublicKey)
		return ok
	}
	return false
}

// guesses tells that a set has keys for a token which are not named by its kid: a
// newer set may have others in their place.
func (s *keySet) guesses(token *jwt.Token) bool {
	found, err := s.of(token)
	id, _ := token.Header["kid"].(string)
	named := func(key publicKey) bool { return id != "" && key.id == id }
	return err == nil && len(found.Keys) > 0 && !slices.ContainsFunc(s.keys, named)
}

// newer tells which of two sets, each of which may be nil, was fetched later.
func (s *keySet) newer(than *keySet) bool {
	return s != nil && (than == nil || s.fetched.After(than.fetched))
}

// same tells that nothing changed since the set was fetched.
func (s *keySet) same(text []byte) bool { return s != nil && bytes.Equal(s.text, text) }
