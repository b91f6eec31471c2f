package session

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Jobs about one channel come one after the other in their order, whoever queues them;
// those about another do not wait for them.
func TestQueuesKeepTheOrderOfAChannel(t *testing.T) {
	t.Parallel()
	var q queues
	var running sync.WaitGroup
	held := make(chan struct{})
	order := make(map[string][]int)
	for i := range 100 {
		for _, channel := range []string{"a", "b"} {
			job := func(context.Context) {
				order[channel] = append(order[channel], i)
				if i == 99 {
					close(held) // a comes to its end although b has not begun
				}
				q.done(fmt.Sprint(channel, i))
			}
			if channel == "b" {
				job = func(context.Context) { <-held; q.done(fmt.Sprint(channel, i)) }
			}
			first, ok := q.add(fmt.Sprint(channel, i), channel, job)
			if !ok {
				t.Fatalf("%s%d was not taken", channel, i)
			}
			if first {
				running.Go(func() { q.run(t.Context(), channel) })
			}
		}
	}
	running.Wait()
	for i, got := range order["a"] {
		if got != i {
			t.Fatalf("job %d came as the %dth", got, i)
		}
	}
	if len(order["a"]) != 100 || q.waiting != nil || q.open != nil {
		t.Errorf("%d of 100 jobs; then %v and %v are kept", len(order["a"]), q.waiting, q.open)
	}
}

func TestQueuesKnowReferences(t *testing.T) {
	t.Parallel()
	var q queues
	nothing := func(context.Context) {}
	for _, test := range []struct {
		ref string
		ok  bool
	}{{"1", true}, {"1", false}, {"2", true}, {"", true}, {"", true}} {
		if _, ok := q.add(test.ref, "a", nothing); ok != test.ok {
			t.Errorf("%q: taken %v", test.ref, ok)
		}
	}
	q.done("1")
	if _, ok := q.add("1", "a", nothing); !ok {
		t.Error("a reference is not taken again after its work")
	}
}

// Who asks for more than may be in work waits for room, or for the end.
func TestQueuesHaveABound(t *testing.T) {
	t.Parallel()
	for name, free := range map[string]func(*queues){
		"room":    func(q *queues) { q.done("0") },
		"unnamed": func(q *queues) { q.done("") },
		"the end": func(q *queues) { q.end(time.Time{}) },
	} {
		var q queues
		q.await()
		for i := range requestsAtOnce - 1 {
			q.add(fmt.Sprint(i), "a", func(context.Context) {})
		}
		if q.full() {
			t.Errorf("%s: full too soon", name)
		}
		q.add("", "a", func(context.Context) {})
		if !q.full() {
			t.Errorf("%s: not full", name)
		}
		waited := make(chan struct{})
		go func() { defer close(waited); q.await() }()
		free(&q)
		<-waited
	}
}

// What waits when its session is long gone is given up.
func TestQueuesAreGivenUp(t *testing.T) {
	t.Parallel()
	var q queues
	ran := false
	q.add("1", "a", func(context.Context) { q.end(time.Now().Add(-time.Second)) })
	q.add("2", "a", func(context.Context) { ran = true })
	q.run(t.Context(), "a")
	if ran || q.waiting != nil {
		t.Errorf("ran: %v, waiting: %v", ran, q.waiting)
	}
}
