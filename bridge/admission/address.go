package admission

import (
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the addresses of those who are believed when they say for whom they
// ask.
type Proxies []netip.Prefix

// Loopback is whom a bridge believes unless it is told otherwise: a proxy on its
// own machine.
var Loopback = Proxies{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// Trust says whether an address is such a proxy's.
func (p Proxies) Trust(address netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}

// Client is the address behind a peer. What a trusted proxy says is read from the
// right, where each proxy appends whom it speaks for: the first address that is no
// trusted proxy's is the client's, whatever stands left of it, which the client
// may have made up. Headers are the values of X-Forwarded-For, or where there are
// none of Forwarded (RFC 7239), in the order in which they came. A proxy must set
// the header or remove it.
func (p Proxies) Client(peer netip.Addr, forwardedFor, forwarded []string) netip.Addr {
	peer = peer.Unmap()
	if !p.Trust(peer) {
		return peer
	}
	hops := hops(forwardedFor, func(hop string) string { return hop })
	if len(hops) == 0 {
		hops = hopsOf(forwarded)
	}
	client := peer
	for _, hop := range slices.Backward(hops) {
		address, ok := parseHop(hop)
		if !ok {
			return client // "unknown", or what a proxy hides: it stands for itself
		}
		client = address
		if !p.Trust(address) {
			return client
		}
	}
	return client
}

// hops splits lists of what proxies said.
func hops(lists []string, read func(string) string) []string {
	var all []string
	for _, list := range lists {
		for hop := range strings.SplitSeq(list, ",") {
			all = append(all, read(strings.TrimSpace(hop)))
		}
	}
	return all
}

// hopsOf reads the parameter "for" of each element of Forwarded (RFC 7239 section 4).
func hopsOf(lists []string) []string {
	return hops(lists, func(element string) string {
		for pair := range strings.SplitSeq(element, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if strings.EqualFold(name, "for") {
				return strings.Trim(value, `"`)
			}
		}
		return ""
	})
}

// parseHop reads an address with or without a port, IPv6 with or without brackets.
func parseHop(hop string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap(), true
	}
	address, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	return address.Unmap(), err == nil
}
