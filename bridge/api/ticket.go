package api

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/schemas"
)

// ticketLife is how long a ticket may be used.
const ticketLife = 30 * time.Second

// tickets stand for tokens where only an address can say who asks, as with the
// EventSource of browsers: addresses are logged, and a token in one would be good for
// whoever reads the log.
//
// A ticket is the token itself and the end of its time, sealed with AES-GCM, so that
// those that were given out cost nothing: all nodes that have the same key take one.
// Which were used they tell one another through the bus; while it is away, or does not
// answer, none is taken. Times are the bus's. The key that a used ticket brings lets its stream return until the token expires: it is told in the
// stream alone, and comes in a header.
type tickets struct {
	seal  cipher.AEAD
	prove []byte
	once  func(ctx context.Context, key string) (first bool, err error) // in the whole cluster
}

// newTickets returns tickets under a key of 32 bytes, or one of their own, which no
// other node knows.
func newTickets(key []byte, once func(context.Context, string) (bool, error)) *tickets {
	if key == nil {
		key = make([]byte, sha256.Size)
		_, _ = rand.Read(key) // it never fails
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("api: " + err.Error()) // only another size fails
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		panic("api: " + err.Error()) // AES has blocks of the right size
	}
	proof := hmac.New(sha256.New, key)
	proof.Write([]byte("return"))
	return &tickets{seal: seal, prove: proof.Sum(nil), once: once}
}

// give returns a ticket for a token.
func (t *tickets) give(token string, now time.Time) string {
	nonce := make([]byte, t.seal.NonceSize(), t.seal.NonceSize()+8+len(token)+t.seal.Overhead())
	_, _ = rand.Read(nonce) // it never fails
	text := append(binary.BigEndian.AppendUint64(nil, uint64(now.Add(ticketLife).UnixMilli())), token...)
	return base64.RawURLEncoding.EncodeToString(t.seal.Seal(nonce, nonce, text, nil))
}

var (
	errTicket = schemas.Refuse(schemas.Unauthenticated, "the ticket is not valid, or not here")
	errSpent  = schemas.Refuse(schemas.Unauthenticated, "the ticket was used, or is older than %s: ask for another", ticketLife)
	errUntold = schemas.Refuse(schemas.Unavailable, "whether the ticket was used cannot be told at the moment: ask for another, later")
)

// take returns the token that a ticket stands for, and the key by which its stream may
// return. A ticket is taken once, and in its time; after that only with its key.
func (t *tickets) take(ctx context.Context, ticket, key string, now time.Time) (token, returns string, err error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(ticket)
	if err != nil || len(sealed) < t.seal.NonceSize() {
		return "", "", errTicket
	}
	nonce, text := sealed[:t.seal.NonceSize()], sealed[t.seal.NonceSize():]
	text, err = t.seal.Open(nil, nonce, text, nil)
	if err != nil || len(text) < 8 {
		return "", "", errTicket
	}
	returns, token = t.keyOf(nonce), string(text[8:])
	if hmac.Equal([]byte(key), []byte(returns)) {
		return token, returns, nil
	}
	if now.UnixMilli() >= int64(binary.BigEndian.Uint64(text)) {
		return "", "", errSpent
	}
	first, err := t.once(ctx, base64.RawURLEncoding.EncodeToString(nonce))
	if err != nil {
		if session.RefusalFor(err).Code != schemas.Internal {
			err = errUntold
		}
		return "", "", err
	}
	if !first {
		return "", "", errSpent
	}
	return token, returns, nil
}

func (t *tickets) keyOf(nonce []byte) string {
	const size = 16
	proof := hmac.New(sha256.New, t.prove)
	proof.Write(nonce)
	return base64.RawURLEncoding.EncodeToString(proof.Sum(nil)[:size])
}
