// Package schemas answers one question about the bus: carrying what?
//
// Every body that travels is one JSON Schema (2020-12) with an example beside it:
//
//	<service>/    commands/<name>.json and events/<name>.json of the kinds of channels that it owns, answers/<name>.json
//	bridge/       requests/<name>.json and notices/<name>.json of the native dialect
//	errors.json   every code that a refusal or a close may carry
//
// A folder with any of these in it is found by itself and becomes a package. What several schemas share lies one folder
// up and is reached by $ref. From these files `go generate ./schemas` makes the Go types of the packages below
// (chat.NewMessage, which knows that it is called "new_message"), the codes of this package and the types in typescript/;
// the results are committed, and a test refuses results that are stale. Only the TypeScript part needs more than Go:
// `npm ci --prefix schemas/typescript`.
//
// At the edges the same files judge what arrives: [Command], [Event], [Request] and [Notice] find a schema, [Schema.Validate]
// applies it. A no is a [Refusal], the value that crosses the bus; every other error is a fault of ours.
//
// A required list is never null: give the Go types an empty slice where there is nothing to list.
//
// To add an event, write its schema and its example, then generate. An event is forever: give it new optional fields, or
// give what happened a new name; never change what a field means.
//
// Imports: subjects, whose catalog names the owners, the standard library and the validator. The generated packages import the standard library only.
package schemas

//go:generate go run ./internal/gen
