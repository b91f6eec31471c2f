// Package contract answers "is what is published what is served?": it sends the
// server what the schemas, the README and the start page say it takes, and just
// beyond, and holds the answers to the schemas.
package contract
