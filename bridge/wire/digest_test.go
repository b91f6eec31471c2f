package wire

import (
	"encoding/json"
	"testing"
	"time"
)

// A digest is of what is said, not of when it was first said, and each part of it counts.
func TestDigest(t *testing.T) {
	t.Parallel()
	m := Member{User: "ana", Ref: "s7", Key: "k", Name: "Ana", Meta: json.RawMessage(`{"a":1}`), Since: time.Unix(1, 0)}
	const want = "5ihoH_1fEqBQ"
	if got := m.Digest(); got != want {
		t.Errorf("%s, want %s: the nodes of a mixed cluster differ", got, want)
	}
	later := m
	later.Since = time.Unix(2, 0)
	if later.Digest() != want {
		t.Error("who comes back with the same has another digest")
	}
	seen := map[string]string{want: "what it was"}
	for name, change := range map[string]func(*Member){
		"user":   func(m *Member) { m.User = "luis" },
		"ref":    func(m *Member) { m.Ref = "s8" },
		"key":    func(m *Member) { m.Key = "k2" },
		"name":   func(m *Member) { m.Name = "" },
		"role":   func(m *Member) { m.Role = "doctor" },
		"meta":   func(m *Member) { m.Meta = json.RawMessage(`{"a":2}`) },
		"place":  func(m *Member) { m.Place = &Place{Lat: 1} },
		"device": func(m *Member) { m.Device = "web" },
	} {
		changed := m
		change(&changed)
		if other, taken := seen[changed.Digest()]; taken {
			t.Errorf("another %s has the digest of %s", name, other)
		}
		seen[changed.Digest()] = "another " + name
	}
}
