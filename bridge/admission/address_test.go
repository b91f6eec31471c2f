package admission

import (
	"net/netip"
	"testing"
)

func TestClientBehindProxies(t *testing.T) {
	t.Parallel()
	trusted := append(Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}, Loopback...)
	for name, test := range map[string]struct {
		peer         string
		forwardedFor []string
		forwarded    []string
		want         string
	}{
		"nobody between":                   {"192.0.2.1", nil, nil, "192.0.2.1"},
		"a stranger makes one up":          {"192.0.2.1", []string{"198.51.100.7"}, []string{"for=198.51.100.7"}, "192.0.2.1"},
		"a proxy":                          {"10.1.1.1", []string{"198.51.100.7"}, nil, "198.51.100.7"},
		"a proxy, mapped":                  {"::ffff:10.1.1.1", []string{"198.51.100.7"}, nil, "198.51.100.7"},
		"two proxies":                      {"127.0.0.1", []string{"198.51.100.7, 10.1.1.1"}, nil, "198.51.100.7"},
		"two headers":                      {"127.0.0.1", []string{"198.51.100.7", "10.1.1.1"}, nil, "198.51.100.7"},
		"what a client put in front":       {"10.1.1.1", []string{"203.0.113.9, 198.51.100.7"}, nil, "198.51.100.7"},
		"a client that knows our networks": {"10.1.1.1", []string{"10.9.9.9, 198.51.100.7"}, nil, "198.51.100.7"},
		"a header of its own in front":     {"10.1.1.1", []string{"203.0.113.9", "198.51.100.7"}, nil, "198.51.100.7"},
		"a port":                           {"10.1.1.1", []string{"198.51.100.7:4711"}, nil, "198.51.100.7"},
		"IPv6":                             {"10.1.1.1", []string{"2001:db8::7"}, nil, "2001:db8::7"},
		"IPv6 in brackets, with a port":    {"10.1.1.1", []string{"[2001:db8::7]:4711"}, nil, "2001:db8::7"},
		"no header":                        {"10.1.1.1", nil, nil, "10.1.1.1"},
		"nonsense":                         {"10.1.1.1", []string{"a; drop table"}, nil, "10.1.1.1"},
		"nothing between commas":           {"10.1.1.1", []string{"198.51.100.7,"}, nil, "10.1.1.1"},
		"unknown to the inner proxy":       {"10.1.1.1", []string{"unknown, 10.2.2.2"}, nil, "10.2.2.2"},
		"only proxies":                     {"10.1.1.1", []string{"10.3.3.3, 10.2.2.2"}, nil, "10.3.3.3"},
		"Forwarded":                        {"10.1.1.1", nil, []string{`for=192.0.2.43, for="[2001:db8:cafe::17]:4711";proto=https`}, "2001:db8:cafe::17"},
		"Forwarded, odd":                   {"10.1.1.1", nil, []string{`proto=http; For="198.51.100.7"`}, "198.51.100.7"},
		"Forwarded, hidden":                {"10.1.1.1", nil, []string{`for=198.51.100.7, for=_hidden`}, "10.1.1.1"},
		"both":                             {"10.1.1.1", []string{"198.51.100.7"}, []string{"for=203.0.113.9"}, "198.51.100.7"},
	} {
		if got := trusted.Client(netip.MustParseAddr(test.peer), test.forwardedFor, test.forwarded); got.String() != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if got := (Proxies{}).Client(netip.MustParseAddr("127.0.0.1"), []string{"198.51.100.7"}, nil); !got.IsLoopback() {
		t.Errorf("nobody is trusted, yet %v was believed", got)
	}
}
