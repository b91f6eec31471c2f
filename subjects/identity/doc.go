// Package identity answers "who acts?": it reads tokens, JWTs of RFC 7519, and
// tells whether they are good. Bridges and services use the same, so that what a
// bridge says about a user is never believed: the token that comes along is.
//
// It imports schemas, in whose words a token is refused, and the libraries of
// JWT and JWK; the bus it does not know.
package identity
