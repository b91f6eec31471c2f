// Package api speaks HTTP: it answers "at which address, and who may ask there?". It
// is the only importer of Fiber.
//
//	routes     every address, and the order of what stands before it
//	door       the doorman of HTTP: what each request costs its caller
//	channels   publish and command;  history  stored events;  presence, status  who is there
//	upgrade    the WebSocket handshake, after which the connection is the node's
//	pages      the SDK and the console
//	fault      errors in the one shape of all refusals
package api
