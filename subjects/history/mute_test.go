package history

import (
	"testing"
	"time"
)

func TestQuorum(t *testing.T) {
	t.Parallel()
	here, away, old := replica{Active: time.Second}, replica{Offline: true}, replica{Active: time.Minute}
	for _, row := range []struct {
		replicas []replica
		want     bool
	}{
		{nil, true},
		{[]replica{here, here}, true},
		{[]replica{here, away}, true},
		{[]replica{away, old}, false},
		{[]replica{here, old, old, away}, false},
		{[]replica{here, here, old, away}, true},
	} {
		if got := quorum(row.replicas); got != row.want {
			t.Errorf("%+v: %t, want %t", row.replicas, got, row.want)
		}
	}
}
