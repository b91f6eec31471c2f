// Package identity promises who acts: a user is exactly who the token says, at
// every door: a socket, HTTP, and the bus itself.
package identity
