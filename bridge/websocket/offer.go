package websocket

import (
	"strconv"
	"strings"
)

// extension is what RFC 7692 section 7 calls the compression that is spoken here.
const extension = "permessage-deflate"

// AcceptDeflate chooses from the values of a client's Sec-WebSocket-Extensions
// headers the first offer of permessage-deflate that can be kept, and returns the
// answer to it, or "" when there is none. The answer forbids both sides a context
// that outlives a message. An offer is declined when it names a parameter that is
// unknown, comes twice or has a value that it may not have (RFC 7692 section 7.1),
// or when it wants a window smaller than what the server writes with.
func AcceptDeflate(values ...string) string {
	for _, offer := range split(strings.Join(values, ","), ',') {
		parts := split(offer, ';')
		if !strings.EqualFold(strings.TrimSpace(parts[0]), extension) {
			continue
		}
		if answer, ok := accept(parts[1:]); ok {
			return answer
		}
	}
	return ""
}

// accept answers the parameters of one offer.
func accept(parameters []string) (answer string, ok bool) {
	answer = extension + "; server_no_context_takeover; client_no_context_takeover"
	seen := make(map[string]bool, len(parameters))
	for _, parameter := range parameters {
		name, value, valued := strings.Cut(parameter, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), unquote(strings.TrimSpace(value))
		if seen[name] {
			return "", false
		}
		seen[name] = true
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			ok = !valued
		case "client_max_window_bits":
			ok = !valued || isWindow(value)
		case "server_max_window_bits":
			ok = value == "15"
			answer += "; server_max_window_bits=15"
		default:
			ok = false
		}
		if !ok {
			return "", false
		}
	}
	return answer, true
}

// isWindow says whether s is a number of bits that a window may have, written
// without leading zeros.
func isWindow(s string) bool {
	bits, err := strconv.Atoi(s)
	return err == nil && bits >= 8 && bits <= 15 && s == strconv.Itoa(bits)
}

// split cuts a header at a separator that stands outside of quotes.
func split(s string, separator byte) []string {
	var parts []string
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:])
}

// unquote reads a quoted string, and leaves a token as it is. What is quoted
// wrongly fits no value.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var plain strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' {
			i++
		}
		plain.WriteByte(s[i])
	}
	return plain.String()
}
