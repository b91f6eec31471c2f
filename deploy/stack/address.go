package stack

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latido/latido/bridge/admission"
)

// secretBytes is the least a shared secret may have: a key shorter than the hash
// of HS256 can be guessed from one token.
const secretBytes = 32

// leewayMost bounds for how long an expired token is taken.
const leewayMost = 10 * time.Minute

// exposed returns an address of the stack that is not loopback, or "".
func (c Config) exposed() string {
	addresses := []string{c.HTTP}
	if c.Embeds() {
		addresses = append(addresses, c.NATSListen)
	}
	for _, server := range c.natsURLs() {
		addresses = append(addresses, server.Host)
	}
	for _, address := range addresses {
		if !loopback(address) {
			return address
		}
	}
	return ""
}

func (c Config) checkAddresses() error {
	if c.Runs("bridge") {
		if reason := badAddress(c.HTTP); reason != "" {
			return &SettingError{"http", reason}
		}
	}
	if _, err := c.trustedProxies(); err != nil {
		return &SettingError{"trusted-proxies", err.Error()}
	}
	if reason := badAddress(c.MetricsListen); c.MetricsListen != "" && reason != "" {
		return &SettingError{"metrics-listen", reason}
	}
	if reason := badAddress(c.Health); c.Health != "" && reason != "" {
		return &SettingError{"health-listen", reason}
	}
	if c.Debug != "" && (badAddress(c.Debug) != "" || !loopback(c.Debug)) {
		return &SettingError{"debug-listen", "must be a loopback address, because profiles show what is in memory"}
	}
	if !c.Embeds() {
		return nil
	}
	if reason := badAddress(c.NATSListen); reason != "" {
		return &SettingError{"nats-listen", reason}
	}
	if !loopback(c.NATSListen) && (c.NATSUser == "" || c.NATSPassword == "") {
		return &SettingError{"nats-listen", fmt.Sprintf("%s can be reached from other machines, and whoever reaches NATS can forge any event: give --nats-user and --nats-password, or stay on 127.0.0.1", c.NATSListen)}
	}
	return nil
}

func (c Config) checkTokens() error {
	if !c.Runs(bridgePart) && !c.runsService() {
		return nil
	}
	if len(c.Secret) > 0 && len(c.Secret) < secretBytes {
		return &SettingError{"jwt-secret", fmt.Sprintf("is %d bytes long, %d are the least that cannot be guessed", len(c.Secret), secretBytes)}
	}
	if c.JWKSURL != "" {
		parsed, err := url.Parse(c.JWKSURL)
		if err != nil || parsed.Host == "" || !slices.Contains([]string{"http", "https"}, parsed.Scheme) {
			return &SettingError{"jwks-url", fmt.Sprintf("%q is not an http or https URL", c.JWKSURL)}
		}
	}
	if slices.Contains(c.Audiences, "") {
		return &SettingError{"jwt-audience", "the empty text is no audience"}
	}
	if c.Leeway > leewayMost {
		return &SettingError{"jwt-leeway", fmt.Sprintf("%v is more than clocks may differ, %v", c.Leeway, leewayMost)}
	}
	if address := c.exposed(); len(c.Secret) == 0 && c.JWKSURL == "" && address != "" {
		return &SettingError{"jwt-secret", fmt.Sprintf("needed (or --jwks-url), because %s is not a loopback address and tokens for everyone are for this machine only", address)}
	}
	return nil
}

// checkOrigins refuses what no browser would send as its Origin (RFC 6454, section 6.1).
func (c Config) checkOrigins() error {
	for _, origin := range c.Origins {
		if origin == "*" || origin == "null" {
			continue
		}
		parsed, err := url.Parse(origin)
		if err != nil || parsed.Scheme == "" || parsed.Host == "" || parsed.Scheme+"://"+parsed.Host != origin || strings.ToLower(origin) != origin {
			return &SettingError{"origins", fmt.Sprintf("%q is not an origin, as https://shop.example or http://localhost:5173 is", origin)}
		}
	}
	return nil
}

func (c Config) checkBus() error {
	if !slices.Contains([]int{0, 1, 3, 5}, c.Replicas) {
		return &SettingError{"replicas", fmt.Sprintf("%d is none of 1, 3 and 5", c.Replicas)}
	}
	if c.Embeds() {
		if (c.NATSUser == "") != (c.NATSPassword == "") {
			return &SettingError{"nats-password", "the embedded server takes both a user and a password, or neither"}
		}
		if c.Replicas > 1 {
			return &SettingError{"replicas", "the embedded server is one server; more replicas need a cluster and --nats-url"}
		}
		return nil
	}
	for _, server := range c.natsURLs() {
		if server.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, server.Scheme) {
			return &SettingError{"nats-url", fmt.Sprintf("%q is not a NATS URL, as nats://127.0.0.1:4222 is", server.Redacted())}
		}
	}
	return nil
}

// natsURLs splits NATSURL; an entry that is no URL comes back without a host.
func (c Config) natsURLs() []*url.URL {
	if c.Embeds() {
		return nil
	}
	var servers []*url.URL
	for entry := range strings.SplitSeq(c.NATSURL, ",") {
		entry = strings.TrimSpace(entry)
		if !strings.Contains(entry, "://") {
			entry = "nats://" + entry
		}
		server, err := url.Parse(entry)
		if err != nil {
			server = &url.URL{Opaque: entry}
		}
		servers = append(servers, server)
	}
	return servers
}

// joinsNeighbour reports whether the bus is one of this machine and nothing says
// how to log in: then it may be the embedded server of another process, whose
// password is in its data folder.
func (c Config) joinsNeighbour() bool {
	login := func(server *url.URL) bool { return server.User != nil || !loopback(server.Host) }
	return !c.Embeds() && c.NATSUser == "" && c.NATSCreds == "" && !slices.ContainsFunc(c.natsURLs(), login)
}

// redactedURL is NATSURL without passwords.
func (c Config) redactedURL() string {
	var servers []string
	for _, server := range c.natsURLs() {
		servers = append(servers, server.Redacted())
	}
	return strings.Join(servers, ",")
}

// trustedProxies reads the networks; an address alone is one, too.
func (c Config) trustedProxies() (admission.Proxies, error) {
	var networks admission.Proxies
	for _, text := range c.TrustedProxies {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, alone := netip.ParseAddr(text)
			if alone != nil {
				return nil, fmt.Errorf("%q is neither a network, as 10.0.0.0/8, nor an address", text)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

func badAddress(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%q is not an address of the form host:port", address)
	}
	if number, err := strconv.Atoi(port); err != nil || number < 0 || number > 65535 {
		return fmt.Sprintf("%q is not a port", port)
	}
	return ""
}

// loopback reports whether only this machine can reach an address. A name other
// than localhost is not believed.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
