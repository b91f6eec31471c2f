package subjects

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// names are some that protocols allow, or that are next to what is escaped.
var names = []string{
	"", "room 1", "private:foo", "private-x", "presence-room@a,b;c", "private-encrypted-e", "#server-to-user-7", "a..b", ".", "a.b.",
	"a=b", "a=3Db", "=", "==", "=3D", "=3d", "=00", "\x00", "=FF", "\xff", "\xc3\xa9", "\xc3", "é", "e\u0301", "\ufffd", "\xed\xa0\x80",
	"*", ">", "año/2026:\"x\"", "😀", "\u202e", "\u2028", strings.Repeat("x", 200),
}

func FuzzNamed(f *testing.F) {
	for _, name := range names {
		f.Add(name, name+"=")
	}
	f.Fuzz(checkNames)
}

func TestEveryNameHasAChannelOfItsOwn(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	parts := append([]string{"x", "3", "D", "0"}, names...)
	of := map[string]string{}
	for range 20_000 {
		name := ""
		for range random.IntN(5) {
			name += parts[random.IntN(len(parts))]
		}
		checkNames(t, name, parts[random.IntN(len(parts))])
		channel, err := Named("pusher", name)
		if err != nil {
			continue
		}
		if other, taken := of[channel.String()]; taken && other != name {
			t.Fatalf("seed %d: %q and %q are both %s", seed, name, other, channel)
		}
		of[channel.String()] = name
	}
}

// checkNames holds one name, and another beside it, to what is said of Named.
func checkNames(t *testing.T, name, other string) {
	channel, err := Named("pusher", name)
	if err != nil {
		if most := len("pusher:") + 3*len(name); !errors.Is(err, ErrName) || most <= MaxChannel || len(name) <= 200 && strings.ToValidUTF8(name, "") == name && !strings.ContainsAny(name, "=\x00") {
			t.Fatalf("%q: %v", name, err)
		}
		return
	}
	if back, named := channel.Name(); !named || back != name {
		t.Fatalf("%q became %s, and that %q, %v", name, channel, back, named)
	}
	said := channel.String()
	if parsed, err := ParseChannel(said); err != nil || parsed != channel || !utf8.ValidString(said) || strings.ContainsRune(said, 0) || len(said) > MaxChannel {
		t.Fatalf("%q became %q, which is no channel: %v, %v", name, said, parsed, err)
	}
	if another, err := Named("pusher", other); err == nil && another == channel && other != name {
		t.Fatalf("%q and %q are both %s", name, other, channel)
	}
	if elsewhere, err := Named("realtime", name); err == nil && elsewhere == channel {
		t.Fatalf("%q is the same for two protocols", name)
	}
	// And the other way: an id that somebody made up names one channel or none.
	if back, named := (Channel{"pusher", other}).Name(); named {
		if again, err := Named("pusher", back); err != nil || again.ID != other {
			t.Fatalf("%q names %q, and that is %s, %v", other, back, again, err)
		}
	}
}

func TestChannelsOfNames(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ kind, name, channel string }{
		{"realtime", "room 1", "realtime:room 1"},
		{"realtime", "private:foo", "realtime:private:foo"},
		{"private", "foo", "private:foo"},
		{"pusher", "presence-room@a,b;c", "pusher:presence-room@a,b;c"},
		{"pusher", "a=b", "pusher:a=3Db"},
		{"realtime", "a\x00\xff", "realtime:a=00=FF"},
		{"realtime", strings.Repeat("x", 241), "realtime:" + strings.Repeat("x", 241)},
	} {
		if channel, err := Named(row.kind, row.name); err != nil || channel.String() != row.channel {
			t.Errorf("%q is %s, %v; want %s", row.name, channel, err, row.channel)
		}
	}
	for _, wrong := range []struct{ kind, name string }{{"realtime", strings.Repeat("x", 242)}, {"No", "x"}, {"", "x"}} {
		if channel, err := Named(wrong.kind, wrong.name); err == nil {
			t.Errorf("%v became %s", wrong, channel)
		}
	}
	for _, id := range []string{"=", "a=3", "a=3d", "a=41", "=zz", "a=C3=A9"} {
		if name, named := (Channel{"pusher", id}).Name(); named {
			t.Errorf("%q names %q", id, name)
		}
	}
}
