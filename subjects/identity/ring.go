package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// When keys are fetched: every keysAge, after keysRetry when that failed, and for
// a token whose key is not known, whoever sends it, keysPause after the time before.
const (
	keysAge   = time.Minute
	keysRetry = 2 * time.Second
	keysPause = time.Second
)

const (
	fetchTime  = 5 * time.Second // for one fetch, its body included
	fetchBytes = 1 << 20         // of a set, inflated
	// waitersMost bounds the tokens that wait for a fetch; more are refused as
	// unavailable, which clients repeat.
	waitersMost = 1024
	waitTime    = 2*fetchTime + keysPause
)

// errKeysAway is returned for a token whose key cannot be looked for at present.
var errKeysAway = errors.New("the keys are away")

// ring holds the keys of a JWKS. What was fetched serves until its server says
// otherwise, also while it is away.
type ring struct {
	url    string
	client http.Client
	log    *slog.Logger
	keys   atomic.Pointer[keySet] // nil until fetched for the first time
	wanted chan struct{}

	mu      sync.Mutex
	failure error         // of the newest fetch
	next    chan struct{} // closed after the next fetch that has not begun; nil when nobody waits
	waiters int
}

func newRing(address string, log *slog.Logger) *ring {
	return &ring{url: address, client: http.Client{Timeout: fetchTime}, log: log, wanted: make(chan struct{}, 1)}
}

// run fetches until ctx ends.
func (r *ring) run(ctx context.Context) {
	defer r.client.CloseIdleConnections()
	for {
		wait := keysAge
		if r.renew(ctx) != nil {
			wait = keysRetry
		}
		if !pause(ctx, keysPause, nil) || !pause(ctx, wait-keysPause, r.wanted) {
			return
		}
	}
}

// pause waits, or until something is wanted, and says whether to go on.
func pause(ctx context.Context, length time.Duration, wanted <-chan struct{}) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-wanted:
	}
	return true
}

// renew fetches the keys once, and tells those who wait.
func (r *ring) renew(ctx context.Context) error {
	r.mu.Lock()
	done := r.next
	r.next, r.waiters = nil, 0
	before := r.failure
	select {
	case <-r.wanted: // by those who wait for this
	default:
	}
	r.mu.Unlock()
	err := r.fetch(ctx)
	r.mu.Lock()
	r.failure = err
	if done != nil {
		close(done)
	}
	if err != nil && r.next != nil { // while fetches fail nobody waits
		close(r.next)
		r.next, r.waiters = nil, 0
	}
	r.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err != nil && before == nil:
		r.log.Warn("the keys of tokens cannot be fetched; those that are known serve on", "error", err)
	case err == nil && before != nil:
		r.log.Info("the keys of tokens are there again")
	}
	return err
}

func (r *ring) fetch(ctx context.Context) error {
	text, err := r.get(ctx)
	if err != nil {
		return err
	}
	if r.keys.Load().same(text) {
		return nil
	}
	keys, err := readKeys(text, time.Now())
	if err != nil {
		return err
	}
	r.keys.Store(keys)
	return nil
}

func (r *ring) get(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		if failure, ok := errors.AsType[*url.Error](err); ok {
			err = failure.Err // without the address, which may hold a password
		}
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, fetchBytes+1))
	if err == nil && len(text) > fetchBytes {
		err = fmt.Errorf("more than %d bytes", fetchBytes)
	}
	return text, err
}

// renewed returns the keys as they are after a fetch that began after the call.
// While fetches fail it does not wait.
func (r *ring) renewed() (*keySet, error) {
	r.mu.Lock()
	if r.failure != nil || r.waiters >= waitersMost {
		r.mu.Unlock()
		return nil, errKeysAway
	}
	if r.next == nil {
		r.next = make(chan struct{})
	}
	r.waiters++
	done := r.next
	r.mu.Unlock()
	select {
	case r.wanted <- struct{}{}:
	default:
	}
	timer := time.NewTimer(waitTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		return nil, errKeysAway
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return nil, errKeysAway
	}
	return r.keys.Load(), nil
}

// ready says why no token of a key here can be verified, or nil.
func (r *ring) ready() error {
	r.mu.Lock()
	failure := r.failure
	r.mu.Unlock()
	switch keys := r.keys.Load(); {
	case keys != nil && len(keys.keys) > 0:
		return nil
	case failure != nil:
		return fmt.Errorf("the keys of tokens cannot be fetched: %w", failure)
	case keys == nil:
		return errors.New("the keys of tokens are being fetched")
	}
	return errors.New("the JWKS holds no key that tokens can be signed with")
}
