package es

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

func TestPoolKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	const keys, works = 10, 200
	p := newPool(4, keys*works)
	var mu sync.Mutex
	done := make(map[string][]int)
	for i := range works {
		for k := range keys {
			key := fmt.Sprint(k)
			p.submit(key, func() {
				mu.Lock()
				defer mu.Unlock()
				done[key] = append(done[key], i)
			})
		}
	}
	p.close()
	for key, order := range done {
		if len(order) != works || !slices.IsSorted(order) {
			t.Errorf("key %s: %v", key, order)
		}
	}
	if len(done) != keys {
		t.Errorf("%d keys, want %d", len(done), keys)
	}
}

func TestPoolTakesNoMoreThanItsBound(t *testing.T) {
	t.Parallel()
	p := newPool(1, 2)
	started, release := make(chan struct{}), make(chan struct{})
	p.submit("k", func() { close(started); <-release })
	<-started
	taken := 0
	for range 5 {
		if p.submit("k", func() {}) {
			taken++
		}
	}
	if taken != 2 {
		t.Errorf("took %d, want 2", taken)
	}
	close(release)
	p.close()
	if p.submit("k", func() {}) {
		t.Error("took work after it was closed")
	}
	p.close()
}

func TestContainMakesAPanicAnError(t *testing.T) {
	t.Parallel()
	if err := recoverPanic(func() error { panic("ouch") }); !errors.Is(err, errPanic) {
		t.Errorf("got %v", err)
	}
	if err := recoverPanic(func() error { return nil }); err != nil {
		t.Errorf("got %v", err)
	}
}
