// Package eventstream is the native dialect told over Server-Sent Events, WHATWG HTML
// section 9.2: each notice is one event whose type is its op and whose data are its
// frame. Who listens cannot speak.
//
// A fact comes with an id that says where its reader stands then on every channel of
// the stream: a browser sends the last one when it returns, as Last-Event-ID.
//
// Imports: bridge/wire, bridge/native and schemas.
package eventstream
