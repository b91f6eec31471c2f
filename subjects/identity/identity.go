package identity

import (
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/latido/latido/schemas"
)

// Grant allows a token's holder to use the app channels that match a pattern.
type Grant struct {
	Pattern  string `json:"pattern"` // of a channel's name, as path.Match: "app:shop-*"
	Read     bool   `json:"read"`
	Write    bool   `json:"write"`
	Presence bool   `json:"presence"`
}

// Identity is who a token says that its bearer is. The zero value is nobody.
type Identity struct {
	User    string // exactly the token's sub, see schemas.CheckUser
	Name    string
	Role    string    // exactly the token's role: "service " is none
	Avatar  string    // the address of the user's picture
	Grants  []Grant   // nil grants every app channel
	Expires time.Time // the token's exp; of one that was taken after it, until the leeway is over
	token   string
}

// Anonymous says that it is nobody's who has signed in.
func (id Identity) Anonymous() bool {
	return id.User == "" || strings.HasPrefix(id.User, schemas.AnonymousPrefix)
}

// Token is the token itself, to be handed on as the proof of the identity.
func (id Identity) Token() string { return id.token }

// String shows who it is and not the token.
func (id Identity) String() string { return id.User }

// GoString is for %#v, which would show the token.
func (id Identity) GoString() string { return id.User }

// LogValue shows who it is and not the token.
func (id Identity) LogValue() slog.Value { return slog.StringValue(id.User) }

// Granted says whether the token's grants allow the use of a channel, by its name.
func (id Identity) Granted(channel string, allows func(Grant) bool) bool {
	if id.Grants == nil {
		return true
	}
	for _, grant := range id.Grants {
		if matched, err := path.Match(grant.Pattern, channel); err == nil && matched && allows(grant) {
			return true
		}
	}
	return false
}
