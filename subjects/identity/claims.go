package identity

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

// Bounds of what a token says, in bytes.
const (
	maxToken  = 8 << 10
	maxName   = 200
	maxAvatar = 1000
)

// claims are what Latido reads of a token.
type claims struct {
	jwt.RegisteredClaims
	Name   string  `json:"name,omitempty"`
	Avatar string  `json:"picture,omitempty"` // as OpenID Connect names it
	Role   string  `json:"role,omitempty"`
	Grants []Grant `json:"channels,omitempty"`
}

// UnmarshalJSON takes claims by their exact names. encoding/json would take "ROLE"
// for "role", and so a claim that an issuer lets its users choose for one that it
// does not.
func (c *claims) UnmarshalJSON(text []byte) error {
	var said map[string]json.RawMessage
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	for name, into := range map[string]any{
		"iss": &c.Issuer, "sub": &c.Subject, "aud": &c.Audience, "exp": &c.ExpiresAt, "nbf": &c.NotBefore, "iat": &c.IssuedAt,
		"name": &c.Name, "picture": &c.Avatar, "role": &c.Role, "channels": &c.Grants,
	} {
		if value, given := said[name]; given {
			if err := json.Unmarshal(value, into); err != nil {
				return fmt.Errorf("claim %s: %w", name, err)
			}
		}
	}
	return nil
}

// identity is who good claims are of. It refuses what they must not say.
func (c *claims) identity() (Identity, error) {
	nobody := c.Subject == "" && c.Role == subjects.RoleAnonymous
	if err := schemas.CheckUser(c.Subject); err != nil && !nobody {
		return Identity{}, schemas.Refuse(schemas.Unauthenticated, "the token's sub: %v", err)
	}
	switch {
	case strings.HasPrefix(c.Subject, schemas.AnonymousPrefix):
		return Identity{}, schemas.Refuse(schemas.Unauthenticated, "the token's sub: none may begin with %q", schemas.AnonymousPrefix)
	case strings.HasPrefix(c.Subject, schemas.ServicePrefix) && c.Role != subjects.RoleService:
		return Identity{}, schemas.Refuse(schemas.Unauthenticated, "the token's sub: only tokens of role %q may begin with %q", subjects.RoleService, schemas.ServicePrefix)
	case strings.ContainsRune(c.Name+c.Avatar, 0):
		return Identity{}, schemas.Refuse(schemas.Unauthenticated, "the token's name and picture hold no U+0000, which no reader takes")
	case len(c.Name) > maxName:
		return Identity{}, schemas.Refuse(schemas.Unauthenticated, "the token's name has at most %d bytes", maxName)
	case len(c.Avatar) > maxAvatar:
		return Identity{}, schemas.Refuse(schemas.Unauthenticated, "the token's picture has at most %d bytes", maxAvatar)
	}
	if nobody && c.Grants == nil {
		c.Grants = []Grant{} // who is nobody has what is granted, and no more
	}
	return Identity{User: c.Subject, Name: c.Name, Avatar: c.Avatar, Role: c.Role, Grants: c.Grants}, nil
}
