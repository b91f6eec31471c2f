// Package bytes holds Latido to this: what enters by any door is what every
// reader can read. Any JSON and any bytes are sent through a socket, over HTTP and
// by a backend on NATS, and read at a socket, from the list over HTTP, and by the
// client in Node: equal as values, or refused at the door.
//
// It has tests only.
package bytes
